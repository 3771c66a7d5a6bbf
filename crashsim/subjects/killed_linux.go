//go:build amd64 || arm64

package subjects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/tempdir"
)

// An errand is what a process does that ends then: it deletes, or puts a layer.
type errand struct {
	name    string
	driver  bool // it is our driver, else the command of the store
	words   []string
	victims []string // layers
	image   string   // that they belong to
	puts    string   // a layer
}

var errands = []errand{
	{name: "delete-layer", words: []string{"delete-layer", "v-alone"}, victims: []string{"v-alone"}},
	{name: "delete-image", words: []string{"delete-image", "v-image"}, victims: []string{"v-low", "v-high"}, image: "v-image"},
	{name: "driver", driver: true, words: []string{"delete", "v-alone"}, victims: []string{"v-alone"}},
	{name: "put", driver: true, words: []string{"put", "n-new", "-", strconv.Itoa(killedFiles), "10"}, puts: "n-new"},
}

// What is done after a kill until nothing is left of the errand: first by a
// server that had the store open all the time, then by others.
var afterKill = []struct {
	name    string
	server  []string
	command []string
	grace   bool // it is over
}{
	{name: "at once"},
	{name: "list", server: []string{"list"}},
	{name: "2nd list", server: []string{"list"}},
	{name: "put", server: []string{"put", "x-extra", "-", "1", "1"}},
	{name: "delete", server: []string{"delete", "x-extra"}},
	{name: "other process", command: []string{"layers"}},
	// To compat a lock file without data may be one that a released process is about
	// to lock, as long as it is young.
	{name: "a minute", grace: true},
	{name: "gc", command: []string{"gc"}},
	{name: "check -r", command: []string{"check", "--repair", "--max", "1ns"}},
}

// killedFiles is how many files each layer has.
const killedFiles = 3

// Killed ends the processes of a group, as systemd does (cgroup.kill), at each
// mutating call of a process that deletes, or puts a layer, and ends, and sees what a
// server that had the store open makes of it: both of one variant, and of two. What is
// lost is a problem; so is what stays for ever with compat and not with the release, if
// all is run. It needs root and a cgroup of version 2; the error matches
// [ErrUnavailable] where one of them is missing. It takes a few minutes.
func (w *Workshop) Killed(ctx context.Context, o Run) (*Report, error) {
	r := &Report{}
	for _, only := range o.Words {
		if !slices.ContainsFunc(killedNames(), func(name string) bool {
			k := cutoff{repeat: name}
			_, wanted := k.selected([]string{only})
			return wanted
		}) {
			return r, fmt.Errorf("no errand is called %q: they are %s", only, strings.Join(killedNames(), ", "))
		}
	}
	if err := onlyRoot(); err != nil {
		return r, err
	}
	g, err := newGroup()
	if err != nil {
		return r, fmt.Errorf("%w: no group of processes can be killed: %w", ErrUnavailable, err)
	}
	defer g.remove()
	columns := []string{"who", "points", "not begun", "lost"}
	for _, a := range afterKill {
		columns = append(columns, a.name)
	}
	t := r.Table("Killed at each mutating call: until which operation all of it is back", append(columns, "never", "server's ms")...)
	losses := map[string]bool{}  // of the release
	stays := map[string]string{} // what stays for ever, and the first point that leaves it
	for _, pair := range killedPairs {
		for _, driver := range killedDrivers {
			for _, e := range errands {
				k := &cutoff{group: g, errand: e, scene: scene{layout: driver}, log: o.Log, repeat: pair.named(driver, e)}
				points, wanted := k.selected(o.Words)
				if !wanted {
					continue
				}
				if err := k.prepare(ctx, w, pair, o.Dir); err != nil {
					return r, fmt.Errorf("%s: %w", k.repeat, err)
				}
				err := k.all(ctx, points)
				if err := errors.Join(err, k.end()); err != nil {
					return r, fmt.Errorf("%s: %w", k.repeat, err)
				}
				t.Row(k.row()...)
				for _, l := range k.lost {
					// What the release loses by itself, it loses with compat.
					kind, blame := driver+"/"+e.name+": "+l.what, "compat"
					if pair.errand == "released" && pair.others == "released" {
						losses[kind] = true
					}
					if losses[kind] {
						blame = "released"
					}
					r.Problem("%s: %s, %s: %s", blame, l.when, l.what, w.killedAt(l.point))
				}
				for what, point := range k.stays {
					if stays[what] == "" && pair.errand == "compat" && len(o.Words) == 0 {
						r.Problem("compat: %s stays for ever, and not in the release: %s", what, w.killedAt(point))
					}
					stays[what] = cmp.Or(stays[what], point)
				}
				r.AtLeast(k.points, 1, "points of "+k.repeat)
			}
		}
	}
	for what, point := range stays {
		r.Note("%s stays for ever: %s", what, w.killedAt(point))
	}
	slices.Sort(r.Notes)
	return r, nil
}

// killedAt is the command that repeats a point.
func (w *Workshop) killedAt(point string) string {
	return fmt.Sprintf("afterlock upstream --version %s --killed %s", w.Version, point)
}

// A killedPair is the variant of the process that is killed, and the one of all
// others.
type killedPair struct{ errand, others string }

func (p killedPair) String() string {
	if p.errand == p.others {
		return p.errand
	}
	return p.errand + "-" + p.others
}

// named is what one errand is called.
func (p killedPair) named(driver string, e errand) string {
	return p.String() + "/" + driver + "/" + e.name
}

var (
	killedPairs   = []killedPair{{"released", "released"}, {"compat", "compat"}, {"released", "compat"}, {"compat", "released"}}
	killedDrivers = []string{"overlay", "vfs"}
)

func killedNames() (names []string) {
	for _, pair := range killedPairs {
		for _, driver := range killedDrivers {
			for _, e := range errands {
				names = append(names, pair.named(driver, e))
			}
		}
	}
	return names
}

// A cutoff is one errand, killed at each of its points.
type cutoff struct {
	errand
	group *group
	scene
	repeat          string
	command, binary string // of the others; binary is of the driver
	program         string // of the errand
	log             io.Writer

	before listing // of the store with its victims

	points, notBegun, never int
	back                    []int // by operation
	lost                    []loss
	stays                   map[string]string
	longest                 time.Duration
}

// A loss is what is lost after a kill at a point, and when that was seen.
type loss struct{ point, when, what string }

func (k *cutoff) row() []any {
	cells := []any{k.repeat, k.points, k.notBegun, len(k.lost)}
	for _, n := range k.back {
		cells = append(cells, n)
	}
	return append(cells, k.never, fmt.Sprintf("%.1f", float64(k.longest.Microseconds())/1000))
}

// selected says whether a point of this is wanted, and which: all, if it says none.
func (k *cutoff) selected(only []string) (points []int, wanted bool) {
	for _, o := range only {
		rest, ours := strings.CutPrefix(o, k.repeat+"/")
		if n, err := strconv.Atoi(rest); ours && err == nil {
			points, wanted = append(points, n), true
		} else if strings.HasPrefix(k.repeat+"/", o+"/") {
			return nil, true
		}
	}
	return points, wanted || len(only) == 0
}

// prepare makes the store that every run begins with.
func (k *cutoff) prepare(ctx context.Context, w *Workshop, pair killedPair, dir string) (err error) {
	k.back, k.stays = make([]int, len(afterKill)), map[string]string{}
	if k.command, err = w.Command(ctx, pair.others); err != nil {
		return err
	}
	if k.binary, err = w.Driver(ctx, pair.others); err != nil {
		return err
	}
	build := w.Command
	if k.driver {
		build = w.Driver
	}
	if k.program, err = build(ctx, pair.errand); err != nil {
		return err
	}
	if k.dir, err = os.MkdirTemp(dir, "killed-"); err != nil {
		return err
	}
	if k.dir, err = filepath.EvalSymlinks(k.dir); err != nil {
		return err
	}
	server, err := k.serve(ctx, k.binary)
	if err != nil {
		return err
	}
	defer server.end()
	files := strconv.Itoa(killedFiles)
	for _, words := range []string{"k-keep - ", "v-alone - ", "v-low - ", "v-high v-low "} {
		if _, err := server.ask("put", words, files, "10"); err != nil {
			return err
		}
	}
	for image, layer := range map[string]string{"k-image": "k-keep", "v-image": "v-high"} {
		if err := k.alone(ctx, "create-image", "-i", image, layer); err != nil {
			return err
		}
	}
	if _, err := server.ask("list"); err != nil {
		return err
	}
	// The home is mounted upon itself, which the copy is not to have.
	server.end()
	k.unmount()
	if k.before, err = list(k.path("graph")); err != nil {
		return err
	}
	return os.Rename(k.path("graph"), k.path("template"))
}

// unmount takes away what the store's driver leaves mounted, wherever it runs.
func (k *cutoff) unmount() {
	for unix.Unmount(k.path("graph/"+k.layout), unix.MNT_DETACH) == nil {
	}
}

func (k *cutoff) end() error {
	k.unmount()
	return os.RemoveAll(k.dir)
}

func (k *cutoff) alone(ctx context.Context, words ...string) error {
	_, err := output(exec.CommandContext(ctx, k.command, k.options(words...)...))
	return err
}

// all kills at the points, or at every one, until the process comes to its end.
func (k *cutoff) all(ctx context.Context, points []int) error {
	for i := 0; points == nil || i < len(points); i++ {
		point := i + 1
		if points != nil {
			point = points[i]
		}
		call, err := k.once(ctx, point)
		if err != nil {
			return fmt.Errorf("point %d, %s: %w", point, call, err)
		}
		if call == "" {
			return nil
		}
		k.points++
	}
	return nil
}

// once kills at one point, and does what comes after it. The call is "" if the
// process has fewer points.
func (k *cutoff) once(ctx context.Context, point int) (call string, err error) {
	k.unmount()
	if err := errors.Join(os.RemoveAll(k.path("graph")), os.RemoveAll(k.path("run"))); err != nil {
		return "", err
	}
	if output, err := exec.CommandContext(ctx, "cp", "-a", k.path("template"), k.path("graph")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cp: %w: %s", err, output)
	}
	server, err := k.serve(ctx, k.binary)
	if err != nil {
		return "", err
	}
	defer server.end()
	if _, err := server.ask("list"); err != nil {
		return "", err
	}
	call, err = k.kill(point)
	if err != nil || call == "" {
		return call, err
	}
	id := fmt.Sprintf("%s/%d", k.repeat, point)
	var waited time.Duration
	var last state
	for i, a := range afterKill {
		switch {
		case a.server != nil:
			took, err := server.ask(a.server...)
			if err != nil {
				return call, fmt.Errorf("%s: %w", a.name, err)
			}
			waited += took
		case a.command != nil:
			start := time.Now()
			if err := k.alone(ctx, a.command...); err != nil && a.name != "check -r" {
				return call, err
			}
			waited += time.Since(start)
		case a.grace:
			if !slices.ContainsFunc(last.left, bareLock.MatchString) {
				continue
			}
			if err := k.recover(ctx); err != nil {
				return call, err
			}
		}
		if last, err = k.look(a.name == "check -r"); err != nil {
			return call, err
		}
		if last.lost != "" {
			k.lost = append(k.lost, loss{id, fmt.Sprintf("killed before %s, after %s", call, a.name), last.lost})
			return call, nil
		}
		if len(last.left) == 0 {
			k.back[i]++
			if last.notBegun {
				k.notBegun++
			}
			if a.server != nil {
				k.longest = max(k.longest, waited)
			}
			fmt.Fprintf(k.log, "%s, %s: %s\n", id, call, a.name)
			return call, k.whole(server, last.notBegun, id)
		}
	}
	k.never++
	for _, name := range last.left {
		if kind := varying.ReplaceAllString(name, "N"); k.stays[kind] == "" {
			k.stays[kind] = id
		}
	}
	fmt.Fprintf(k.log, "%s, %s: never: %s\n", id, call, strings.Join(last.left, ", "))
	return call, k.whole(server, last.notBegun && k.puts != "", id)
}

// bareLock is a lock file in a root of the store.
var bareLock = regexp.MustCompile(`^[a-z]+(/tempdirs|-layers/tmp)/lock-[^/]+$`)

// recover removes what is stale in the roots of the store, whatever its age.
func (k *cutoff) recover(ctx context.Context) error {
	for _, name := range []string{k.layout + "/tempdirs", k.layout + "-layers/tmp"} {
		root, err := tempdir.Open(k.path("graph/"+name), tempdir.MixedFleet(0, 0))
		if err != nil {
			return err
		}
		_, err = root.Recover(ctx)
		if err := errors.Join(err, root.Close()); err != nil {
			return err
		}
	}
	return nil
}

// varying is what two runs do not share of a name.
var varying = regexp.MustCompile(`[0-9a-f]{32,}|[A-Z2-7]{26}|[0-9]{4,}`)

// whole reads back by the server what has to be there.
func (k *cutoff) whole(server *serving, notBegun bool, id string) error {
	ids := []string{"k-keep"}
	if notBegun {
		ids = append(ids, k.victims...)
	}
	if k.puts != "" && !notBegun {
		ids = append(ids, k.puts)
	}
	for _, layer := range ids {
		if _, err := server.ask("check", layer, strconv.Itoa(killedFiles)); lacks(err) {
			return err
		} else if err != nil {
			k.lost = append(k.lost, loss{id, "in the end", err.Error()})
		}
	}
	return nil
}

// kill runs the errand and kills it, with all of its group, before it makes its
// call of that number.
func (k *cutoff) kill(point int) (call string, err error) {
	steering, err := blackbox.NewSteering(k.path("graph"), true, steeredPatience)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer steering.Close()
	arguments := k.options(k.words...)
	if k.driver {
		arguments = k.arguments(k.words...)
	}
	p, err := steering.Start(k.program, []string{"STORAGE_CONF=/dev/null"}, arguments...)
	if err != nil {
		return "", err
	}
	if err := k.group.add(p.Pid()); err != nil { // what it starts is in the group, too
		return "", err
	}
	for i := 1; ; i++ {
		c, stopped := p.Stopped()
		if !stopped {
			if code, exited := p.Exit(); !exited || code != 0 {
				return "", fmt.Errorf("it ends with %d: %s", code, p.Output())
			}
			return "", nil
		}
		if i == point {
			for j, path := range c.Paths {
				c.Paths[j] = varying.ReplaceAllString(strings.TrimPrefix(path, k.path("graph/")), "N")
			}
			call = strings.TrimSpace(c.Name + " " + strings.Join(c.Paths, " "))
			err := k.group.kill()
			p.Kill() // it is gone, and is waited for
			return call, err
		}
		if err := p.Step(); err != nil {
			return "", err
		}
	}
}
