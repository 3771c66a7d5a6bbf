//go:build linux

package layerstore_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

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
func TestRecoveriesInOverlayRefused(t *testing.T) {
	refuseAll(t, "recover", layerstore.Overlay, tearAnother)
}
func TestDeletionsInDirectRefused(t *testing.T) { refuseAll(t, "delete", layerstore.Direct) }
func TestSavesAfterAMarkRefused(t *testing.T)   { refuseAll(t, "marked", layerstore.VFS, setMark) }

// tearAnother leaves a second flagged layer; to create it finishes the first one.
func tearAnother(t *testing.T, path string) {
	s := must(layerstore.Open(path, layerstore.WithoutRecovery(), layerstore.WithDriver(layerstore.Overlay)))
	defer s.Close()
	for _, id := range []string{"half", "torn"} {
		create(t, s, id, someFiles(1, id))
	}
	setFlag(t, path, "half")
	setFlag(t, path, "torn")
}

// setMark leaves the metadata as a process does that dies after it saved by mark.
func setMark(_ *testing.T, path string) {
	metadata, lock := filepath.Join(path, "layers.json"), filepath.Join(path, "store.lock")
	must(0, os.WriteFile(metadata+".spare", must(os.ReadFile(metadata)), 0o600))
	must(0, os.WriteFile(metadata, []byte("half wri"), 0o600))
	must(0, os.WriteFile(lock, append(must(os.ReadFile(lock))[:16], 1), 0o600))
}

// refuseAll refuses every call that the operations of a group make: by an errno
// that means nothing, the first time and the last that it is made from there; by all
// errnos that the code around it compares with, in the layout with two parts if the
// operation is tried in it; every time; and all from one change on, as if it died. What
// the operation says of its effect is so, and it says so where the call cannot be done
// without; nothing stays open or locked; no call is made again and again; and when the
// refusal has ended, the next look finishes everything.
func refuseAll(t *testing.T, group string, driver layerstore.Driver, prepare ...func(t *testing.T, path string)) {
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
	asked := 0
	refuse("for every second layer", "Disk.TestLock", unix.EIO, func(called string, _ int) bool {
		if called == "Disk.TestLock" {
			asked++
		}
		return called == "Disk.TestLock" && asked%2 == 1
	})
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
var answered = regexp.MustCompile(`^Disk\.(MakeDirectory (EEXIST|ENOENT) |OpenLock EROFS .*\bopen:|OpenLock (EROFS|EACCES|EPERM|ENOSPC|EDQUOT) .*openLock:.*shared:|TakeLock EAGAIN .*awaitLock:|StatMetadata ENOENT .*hasMetadata:)`)

// secondTry is what a creation does before it tries again, with whatever success.
var secondTry = regexp.MustCompile(`finishFlagged:\d+ \S*Create:`)

// lies are refusals that cannot be every time but where the kernel lies about what is
// there, and one that others may cause for as long as they like.
var lies = []string{"Disk.StatMetadata ENOENT", "Kernel.RemoveDirectory ENOENT", "Kernel.RemoveDirectory EEXIST", "Kernel.RemoveDirectory ENOTEMPTY",
	"Kernel.RemoveEntry ENOENT", "Kernel.TakeLock EAGAIN"}
