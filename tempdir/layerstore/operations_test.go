//go:build linux

package layerstore_test

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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
		_, _, err := layerstore.Look(s)
		staged, _ := os.ReadDir(filepath.Join(layerstore.PathOf(s), "tempdirs"))
		if isFlagged(s) && // a root seems dirty for 3 s anyway
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
	finished, err := s.Load(background)
	if err == nil && len(finished) == 0 && !isFlagged(s) {
		return nil // somebody else did, or a try that failed
	}
	return is("half")(strings.Join(finished, " "), err)
}

func isFlagged(s *layerstore.Store) bool {
	text, _ := os.ReadFile(filepath.Join(layerstore.PathOf(s), "layers.json"))
	return strings.Contains(string(text), "incomplete")
}

// comparedErrnos are the errnos that the code of tempdir and of this package compares
// with: by the function that does or, of this package, asks one that does; and by the call
// of the kernel that a table has them for.
func comparedErrnos(t *testing.T) map[string][]unix.Errno {
	t.Helper()
	numbers := map[string]unix.Errno{"EOPNOTSUPP": unix.EOPNOTSUPP}
	for n := unix.Errno(1); n < 200; n++ {
		numbers[unix.ErrnoName(n)] = n
	}
	errnos, asked := map[string][]unix.Errno{}, map[string][]string{}
	add := func(by string, n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, is := n.X.(*ast.Ident); is && x.Name == "unix" && numbers[n.Sel.Name] > 0 {
					errnos[by] = append(errnos[by], numbers[n.Sel.Name])
				}
			case *ast.Ident:
				asked[by] = append(asked[by], "layerstore."+n.Name)
			}
			return true
		})
	}
	for dir, name := range map[string]string{"..": "tempdir", ".": "layerstore"} {
		eachSource(t, []string{dir}, func(n ast.Node) {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Body != nil {
					add(name+"."+n.Name.Name, n.Body)
				}
			case *ast.CompositeLit: // of a table: the call, the errno
				if len(n.Elts) > 1 {
					if call, is := n.Elts[0].(*ast.BasicLit); is && call.Kind == token.STRING {
						add("Kernel."+strings.Trim(call.Value, `"`), n.Elts[1])
					}
				}
			}
		})
	}
	own := maps.Clone(errnos)
	for by := range asked {
		for _, of := range asked[by] {
			if by != of && strings.HasPrefix(by, "layerstore.") {
				errnos[by] = append(errnos[by], own[of]...)
			}
		}
	}
	require.Contains(t, errnos["layerstore.read"], unix.ELOOP)
	require.Contains(t, errnos["Kernel.Commit"], unix.EXDEV)
	return errnos
}

// eachSource visits what the files of the directories have, tests aside.
func eachSource(t *testing.T, dirs []string, visit func(ast.Node)) {
	t.Helper()
	for _, dir := range dirs {
		for _, name := range must(filepath.Glob(filepath.Join(dir, "*.go"))) {
			if !strings.HasSuffix(name, "_test.go") {
				ast.Inspect(must(parser.ParseFile(token.NewFileSet(), name, nil, 0)), func(n ast.Node) bool {
					visit(n)
					return true
				})
			}
		}
	}
}

// forgiven are the calls without which an operation does what it is to do, by the call and
// who makes it: what is closed is closed, a mark takes the place of an exchange, what
// comes after it is finished by the next save, what others left is for Load to tell, and
// who creates looks twice whether they are at it.
var forgiven = regexp.MustCompile(`^Disk.Close |^Disk.Replace |^Disk.StatMetadata \S*save:|(rest|roomFor):|overwrite:\d+ \S*saveByMark:|(move|unfinished):\d+ \S*exclusively:|checkAddition:\d+ .*exclusively:`)

// answered are errnos that have an answer: the operation does what it is to do.
var answered = regexp.MustCompile(`^Disk\.(MakeDirectory (EEXIST|ENOENT) |OpenLock EROFS .*\bopen:|OpenLock (EROFS|EACCES|EPERM) .*openLock:.*shared:|TakeLock EAGAIN .*awaitLock:|StatMetadata ENOENT .*hasMetadata:)`)

// secondTry is what a creation does before it tries again, with whatever success.
var secondTry = regexp.MustCompile(`finishFlagged:\d+ \S*Create:`)

// lies are refusals that cannot be every time but where the kernel lies about what is
// there, and one that others may cause for as long as they like.
var lies = []string{"Disk.StatMetadata ENOENT", "Kernel.RemoveDirectory ENOENT", "Kernel.RemoveEntry ENOENT", "Kernel.TakeLock EAGAIN"}

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

func (f *faulty) call(name, what string) error {
	if name == "Disk.AwaitLock" && !f.waits { // nobody else is there
		f.endless = "it waits for a lock that it holds itself"
		return unix.EDEADLK
	}
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
	held := func(from, bytes int64) bool {
		f := must(os.Open(filepath.Join(path, "store.lock")))
		defer f.Close()
		l := unix.Flock_t{Type: unix.F_RDLCK, Start: from, Len: bytes}
		must(0, unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l))
		return l.Type == unix.F_WRLCK
	}
	var serials [2]int
	for i, name := range []string{"layers.json", "layers.json.spare"} {
		text, _ := os.ReadFile(filepath.Join(path, name))
		fmt.Sscanf(string(text), `{"version":1,"serial":%d`, &serials[i])
	}
	by, _ := callers()
	switch {
	case !held(0, 1):
		return "a save without the store lock"
	case slices.Contains(by, "layerstore.forget") && !held(1, 0):
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
		kernel.WithDisk[layerstore.Option](kernel.AroundDisk(kernel.LinuxDisk(), func(method, path string) error {
			return f.call("Disk."+method, path)
		})),
	}
}

// A theatre has the scene, to be laid out again and again.
type theatre struct {
	driver layerstore.Driver
	dir    string
	text   string
	files  map[string]string
}

func newTheatre(t *testing.T, driver layerstore.Driver, prepare ...func(path string)) *theatre {
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
		f(path)
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
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(operations)), func(name string) bool { return operations[name].refuse != "" || name == "Open" })
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
			for _, two := range names[i:] {
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

// Every method is in the scene, and every call that it makes is refused: by an errno
// that means nothing, the first time and the last that it is made from there; by all
// errnos that the code around it compares with, in the layout with two parts if the
// operation is tried in it; every time; and all from one change on, as if it died. What the operation says of its effect is so,
// and it says so where the call cannot be done without; nothing stays open or locked; no
// call is made again and again; and when the refusal has ended, the next look finishes
// everything.
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

// groups are the operations that have a test in common.
var groups = map[string][]string{
	"read":     {"Close", "Open", "Exists", "Layer", "List", "MaybeDirty", "Path", "Read", "ReadFile"},
	"save":     {"Mount", "Unmount", "Save", "Save by mark", "Save that needs room"},
	"create":   {"Create", "Create of what is flagged", "Create of what is in place", "Create where something came"},
	"delete":   {"Delete", "DeferredDelete", "Finish"},
	"in place": {"Delete in place", "Delete in place of what is loose", "Delete by mark", "Load in place"},
	"marked":   {"Save", "Save by mark", "Open"},
	"recover":  {"Load", "Load of what is gone", "Recover", "Maintain"},
}

func TestReadsRefused(t *testing.T)                     { refuseAll(t, "read", layerstore.VFS) }
func TestSavesRefused(t *testing.T)                     { refuseAll(t, "save", layerstore.VFS) }
func TestCreationsRefused(t *testing.T)                 { refuseAll(t, "create", layerstore.VFS) }
func TestDeletionsRefused(t *testing.T)                 { refuseAll(t, "delete", layerstore.VFS) }
func TestCreationsInOverlayRefused(t *testing.T)        { refuseAll(t, "create", layerstore.Overlay) }
func TestDeletionsInOverlayRefused(t *testing.T)        { refuseAll(t, "delete", layerstore.Overlay) }
func TestDeletionsInPlaceInOverlayRefused(t *testing.T) { refuseAll(t, "in place", layerstore.Overlay) }
func TestRecoveriesInOverlayRefused(t *testing.T)       { refuseAll(t, "recover", layerstore.Overlay) }
func TestDeletionsInDirectRefused(t *testing.T)         { refuseAll(t, "delete", layerstore.Direct) }
func TestSavesAfterAMarkRefused(t *testing.T)           { refuseAll(t, "marked", layerstore.VFS, setMark) }

// setMark leaves the metadata as a process does that dies after it saved by mark.
func setMark(path string) {
	metadata, lock := filepath.Join(path, "layers.json"), filepath.Join(path, "store.lock")
	must(0, os.WriteFile(metadata+".spare", must(os.ReadFile(metadata)), 0o600))
	must(0, os.WriteFile(metadata, []byte("half wri"), 0o600))
	must(0, os.WriteFile(lock, append(must(os.ReadFile(lock))[:16], 1), 0o600))
}

func refuseAll(t *testing.T, group string, driver layerstore.Driver, prepare ...func(path string)) {
	t.Parallel()
	r := &refuser{theatre: newTheatre(t, driver, prepare...), tried: map[string]bool{}}
	if driver != layerstore.VFS || group == "read" || group == "save" {
		r.errnos = comparedErrnos(t)
	}
	for _, name := range groups[group] {
		r.refuseEach(t, name, operations[name])
	}
}

// A refuser refuses the calls of operations.
type refuser struct {
	*theatre
	errnos map[string][]unix.Errno // see comparedErrnos; nil: not these
	tried  map[string]bool
	turn   int
}

// A made is one call of the seam.
type made struct {
	call  string
	by    []string // the functions in it: of tempdir the innermost, and all of this package
	lines string   // where they are, as far as operations differ in more than their names
}

var (
	functionNames = regexp.MustCompile(`^(tempdir|layerstore)(?:\.\(\*\w+\))?\.(?:mutant\d+)?(\w+)`)
	sameForAll    = regexp.MustCompile(`^(.*? \S*(update|DeferredDelete|withLayer)|.*(move|unfinished|release|abandon|lockForWriting):\d+ \S*exclusively):\d+`)
	inlinedUpdate = regexp.MustCompile(`\w+(\.\(\*Store\)\.update\.func)`)
)

// callers are those of the seam.
func callers() (by []string, lines string) {
	at := make([]uintptr, 50)
	frames := runtime.CallersFrames(at[:runtime.Callers(2, at)])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		name := frame.Function[strings.LastIndexByte(frame.Function, '/')+1:]
		if match := functionNames.FindStringSubmatch(name); match != nil {
			if by == nil || name[0] == 'l' {
				by = append(by, match[1]+"."+match[2])
			}
			lines += fmt.Sprintf(" %s:%d", inlinedUpdate.ReplaceAllString(name, "$1"), frame.Line)
		}
	}
	return by, cmp.Or(sameForAll.FindString(lines), lines)
}

// refuseEach refuses the calls of one operation.
func (r *refuser) refuseEach(t *testing.T, name string, o operation) {
	var calls []made
	f := &faulty{refuse: o.refuse, loose: o.loose, fail: func(called string, _ int) error {
		by, lines := callers()
		calls = append(calls, made{called, by, called + lines})
		return nil
	}}
	_, wrong := r.play(t, f, o)
	require.Empty(t, wrong, "%s/%s", r.driver.Name(), name)
	played := false
	refuse := func(when, method string, errno unix.Errno, fail func(called string, n int) bool) {
		r.turn++
		if played = !testing.Short() || r.turn%9 == 0; !played {
			return
		}
		f.fail = func(called string, n int) error {
			if fail(called, n) {
				return errno
			}
			return nil
		}
		f.waits = errno == unix.EAGAIN
		f.opened = when == "every" && name != "Open"                                    // which is an operation of its own
		f.retry = when != "every" && o.refuse != "Kernel.Commit" && errno != unix.EROFS // which makes a handle one to read with
		_, wrong := r.play(t, f, o)
		assert.Empty(t, wrong, "%s/%s: %s refused %s: %s", r.driver.Name(), name, method, when, unix.ErrnoName(errno))
	}
	tell := func(c made, errno string, answered *regexp.Regexp) { // whether it had to say so
		key := c.call + " " + errno + strings.TrimPrefix(c.lines, c.call)
		if played && strings.HasPrefix(c.call, "Disk.") && !secondTry.MatchString(c.lines) && !strings.HasPrefix(key, "Disk.MakeDirectory EROFS ") {
			does := forgiven.MatchString(c.lines) || answered != nil && answered.MatchString(key)
			assert.Equal(t, does, f.said == nil, "%s/%s says %v when refused %s", r.driver.Name(), name, f.said, key)
		}
	}
	once := func(key ...any) bool {
		tried := r.tried[fmt.Sprint(key...)]
		r.tried[fmt.Sprint(key...)] = true
		return !tried
	}
	last, every := map[string]int{}, map[string][]unix.Errno{} // calls by their lines, errnos by call
	for n, c := range calls {
		last[c.lines] = n
	}
	for n, c := range calls {
		this := func(_ string, at int) bool { return at == n+1 }
		if once(c.lines, n == last[c.lines]) {
			refuse("in "+c.lines, c.call, unix.EIO, this)
			tell(c, "EIO", nil)
		}
		where := append([]string{c.call}, c.by[:min(2, len(c.by))]...)
		for _, by := range where {
			for _, errno := range r.errnos[by] {
				every[c.call] = append(every[c.call], errno)
				if once(where, errno, map[bool]string{true: c.lines}[r.driver == layerstore.VFS]) {
					refuse("in "+c.lines, c.call, errno, this)
					tell(c, unix.ErrnoName(errno), answered)
				}
			}
		}
	}
	for _, method := range slices.Sorted(maps.Keys(every)) {
		errno := every[method][r.turn%len(every[method])]
		if once(method, errno) && method != o.refuse && !slices.Contains(lies, method+" "+unix.ErrnoName(errno)) {
			refuse("every", method, errno, func(called string, _ int) bool { return called == method })
		}
	}
	total, stride := 0, 1
	for _, c := range calls {
		if mutators[c.call[strings.Index(c.call, ".")+1:]] { // other calls leave what the next one finds
			total++
		}
	}
	if testing.Short() {
		stride = 7
	}
	f.waits, f.opened, f.retry = false, false, false
	for k := 1; k <= total; k += stride {
		made := 0
		f.fail = func(called string, _ int) error {
			if mutators[called[strings.Index(called, ".")+1:]] {
				made++
			}
			if made >= k { // what a killed process does
				return unix.ESRCH
			}
			return nil
		}
		_, wrong := r.play(t, f, o)
		assert.Empty(t, wrong, "%s/%s: killed before change %d of %d", r.driver.Name(), name, k, total)
	}
}
