package powerloss

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// The kernel's own way to lose power: a file system can be told to write nothing more
// (FS_IOC_SHUTDOWN; ext4 and xfs). It knows nothing of recording and replay, and what it
// leaves has to be among what replay leaves of the same program.

// shutdowns are its kinds: what there is is written before, or the log alone, or nothing.
var shutdowns = map[string]int{"default": 0, "logflush": 1, "nologflush": 2}

// shutDown shuts a file system down. Kernels that have LOOP_CONFIGURE (5.8), without which
// there is no rig, have this, and who may mount may do it.
func shutDown(dir, kind string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	const fsIocShutdown = 0x8004587d
	return os.NewSyscallError("FS_IOC_SHUTDOWN", unix.IoctlSetPointerInt(fd, fsIocShutdown, shutdowns[kind]))
}

// Replayed is the claim that what a shutdown leaves is among what replay leaves.
const Replayed world.Claim = "replayed"

var errShutdown = errors.New("the file system is shut down")

// maxReplays bounds the power losses that are replayed.
const maxReplays = 2000

// replays are what replay leaves. Nothing is mounted before it is asked for.
type replays struct {
	*judge
	rest   []Cut
	shapes map[string]bool // of those that were mounted
}

func newReplays(g *judge, seed uint64) *replays {
	r := &replays{g, Cuts(g.recording.log, g.begin, maxReplays, seed), make(map[string]bool)}
	slices.SortStableFunc(r.rest, func(a, b Cut) int { return min(len(a.Lost), 1) - min(len(b.Lost), 1) }) // prefixes first
	return r
}

// shutdowns runs the program and shuts the file system down before each of its changes,
// where the noise makes durable what the shutdown does.
func (r *replays) shutdowns(ctx context.Context, dir string) error {
	for after := 0; !r.done(); after += max(r.job.Every, 1) {
		if ended, err := r.shutdown(dir, after); ended || err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}

// shutdown shuts the file system down after so many changes, judges what that leaves, and
// whether replay leaves it, too. It reports whether the program had ended before.
func (r *replays) shutdown(dir string, after int) (ended bool, err error) {
	r.judge.shapes = make(map[string]bool)
	m, ended, err := r.judge.shutdown(dir, after)
	if ended || err != nil {
		return ended, err
	}
	for shape := range r.judge.shapes {
		if is, err := r.leave(shape); err != nil {
			return false, err
		} else if !is {
			r.wrong(m, world.Finding{Claim: Replayed, Path: r.job.FileSystem, Detail: "a shutdown leaves what replay does not:\n" + shape})
		}
	}
	return false, nil
}

// leave reports whether replay leaves the shape.
func (r *replays) leave(wanted string) (bool, error) {
	for !r.shapes[wanted] && len(r.rest) > 0 {
		c := r.rest[0]
		r.rest = r.rest[1:]
		if err := r.Mount(c); err != nil {
			return false, err
		}
		tree, err := looked(r.Dir())
		if err == nil {
			_, tree, _, err = r.p.want(nil, tree, false)
		}
		if err := errors.Join(err, r.Unmount()); err != nil {
			return false, err
		}
		r.shapes[shape(tree)] = true
	}
	return r.shapes[wanted], nil
}

// shutdown runs the program on a disk of its own, shuts the file system down after so
// many changes, and judges what is there when it is mounted again. It
// reports whether the program had ended before.
func (g *judge) shutdown(dir string, after int) (m moment, ended bool, err error) {
	image := filepath.Join(dir, "live")
	if err := copyImage(g.recording.base.Name(), image); err != nil {
		return m, false, err
	}
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return m, false, err
	}
	defer file.Close()
	device, err := attach(file)
	if err != nil {
		return m, false, err
	}
	defer device.Close()
	fs := g.recording.fs
	at := site{dir: g.Dir(), driver: g.driver, noise: g.job.Noise, without: g.job.Without}
	m.repeat = g.job.at(Cut{At: after}).String()
	var failed error
	err = mounted(device.Name(), at.dir, fs.kind, fs.record, func() (err error) {
		if err := syncAll(at.dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeBelow(at.dir)) }()
		at.before = func() error {
			if after--; after >= 0 {
				return nil
			}
			if after < -1 {
				return errShutdown
			}
			failed = shutDown(at.dir, g.job.Shutdown)
			return errShutdown
		}
		at.mark = func(text string) error {
			if after < 0 {
				return errShutdown
			}
			m.marks = append(m.marks, text)
			return nil
		}
		if err := g.p.run(&at); after >= 0 {
			return err
		}
		return failed // by itself the program says only that it could not go on
	})
	if err != nil || after >= 0 {
		return m, after >= 0, err
	}
	g.counts.Shutdowns++
	if err := forget(device); err != nil {
		return m, false, err
	}
	err = unix.Mount(device.Name(), at.dir, fs.kind, unix.MS_NOATIME, fs.recover)
	if err != nil {
		err = &MountError{err}
	}
	_, err = g.judgeMount(err, []moment{m})
	return m, false, err
}

// ids are those of instances, and a process, which differ in each run.
var ids = regexp.MustCompile(`[0-9a-f]{32}|"start":\d+`)

// shape is the tree without ids. Two trees that differ in them alone have one shape.
func shape(tree world.Tree) string {
	of := make(map[string]string)
	for _, n := range tree {
		id := ids.FindString(n.Path)
		of[id] += fmt.Sprintf("%c %s %q\n", n.Kind, ids.ReplaceAllString(n.Path, "ID"), ids.ReplaceAllString(n.Content, "ID"))
	}
	common := of[""]
	delete(of, "")
	return common + strings.Join(slices.Sorted(maps.Values(of)), "")
}
