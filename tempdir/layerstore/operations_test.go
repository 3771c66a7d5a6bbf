//go:build linux

package layerstore_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// The scene of every operation: a layer with a child, one that is mounted, one that
// is flagged, and an instance whose process was killed.
const sceneState = "keep old child busy+"

// An operation is one exported method in the scene. It returns errLie if what the method
// said is not so.
type operation struct {
	run    func(s *layerstore.Store) error
	after  string // "": the scene stays what it is
	refuse string // a method that is always refused
	loose  bool   // the file system orders nothing
}

var errLie = errors.New("it is not so")

// long is a label that needs a block more.
var long = strings.Repeat("x", kernel.Block)

func is[T comparable](want T) func(got T, err error) error {
	return func(got T, err error) error {
		if err == nil && got != want {
			return fmt.Errorf("%w: %v", errLie, got)
		}
		return err
	}
}

// operations are all methods of a Store and of a Receipt, by name; and more ways of some.
var operations = map[string]operation{
	"Close": {run: func(s *layerstore.Store) error { return s.Close() }},
	"Open":  {run: func(s *layerstore.Store) error { return nil }}, // the seam is there from its first call
	"Create": {run: func(s *layerstore.Store) error {
		_, err := s.Create(background, layerstore.Layer{ID: "new", Parent: "old"}, someFiles(1, "new"))
		return err
	}, after: sceneState + " new"},
	"Create of what is flagged": {run: func(s *layerstore.Store) error {
		_, err := s.Create(background, layerstore.Layer{ID: "half"}, someFiles(1, "half"))
		return err
	}, after: sceneState + " half"},
	"Create of what is in place": {run: func(s *layerstore.Store) error {
		_, err := s.Create(background, layerstore.Layer{ID: "half"}, someFiles(1, "half"))
		return err
	}, after: sceneState + " half", refuse: "Kernel.StageDeletion"},
	"Create where something came": {run: func(s *layerstore.Store) error {
		_, err := s.Create(background, layerstore.Layer{ID: "new", Parent: "old"}, someFiles(1, "new"))
		if errors.Is(err, layerstore.ErrUnrecorded) && !errors.Is(err, unix.EIO) {
			return nil
		}
		return err
	}, refuse: "Kernel.Commit"},
	"Delete":                           {run: deleteAll("old", "child"), after: "keep busy+"},
	"Delete in place":                  {run: deleteAll("old", "child"), after: "keep busy+", refuse: "Kernel.StageDeletion"},
	"Delete by mark":                   {run: deleteAll("old", "child"), after: "keep busy+", refuse: "Disk.Replace"},
	"Delete in place of what is loose": {run: deleteAll("old", "child"), after: "keep busy+", refuse: "Kernel.StageDeletion", loose: true},
	"DeferredDelete": {run: func(s *layerstore.Store) error {
		receipt, err := s.DeferredDelete(background, "child")
		if receipt != nil {
			receipt.Finish(background)
		}
		return err
	}, after: "keep old busy+"},
	"Finish": {run: func(s *layerstore.Store) error {
		receipt, err := s.DeferredDelete(background, "child")
		if receipt != nil {
			if _, finished := receipt.Finish(background); err == nil {
				err = finished
			}
		}
		return err
	}, after: "keep old busy+"},
	"Exists": {run: func(s *layerstore.Store) error { return is(true)(s.Exists(background, "child")) }},
	"Layer": {run: func(s *layerstore.Store) error {
		layer, err := s.Layer(background, "child")
		return is("old")(layer.Parent, err)
	}},
	"List": {run: func(s *layerstore.Store) error {
		layers, err := s.List(background)
		return is(4)(len(layers), err)
	}},
	"MaybeDirty": {run: func(s *layerstore.Store) error { return is(true)(s.MaybeDirty(), nil) }},
	"Path": {run: func(s *layerstore.Store) error {
		path, err := s.Path(background, "old")
		return is("old")(filepath.Base(strings.TrimSuffix(path, "/diff")), err)
	}},
	"Read": {run: func(s *layerstore.Store) error {
		return s.Read(background, "old", func(files fs.FS) error {
			_, err := fs.Stat(files, "dir0/file0")
			return err
		})
	}},
	"ReadFile": {run: func(s *layerstore.Store) error {
		text, err := s.ReadFile(background, "old", "dir0/file0")
		return is("old")(string(text), err)
	}},
	"Mount": {run: func(s *layerstore.Store) error { _, err := s.Mount(background, "old"); return err },
		after: "keep old+ child busy+"},
	"Unmount": {run: func(s *layerstore.Store) error { return s.Unmount(background, "busy") },
		after: "keep old child busy"},
	"Save": {run: func(s *layerstore.Store) error { return s.Save(background, "old", label("x")) },
		after: "keep old=x child busy+"},
	"Save that needs room": {run: func(s *layerstore.Store) error { return s.Save(background, "old", label(long)) },
		after: "keep old=x... child busy+"},
	"Save by mark": {run: func(s *layerstore.Store) error { return s.Save(background, "old", label("x")) },
		after: "keep old=x child busy+", refuse: "Disk.Replace"},
	"Load":          {run: load},
	"Load in place": {run: load, refuse: "Kernel.StageDeletion"},
	"Load of what is gone": {run: func(s *layerstore.Store) error {
		path := layerstore.PathOf(s)
		link, _ := os.ReadFile(filepath.Join(path, "overlay/half/link"))
		for _, part := range []string{"vfs/dir/half", "overlay/half", "overlay/l/" + cmp.Or(string(link), "none")} {
			must(0, os.RemoveAll(filepath.Join(path, part)))
		}
		return load(s)
	}, loose: true},
	"Recover": {run: func(s *layerstore.Store) error {
		report, err := s.Recover(background)
		if err == nil && (len(report.Flagged) > 0 || len(report.Unrecorded) > 0) {
			err = fmt.Errorf("%w: %v", errLie, report)
		}
		return err
	}},
	"Maintain": {run: func(s *layerstore.Store) error {
		before := flagged(s)
		_, _, err := layerstore.Look(s)
		staged, _ := os.ReadDir(filepath.Join(layerstore.PathOf(s), "tempdirs"))
		if isFlagged(s, before) && // a root seems dirty for 3 s anyway
			!layerstore.MayBeFlagged(s) || len(staged) > 0 && !s.MaybeDirty() {
			return fmt.Errorf("%w: something is left, after %v", errLie, err)
		}
		return err
	}},
}

func deleteAll(ids ...string) func(*layerstore.Store) error {
	return func(s *layerstore.Store) error { _, err := s.Delete(background, ids...); return err }
}

func load(s *layerstore.Store) error {
	before := flagged(s)
	finished, err := s.Load(background)
	slices.Sort(finished)
	// Somebody else may have finished some, or a try that failed.
	return is(true)(!isFlagged(s, before) && strings.Contains("half torn", strings.Join(finished, " ")), err)
}

type flaggedLayer struct {
	ID         string
	Serial     uint64
	Incomplete bool
}

// flagged are the layers that have the flag.
func flagged(s *layerstore.Store) []flaggedLayer {
	var m struct{ Layers []flaggedLayer }
	text, _ := os.ReadFile(filepath.Join(layerstore.PathOf(s), "layers.json"))
	_ = json.Unmarshal(text, &m)
	return slices.DeleteFunc(m.Layers, func(l flaggedLayer) bool { return !l.Incomplete })
}

// isFlagged reports whether one that had the flag before still has it. What got it since is
// one that somebody else adds, under a lock that this look does not take.
func isFlagged(s *layerstore.Store, before []flaggedLayer) bool {
	now := flagged(s)
	return slices.ContainsFunc(before, func(l flaggedLayer) bool { return slices.Contains(now, l) })
}

// A faulty kernel and disk refuse some calls while they are armed.
type faulty struct {
	armed   bool
	refuse  string // a method, always
	loose   bool   // the file system orders nothing
	fail    func(name string, n int) error
	n       int            // calls so far
	again   map[string]int // refused calls, with all that they say
	endless string
	retry   bool // once they have refused something
	waits   bool // a lock may seem to be somebody else's
	opened  bool // they are armed when the store is open
	said    error
	wrong   string // with a save
}

// A faultyDisk is the disk of a faulty one.
type faultyDisk struct {
	kernel.Disk
	*faulty
}

func (d faultyDisk) AwaitLock(fd int, r kernel.ByteRange) error {
	if d.waits {
		return d.Disk.AwaitLock(fd, r)
	}
	err := takeAlone(fd, r)
	if err == unix.EDEADLK {
		d.endless = "it waits for a lock that it holds itself"
	}
	return err
}

func (f *faulty) call(name, what string) error {
	if !f.armed {
		return nil
	}
	if f.n++; name == "Disk.Replace" {
		f.wrong = cmp.Or(f.wrong, wrongSave(filepath.Dir(what)))
	}
	err := f.fail(name, f.n)
	if err == nil && name == f.refuse {
		err = map[string]error{"Disk.Replace": unix.EINVAL, "Kernel.StageDeletion": unix.EXDEV, "Kernel.Commit": unix.EEXIST}[name]
	}
	if err != nil {
		what = fmt.Sprintf("%s %s: %v", name, what, err)
		if f.again[what]++; f.again[what] > 20 {
			f.endless = what
			return nil
		}
	}
	return err
}

// wrongSave says what is wrong with a save that is about to take effect: it is made by
// who has the store lock and, if it drops what was removed in place, the claim; and no
// serial is given out again.
func wrongSave(path string) string {
	var serials [2]int
	for i, name := range []string{"layers.json", "layers.json.spare"} {
		text, _ := os.ReadFile(filepath.Join(path, name))
		fmt.Sscanf(string(text), `{"version":1,"serial":%d`, &serials[i])
	}
	by, _ := callers()
	switch {
	case !heldForWriting(path, 0, 1):
		return "a save without the store lock"
	case slices.Contains(by, "layerstore.forget") && !heldForWriting(path, 1, 0):
		return "the claim went before the record"
	case serials[0] > serials[1]:
		return fmt.Sprint("serials from ", serials[0], " back to ", serials[1])
	}
	return ""
}

func (f *faulty) Before(c *kernel.Call) error {
	if c.Method == kernel.Close { // it is closed, whatever it says
		return nil
	}
	return f.call("Kernel."+c.Method.String(), fmt.Sprint(c.Name, " ", c.To, " ", c.Fd))
}

func (f *faulty) After(c *kernel.Call) {
	if c.Method == kernel.OpenRoot && f.loose {
		c.Ordered = false
	}
	if c.Method == kernel.Close {
		c.Err = f.call("Kernel.Close", fmt.Sprint(f.n)) // of many descriptors
	}
}

func (f *faulty) options() []layerstore.Option {
	return []layerstore.Option{
		kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), f)),
		kernel.WithDisk[layerstore.Option](faultyDisk{kernel.AroundDisk(kernel.LinuxDisk(), func(method, path string) error {
			return f.call("Disk."+method, path)
		}), f}),
	}
}

// A theatre has the scene, to be laid out again and again.
type theatre struct {
	driver layerstore.Driver
	dir    string
	text   string
	files  map[string]string
}

func newTheatre(t *testing.T, driver layerstore.Driver, prepare ...func(t *testing.T, path string)) *theatre {
	th := &theatre{driver: driver, dir: scratch(t), files: map[string]string{}}
	path, options := at([]string{th.dir}, driver)
	s := must(layerstore.Open(path, options...))
	for _, layer := range []layerstore.Layer{{ID: "keep"}, {ID: "old"}, {ID: "child", Parent: "old"}, {ID: "busy"}, {ID: "half"}, {ID: "gone"}} {
		_, err := s.Create(background, layer, someFiles(1, layer.ID))
		require.NoError(t, err)
	}
	must(s.Mount(background, "busy"))
	must(s.DeferredDelete(background, "gone"))
	setFlag(t, path, "half")
	for _, f := range prepare {
		f(t, path)
	}
	th.text = testfs.Text(t, th.dir)
	has, wrong := th.play(t, nil, operation{run: func(s *layerstore.Store) error { return nil }})
	require.Equal(t, []string{sceneState, ""}, []string{has, wrong})
	return th
}

// openBelow returns what this process has open below dir.
func openBelow(dir string) (paths []string) {
	for _, fd := range must(os.ReadDir("/proc/self/fd")) {
		if target, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(target, dir+"/") {
			paths = append(paths, target)
		}
	}
	return paths
}

// play lays the scene out, lets the operation run, and looks at what is left: first as
// it is, then after recovery.
func (th *theatre) play(t *testing.T, f *faulty, o operation) (has, wrong string) {
	dir := must(os.MkdirTemp(th.dir, ""))
	defer os.RemoveAll(dir)
	testfs.Lay(t, dir, th.text)
	path, options := at([]string{dir}, th.driver)
	if f != nil {
		options = append(options, f.options()...)
		f.n, f.again, f.endless, f.wrong, f.armed = 0, map[string]int{}, "", "", !f.opened
	}
	after := sceneState
	if o.after != "" {
		after = o.after
	}
	s, err := layerstore.Open(path, append(options, layerstore.WithoutRecovery())...)
	own := 0
	if err == nil {
		own = 2 // of the lock file and of the root
		if f != nil {
			f.armed = true
		}
		err = o.run(s)
	}
	if left := openBelow(dir); len(left) > own { // and may be locked: before anybody waits for it
		return "", fmt.Sprintf("%v is still open after %v", left, err)
	}
	if f != nil {
		f.armed = false
		if f.endless != "" {
			return "", "endless: " + f.endless
		}
		if f.wrong != "" {
			return "", f.wrong
		}
	}
	said := err
	if said != nil {
		if lines := strings.Split(said.Error(), "\n"); len(lines) != len(slices.Compact(slices.Sorted(slices.Values(lines)))) {
			return "", fmt.Sprintf("it says the same twice: %v", said)
		}
	}
	if f != nil {
		f.said = said
	}
	look, err := layerstore.Open(path, layerstore.WithoutRecovery())
	if err != nil {
		return "", fmt.Sprintf("the store does not open: %v, after %v", err, said)
	}
	defer look.Close()
	allowed := []string{after}
	var failure *layerstore.Error
	switch effect := layerstore.EffectOf(said); {
	case errors.Is(said, errLie):
		return "", said.Error()
	case said != nil && !errors.As(said, &failure) && effect != layerstore.NoEffect:
		return "", fmt.Sprintf("of what does it speak: %v", said)
	case effect == layerstore.NoEffect:
		allowed = []string{sceneState}
	case effect == layerstore.MayHaveEffect:
		allowed = append(allowed, sceneState)
	}
	if now := described(look); !slices.Contains(allowed, now) {
		return "", fmt.Sprintf("it said %v, and the store has %s", said, now)
	}
	if said == nil && strings.HasPrefix(after, "keep busy") {
		left, _ := filepath.Glob(path + "/tempdirs/*/*-old")
		if _, err := os.Lstat(filepath.Join(path, th.driver.Files(layerstore.Placed{ID: "old"}))); err == nil || len(left) > 0 {
			return "", fmt.Sprint("it said that the data is gone, and there is ", left)
		}
	}
	if s != nil && f != nil && f.retry && layerstore.EffectOf(said) == layerstore.NoEffect {
		allowed = []string{after}
		if err := o.run(s); err != nil {
			return "", fmt.Sprintf("after %v, the next try says %v", said, err)
		}
	}
	if s != nil {
		s.Close()
	}
	look.Close()
	if left := openBelow(dir); len(left) > 0 {
		return "", fmt.Sprintf("%v is still open after Close, after %v", left, said)
	}
	has, wrong = recovered([]string{dir}, th.driver, th.files)
	if wrong == "" && !slices.Contains(allowed, has) {
		wrong = fmt.Sprintf("it said %v, and the store has %s after recovery", said, has)
	}
	if wrong != "" {
		wrong += fmt.Sprintf(", after %v", said)
	}
	return has, wrong
}

// kinds are what an error can be; the first that matches tells: a recovery says of
// every error that something is left, also of a handle that was closed beside it.
var kinds = []error{errLie, fs.ErrClosed, layerstore.ErrLayerUnknown, layerstore.ErrLayerExists, layerstore.ErrNoParent, layerstore.ErrHasChildren, layerstore.ErrMounted,
	layerstore.ErrNotMounted, layerstore.ErrBusy, layerstore.ErrUnrecorded, layerstore.ErrDamaged, layerstore.ErrLeftover}

func kindOf(err error) string {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return fmt.Sprint(err)
}

// Two operations on one handle by two goroutines do what they do one after the other,
// in one order or the other: every pair of methods.
func TestEveryPairOfOperations(t *testing.T) {
	t.Parallel()
	for _, driver := range []layerstore.Driver{layerstore.Overlay} { // which has two parts
		th := newTheatre(t, driver)
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(operations)), func(name string) bool {
			return operations[name].refuse != "" || operations[name].loose || name == "Open" // a loose one changes the store by hand, without its lock
		})
		turns := kernel.HookFunc(func(*kernel.Call) error { runtime.Gosched(); return nil })
		outcome := func(run func(s *layerstore.Store) (first, second error)) string {
			dir := must(os.MkdirTemp(th.dir, ""))
			defer os.RemoveAll(dir)
			testfs.Lay(t, dir, th.text)
			path, options := at([]string{dir}, driver)
			s := must(layerstore.Open(path, append(options, layerstore.WithoutRecovery(), kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), turns)))...))
			first, second := run(s)
			s.Close()
			has, wrong := recovered([]string{dir}, driver, th.files)
			return fmt.Sprintf("%s, %s: %s%s", kindOf(first), kindOf(second), has, wrong)
		}
		for i, one := range names {
			for k, two := range names[i:] {
				if k > 0 && testing.Short() {
					break
				}
				a, b := operations[one].run, operations[two].run
				allowed := []string{
					outcome(func(s *layerstore.Store) (error, error) { first := a(s); return first, b(s) }),
					outcome(func(s *layerstore.Store) (error, error) { second := b(s); return a(s), second }),
				}
				found := outcome(func(s *layerstore.Store) (first, second error) {
					var both sync.WaitGroup
					both.Go(func() { first = a(s) })
					both.Go(func() { second = b(s) })
					both.Wait()
					return first, second
				})
				assert.Contains(t, allowed, found, "%s/%s beside %s", driver.Name(), one, two)
			}
		}
	}
}

// A method that is new needs an operation, and an operation a test that refuses its calls.
func TestEveryMethodIsInTheScene(t *testing.T) {
	for _, of := range []reflect.Type{reflect.TypeFor[*layerstore.Store](), reflect.TypeFor[*layerstore.Receipt]()} {
		for i := range of.NumMethod() {
			assert.Contains(t, operations, of.Method(i).Name)
		}
	}
	for name := range operations {
		assert.Contains(t, slices.Concat(slices.Collect(maps.Values(groups))...), name)
	}
}
