package subjects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A layout is where instances of driver overlay are.
type layout struct {
	name, driver string
	link         string // what overlay/tempdirs leads to, if it is a link
}

// Releases before v1.59.0 take every directory of overlay/ for a layer, but for
// "l" and "staging". Until about v1.52 they also emptied staging at every
// shutdown. So the one place within the mount of overlay/ that all of them leave
// alone is below "l", and a link to it is no directory.
var layouts = []layout{
	{"overlay", "overlay", ""},
	{"overlay, linked to l", "overlay", "l/tempdirs"},
	{"vfs", "vfs", ""},
}

func (o Run) wants(name string) bool {
	return len(o.Words) == 0 || slices.ContainsFunc(o.Words, func(only string) bool { return strings.HasPrefix(name, only) })
}

// Older tries older releases, and Debian's podman and buildah if they are
// installed, on one store with the newest one and with compat: each command of
// theirs beside live instances of compat and beside pulls in progress, and layers
// that one puts and the other reads and deletes. It needs root. A loss that is not
// known is a problem, and so is one that is known and does not show. It takes two
// or three minutes, and longer when the releases are built for the first time.
func (w *Workshop) Older(ctx context.Context, o Run) (*Report, error) {
	r, log := &Report{}, o.Log
	releases := append([]Options{{Module: w.Module, Version: w.Version}}, olderReleases...)
	for _, word := range o.Words {
		known := slices.ContainsFunc(releases, func(release Options) bool { return strings.HasPrefix(release.Version, word) })
		if !known && !strings.HasPrefix("podman", word) {
			return r, fmt.Errorf("no release %q", word)
		}
	}
	if err := onlyRoot(); err != nil {
		return r, err
	}
	for _, path := range leftByEnded("/run/afterlock-") {
		if err := os.RemoveAll(path); err != nil {
			return r, err
		}
	}
	pullers := map[string]string{}
	for _, variant := range []string{"released", "compat"} {
		path, err := w.Command(ctx, variant)
		if err != nil {
			return r, err
		}
		pullers[variant] = path
	}
	binaries := map[string]string{}
	var olders []older
	for _, release := range releases {
		if !o.wants(release.Version) || binaries[release.Version] != "" {
			continue
		}
		path, knows, err := pullers["released"], true, error(nil)
		if release.Version != w.Version {
			release.Dir, release.Checkout, release.Log = filepath.Join(o.Dir, release.Version), w.checkout, log
			path, knows, err = olderCommand(ctx, release)
		}
		if err != nil {
			r.Skip(release.Module+" "+release.Version, err)
			continue
		}
		binaries[release.Version] = path
		olders = append(olders, releaseAs(release.Version, path, knows))
	}
	var debian []older
	if o.wants("podman") {
		var err error
		if debian, err = debians(ctx); err != nil {
			r.Skip("podman and buildah of Debian 12", err)
		}
	}
	f := &fleet{w, o.Dir, log, pullers}
	return r, errors.Join(f.exchanges(ctx, r, binaries),
		f.besides(ctx, r, "What commands of a release do to live instances of compat and to pulls in progress", olders),
		f.besides(ctx, r, "What commands of Podman and Buildah do to them", debian))
}

// leftByEnded returns the paths that begin so, and go on with the number of a process
// that is no more: it was killed before it could remove them.
func leftByEnded(prefix string) (left []string) {
	paths, _ := filepath.Glob(prefix + "[0-9]*")
	for _, path := range paths {
		process, _, _ := strings.Cut(strings.TrimPrefix(path, prefix), "-")
		if _, err := os.Stat("/proc/" + process); errors.Is(err, fs.ErrNotExist) {
			left = append(left, path)
		}
	}
	return left
}

// A fleet is who shares stores, which are made in dir.
type fleet struct {
	*Workshop
	dir     string
	log     io.Writer
	pullers map[string]string // the newest release's command, by variant
}

// A shared is one store, which several programs use.
type shared struct {
	layout
	base, graph, run string
}

// newShared makes an empty store in the layout.
func (f *fleet) newShared(l layout) (*shared, error) {
	base, err := os.MkdirTemp(f.dir, "shared-")
	if err != nil {
		return nil, err
	}
	run, err := os.MkdirTemp("/run", fmt.Sprintf("afterlock-%d-", os.Getpid())) // podman wants no more than 50 characters
	s := &shared{l, base, filepath.Join(base, "graph"), run}
	err = errors.Join(err, os.MkdirAll(filepath.Join(base, "context"), 0o700),
		os.WriteFile(filepath.Join(base, "context", "Dockerfile"), []byte("FROM localhost/base:1\nCOPY Dockerfile /copied\n"), 0o600),
		os.WriteFile(filepath.Join(base, "content.tar"), pulledLayer(), 0o600))
	if l.link != "" {
		// Relative, so that it is followed within the mount of overlay/ upon itself.
		err = errors.Join(err, os.MkdirAll(filepath.Join(s.graph, "overlay", l.link), 0o755),
			os.Symlink(l.link, filepath.Join(s.graph, "overlay", "tempdirs")))
	}
	return s, err
}

// remove unmounts what the programs have mounted, and removes all of it.
func (s *shared) remove() error {
	for unix.Unmount(filepath.Join(s.graph, "overlay"), unix.MNT_DETACH) == nil {
	}
	return errors.Join(os.RemoveAll(s.base), os.RemoveAll(s.run))
}

func (s *shared) storage(ctx context.Context, path string, words ...string) *exec.Cmd {
	return exec.CommandContext(ctx, path, append([]string{"--graph", s.graph, "--run", s.run, "--storage-driver", s.driver}, words...)...)
}

// besides has every command of every program beside what lives.
func (f *fleet) besides(ctx context.Context, r *Report, title string, olders []older) error {
	if len(olders) == 0 {
		return nil
	}
	t := r.Table(title, "who", "command", layouts[0].name, layouts[1].name, layouts[2].name)
	done := 0
	for _, o := range olders {
		for _, a := range o.actions {
			fmt.Fprintf(f.log, "%s: %s\n", o.name, a)
			row := []any{o.name, a.String()}
			for _, l := range layouts {
				if a.unlinked && l.driver != "overlay" {
					row = append(row, "-")
					continue
				}
				b, err := f.beside(ctx, o, l, a)
				if err != nil {
					return fmt.Errorf("%s, %s, %s: %w", o.name, l.name, a, err)
				}
				row = append(row, b.String())
				if b.exit != 0 {
					fmt.Fprintf(f.log, "%s, %s: exit %d: %s\n", a, l.name, b.exit, strings.ReplaceAll(strings.TrimSpace(b.said), "\n", "; "))
				}
				b.judge(r, fmt.Sprintf("%s of %s, %s", a, o.name, l.name), o.loses(l, a))
				done++
			}
			t.Row(row...)
		}
	}
	r.AtLeast(done, len(olders)*len(layouts), "commands beside live instances")
	return nil
}

// A beside is what a command did to what lives: its exit code, and the lost.
type beside struct {
	exit int
	said string
	lost []string
	why  error
}

// judge compares the lost with those that are known to be.
func (b beside) judge(r *Report, what string, known []string) {
	if lacks(b.why) {
		r.Lacks(1, what)
		return
	}
	for _, name := range b.lost {
		if !slices.Contains(known, name) {
			blame := "compat"
			if name == "pull by released" {
				blame = "released"
			}
			r.Problem("%s: %s: %s is lost, which was not known: %v", blame, what, name, b.why)
		}
	}
	for _, name := range known {
		if !slices.Contains(b.lost, name) {
			r.Problem("%s: %s is not lost, and was known to be: this check sees nothing, or the release is another", what, name)
		}
	}
}

func (b beside) String() string {
	text := "intact"
	if len(b.lost) > 0 {
		text = "LOST " + strings.Join(b.lost, ", ")
	}
	if b.exit != 0 {
		text += fmt.Sprintf("; exit %d", b.exit)
	}
	return text
}

// beside does the command beside a live instance of compat in each root, a staging
// directory with its lock held, and a pull in progress of each puller.
func (f *fleet) beside(ctx context.Context, o older, l layout, a action) (b beside, err error) {
	s, err := f.newShared(l)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	for _, words := range o.prepare {
		if _, err := output(o.command(ctx, s, words)); err != nil {
			return b, err
		}
	}
	var alive []living
	for _, start := range []func() (living, error){
		func() (living, error) { return liveIn(filepath.Join(s.graph, s.driver), "tempdirs") },
		func() (living, error) { return liveIn(filepath.Join(s.graph, s.driver+"-layers"), "tmp") },
		func() (living, error) { return s.liveStaging(!a.noStaging) },
		func() (living, error) { return s.pull(ctx, "released", f.pullers["released"]) },
		func() (living, error) { return s.pull(ctx, "compat", f.pullers["compat"]) },
	} {
		one, err := start()
		if err != nil {
			return b, err
		}
		if one.name != "" {
			alive = append(alive, one)
		}
	}
	if a.unlinked {
		links, _ := filepath.Glob(filepath.Join(s.graph, "overlay", "l", strings.Repeat("[A-Z2-7]", 26)))
		for _, link := range links {
			if err := os.Remove(link); err != nil {
				return b, err
			}
		}
	}
	var exit *exec.ExitError
	if b.said, err = output(o.command(ctx, s, a.words)); errors.As(err, &exit) {
		b.exit = exit.ExitCode()
	} else if err != nil {
		return b, err
	}
	for _, one := range alive {
		if err := one.finish(); err != nil {
			b.lost = append(b.lost, one.name)
			b.why = errors.Join(b.why, err)
		}
	}
	return b, nil
}

// exchanges has layers put by one, and read and deleted by the other, both ways.
func (f *fleet) exchanges(ctx context.Context, r *Report, releases map[string]string) error {
	if len(releases) == 0 {
		return nil
	}
	t := r.Table("Two layers are put by one, read and deleted by the other, both ways", "release", "driver", "with released "+f.Version, "with compat")
	for _, version := range slices.Sorted(maps.Keys(releases)) {
		for _, l := range layouts {
			row := []any{version, l.name}
			for _, variant := range []string{"released", "compat"} {
				err := errors.Join(f.exchange(ctx, l, releases[version], f.pullers[variant]), f.exchange(ctx, l, f.pullers[variant], releases[version]))
				if row = append(row, "pass"); lacks(err) {
					row[len(row)-1] = "undecided"
					r.Lacks(1, fmt.Sprintf("exchanges with %s, %s", version, l.name))
				} else if err != nil {
					row[len(row)-1] = "fail"
					r.Problem("%s: with %s, %s: %v", variant, version, l.name, err)
				}
			}
			t.Row(row...)
		}
	}
	r.AtLeast(len(t.Rows), len(releases)*len(layouts), "releases and drivers")
	return nil
}

func (f *fleet) exchange(ctx context.Context, l layout, putter, deleter string) (err error) {
	s, err := f.newShared(l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	var ids []string
	for range 2 {
		said, err := output(s.storage(ctx, putter, append([]string{"import-layer", "--file", filepath.Join(s.base, "content.tar")}, ids...)...))
		if err != nil {
			return err
		}
		ids = append(ids, strings.Fields(said)[0])
	}
	for i, id := range slices.Backward(ids) {
		if err := s.same(ctx, deleter, id, pulledLayer()); err != nil {
			return err
		}
		if _, err := output(s.storage(ctx, deleter, "delete-layer", id)); err != nil {
			return err
		}
		said, err := output(s.storage(ctx, putter, "layers"))
		if err != nil {
			return err
		}
		if listed := strings.Fields(said); !slices.Equal(listed, ids[:i]) {
			return fmt.Errorf("%q are listed, and %q are left", listed, ids[:i])
		}
	}
	return nil
}

// output runs a program, and returns what it prints. The error has it, too.
func output(cmd *exec.Cmd) (string, error) {
	said, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said)
	}
	return string(said), err
}
