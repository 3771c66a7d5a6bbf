package speed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir"
)

// RoleProgram is the role of a process that is this program, as it is called by
// everybody. Who imports this package registers it.
const RoleProgram = "afterlock"

// A contender removes trees.
type contender struct {
	name string
	kind Kind
	// remove removes the tree at path, in a directory dir of which it may use other names.
	remove func(ctx context.Context, dir, path string) (time.Duration, error)
}

// A peer is a command line of others: words with TREE for the tree, and EMPTY for an
// empty directory. Where it leaves the directory itself, or all directories, rm has to
// remove them.
type peer struct {
	name  string
	needs []string // programs; of "a|b" one
	line  string   // for a shell, whose start counts, if it is more than words
}

var peers = []peer{
	{"rm -rf", []string{"rm"}, "rm -rf TREE"},
	{"find -delete", []string{"find"}, "find TREE -delete"},
	{"rsync --delete", []string{"rsync"}, "rsync -a --delete EMPTY/ TREE/ && rmdir TREE"},
	{"bfs -delete", []string{"bfs"}, "bfs TREE -delete"},
	{"fd -X rm", []string{"fd|fdfind", "rm"}, "fd -u -t f -t l . TREE -X rm -f && rm -rf TREE"},
	{"xargs -P rm", []string{"find", "xargs", "rm"}, "find TREE -mindepth 1 -maxdepth 1 -print0 | xargs -0 -n 16 -P CORES rm -rf && rm -rf TREE"},
	{"rimraf", []string{"rimraf"}, "rimraf TREE"},
}

// removeAll is the peer that is no command.
const removeAll = "os.RemoveAll"

// Peers are all that ours can be compared with, by the first words of their names.
func Peers() (words []string) {
	for _, p := range peers {
		words = append(words, word(p.name))
	}
	return append(words, removeAll)
}

// OurRows are ours: the command, and what it does as calls, by their first words.
func OurRows() (words []string) {
	for _, name := range ourNames {
		words = append(words, word(name))
	}
	return words
}

func word(name string) string { return strings.Fields(name)[0] }

// command is how the peer is called, or why it cannot be.
func (p peer) command() (line string, err error) {
	line = p.line
	for _, needed := range p.needs {
		one, other, _ := strings.Cut(needed, "|")
		if _, err = exec.LookPath(one); err != nil && other != "" {
			_, err = exec.LookPath(other)
			line = strings.Replace(line, one+" ", other+" ", 1)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %s is not installed", p.name, strings.ReplaceAll(needed, "|", " or "))
		}
	}
	return strings.ReplaceAll(line, "CORES", fmt.Sprint(runtime.NumCPU())), nil
}

// contenders are those that are wanted and can be had, ours first, and why others
// cannot.
func contenders(o *Options) (all []contender, skipped []string, err error) {
	all = []contender{
		{ourNames[0], Command, timed(func(ctx context.Context, _, path string) error {
			cmd := exec.CommandContext(ctx, "/proc/self/exe", "rm", path)
			cmd.Env = append(os.Environ(), proc.Variable+"="+RoleProgram)
			return run(cmd)
		})},
		{ourNames[1], Library, timed(func(ctx context.Context, _, path string) error { return tempdir.Remove(ctx, path) })},
		{ourNames[2], Library, staged},
	}
	wanted := map[string]bool{}
	for _, name := range o.Against {
		wanted[name] = true
	}
	all = slices.DeleteFunc(all, func(c contender) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, word(c.name))
	})
	for _, p := range peers {
		if len(wanted) > 0 && !wanted[word(p.name)] {
			continue
		}
		line, err := p.command()
		if err != nil {
			skipped = append(skipped, err.Error())
			continue
		}
		all = append(all, contender{p.name, Command, timed(func(ctx context.Context, dir, path string) error {
			empty := filepath.Join(dir, "empty")
			line := strings.NewReplacer("TREE", path, "EMPTY", empty).Replace(line)
			words := strings.Fields(line)
			if strings.ContainsAny(line, "&|") {
				words = []string{"sh", "-c", line}
			}
			return run(exec.CommandContext(ctx, words[0], words[1:]...))
		})})
	}
	if len(wanted) == 0 || wanted[removeAll] {
		all = append(all, contender{removeAll, Library, timed(func(_ context.Context, _, path string) error { return os.RemoveAll(path) })})
	}
	for threads := 1; o.Limit && threads <= runtime.NumCPU(); threads *= 2 {
		for _, inodes := range []bool{false, true} {
			name := fmt.Sprintf("loop, %d threads", threads)
			if threads == 1 {
				name = "loop, 1 thread"
			}
			if inodes {
				name += ", by inode"
			}
			l := newLoop(threads, inodes)
			all = append(all, contender{name, Bare, timed(func(_ context.Context, _, path string) error {
				return l.remove(path)
			})})
		}
	}
	return all, skipped, nil
}

func run(cmd *exec.Cmd) error {
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.200s", err, output)
	}
	return nil
}

// timed is a removal from its call to its return.
func timed(remove func(ctx context.Context, dir, path string) error) func(context.Context, string, string) (time.Duration, error) {
	return func(ctx context.Context, dir, path string) (time.Duration, error) {
		began := time.Now()
		err := remove(ctx, dir, path)
		return time.Since(began), err
	}
}

// staged deletes as a store does: one rename, after which it would drop its lock, and
// the rest after that. The root is open, as a store's is.
func staged(ctx context.Context, dir, path string) (time.Duration, error) {
	root, err := tempdir.Open(filepath.Join(dir, "root"), tempdir.Make(0o700))
	if err != nil {
		return 0, err
	}
	defer root.Close()
	began := time.Now()
	instance, err := root.Create()
	if err != nil {
		return 0, err
	}
	err = errors.Join(instance.StageDeletion(path), instance.Close(ctx))
	return time.Since(began), err
}

// measure removes one new tree. After an error, too, there is none, for the next has its
// place; but what ctx cuts off stays.
func (c *contender) measure(ctx context.Context, place *place, s *shape, cold bool) (time.Duration, error) {
	path := filepath.Join(place.dir, "tree")
	err := s.tree(path)
	if err == nil {
		err = place.settle(cold)
	}
	took := time.Duration(0)
	if err == nil {
		took, err = c.remove(ctx, place.dir, path)
		if _, there := os.Lstat(path); err == nil && !errors.Is(there, fs.ErrNotExist) {
			err = fmt.Errorf("something is left (%v)", there)
		}
	}
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return took, err
}

// A place is a directory on a file system, for trees.
type place struct {
	name string
	dir  string
	fd   int
}

// settle makes everything durable, and lets go of what the file system keeps in memory
// if what is next is to be measured without that.
func (p *place) settle(cold bool) error {
	err := unix.Syncfs(p.fd)
	if cold && err == nil {
		err = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
	}
	return err
}
