//go:build linux

package tempdir_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// elsewhereTested are the limits that other tests meet exactly, or why there is no edge.
var elsewhereTested = map[string]string{
	"maxLeftovers": "TestLeftoverMatchesEveryKind",
	"MaxRecord":    "TestOwnerRecordOfEverySize",
	"usageDepth":   "TestUsageAtItsDepth",
	"listBytes":    "bounds what one call reads, and no result",
	"traversable":  "a mode",
	"Methods":      "how many there are",
	"Block":        "of the layer store",
	"maxMetadata":  "of the layer store",

	"alone": "when more workers are worth it, and no result", "gatherEntries": "TestListedNamesAreBoundedInDepth", "keptEntries": "how much memory is used again, and no result",
	"countedAtOnce": "when the clock is looked at", "shortSlice": "when it is, in a trial", "maxWorkers": "TestPace", "firstRest": "TestPace", "restFactor": "TestPace", "settledRest": "TestPace", "maxRest": "TestPace",
	"gain": "TestPace", "slice": "when the clock is heeded", "slump": "TestPace",
	"talliedAtOnce": "TestProgressComesNowAndThen", "progressPause": "TestProgressComesNowAndThen",
	"subvolumeRoot": "TestSubvolumes", "sealed": "a flag", "subvolumeGet": "a call", "subvolumeSet": "a call",
	"burst": "TestRate", "leastWait": "TestRate", "quarantine": "TestReapBacksOff", "unasked": "TestReapLooksNowAndThen",
}

// edges try to get n of what a limit bounds; ok says that all went well.
var edges = map[string]func(t *testing.T, n int) (ok bool){
	"createAttempts": func(t *testing.T, n int) bool { // the n-th id is free
		dir, err := failing(t, kernel.LinkLock, unix.EEXIST, n-1).Create()
		return err == nil && dir.Close(background) == nil
	},
	"stageAttempts": func(t *testing.T, n int) bool { // the n-th number is free
		root := failing(t, kernel.StageDeletion, unix.EEXIST, n-1)
		return must(root.Create()).StageDeletion(makeLayer(t, beside(root, "victim"))) == nil
	},
	"sameMounts": func(t *testing.T, n int) bool { // the n-th move works, by the same mount
		root := failing(t, kernel.StageDeletion, unix.EXDEV, n-1)
		return must(root.Create()).StageDeletion(makeLayer(t, beside(root, "victim"))) == nil
	},
	"remounts": func(t *testing.T, n int) bool { // the n-th move after the first works, by another mount each time
		mount := uint64(0)
		k := &refusing{method: kernel.StageDeletion, errno: unix.EXDEV, times: n, after: func(c *kernel.Call) {
			if mount++; c.Method == kernel.Stat {
				c.Attributes.Mount = mount
			}
		}}
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)))
		return must(root.Create()).StageDeletion(makeLayer(t, beside(root, "victim"))) == nil
	},
	"hoistAttempts": func(t *testing.T, n int) bool { // the n-th name is free
		k := &refusing{method: kernel.Hoist, errno: unix.EEXIST, times: n - 1}
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)))
		dir, _ := stageNew(t, root, func(path string) { makeDeep(t, path, 32, "d") })
		require.NoError(t, dir.Close(background))
		return k.made > 0
	},
	"maxDepth": func(t *testing.T, n int) bool { // n levels below the data directory need no hoist
		k := &refusing{method: kernel.Hoist}
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)))
		dir, _ := stageNew(t, root, func(path string) { makeDeep(t, path, n-1, "d") })
		require.NoError(t, dir.Close(background))
		return k.made == 0
	},
	"idleScans": func(t *testing.T, n int) bool { // not empty n times, and nothing there
		root := failing(t, kernel.RemoveDirectory, unix.ENOTEMPTY, n)
		dir, _ := stageNew(t, root, func(path string) { require.NoError(t, os.Mkdir(path, 0o700)) })
		return dir.Close(background) == nil
	},
	"scans": func(t *testing.T, n int) bool { // not empty n times, with something new each time (F36)
		var at string
		k := &refusing{method: kernel.RemoveDirectory, errno: unix.ENOTEMPTY, times: n}
		k.before = func(c *kernel.Call) {
			if c.Method == kernel.RemoveDirectory && k.refused < n {
				require.NoError(t, os.WriteFile(filepath.Join(at, "new"), nil, 0o600))
			}
		}
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)))
		dir, entry := stageNew(t, root, func(path string) { require.NoError(t, os.Mkdir(path, 0o700)) })
		at = entry
		return dir.Close(background) == nil
	},
	"mendings": func(t *testing.T, n int) bool { // it works after n mendings
		k := &refusing{method: kernel.RemoveEntry, errno: unix.EPERM, times: n, after: func(c *kernel.Call) {
			if c.Method == kernel.StatName {
				c.Attributes.Immutable = true
			}
		}}
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)), tempdir.ClearFlags())
		dir, _ := stageNew(t, root, func(path string) { require.NoError(t, os.WriteFile(path, nil, 0o600)) })
		return dir.Close(background) == nil
	},
	"mountsAtAName": func(t *testing.T, n int) bool { // n mounts are stacked on a directory
		left := n
		k := &refusing{}
		k.refuse = func(c *kernel.Call) error {
			switch {
			case c.Method == kernel.Detach && left == 0:
				return unix.EINVAL
			case c.Method == kernel.OpenDirectory && c.Name == "0-addition" && left > 0:
				return unix.EXDEV
			}
			return nil
		}
		k.after = func(c *kernel.Call) {
			if c.Method == kernel.Detach {
				left--
				c.Err = nil
			}
		}
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)), tempdir.DetachMounts())
		dir, entry := stageNew(t, root, func(path string) { require.NoError(t, os.Mkdir(path, 0o700)) })
		require.Equal(t, "0-addition", filepath.Base(entry))
		return dir.Close(background) == nil
	},
	"hintBytes": func(t *testing.T, n int) bool { // a victim's name of n bytes is kept whole
		root := openRoot(t)
		name := strings.Repeat("v", n)
		dir := must(root.Create())
		require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, name))))
		_, err := os.Stat(filepath.Join(root.Path(), "temp-dir-"+dir.ID(), "0-"+name))
		return err == nil
	},
	"clockGrain": func(t *testing.T, n int) bool { // a stamp of that age, in milliseconds, does not count
		stamp := time.Unix(1<<30, 0)
		root := openRoot(t, kernel.WithClock[tempdir.Option](func() time.Time { return stamp.Add(time.Duration(n) * time.Millisecond) }),
			kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), &stamping{stamp: stamp})))
		must(root.MaybeDirty())
		must(root.Recover(background))
		return must(root.MaybeDirty())
	},
}

// A refusing kernel refuses a method a number of times.
type refusing struct {
	method               kernel.Method
	errno                unix.Errno
	times, refused, made int
	before, after        func(*kernel.Call)
	refuse               func(*kernel.Call) error
}

func (k *refusing) Before(c *kernel.Call) error {
	if k.before != nil {
		k.before(c)
	}
	if k.refuse != nil {
		return k.refuse(c)
	}
	if c.Method == k.method && k.refused < k.times {
		k.refused++
		return k.errno
	}
	return nil
}

func (k *refusing) After(c *kernel.Call) {
	if c.Method == k.method {
		k.made++
	}
	if k.after != nil {
		k.after(c)
	}
}

func failing(t *testing.T, method kernel.Method, errno unix.Errno, times int) *tempdir.Root {
	return openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), &refusing{method: method, errno: errno, times: times})))
}

// Every constant that bounds something: one less and the limit itself are well, one more
// is not. A number without a case fails.
func TestEveryLimitAtItsEdge(t *testing.T) {
	for _, dir := range []string{".", "../internal/kernel"} {
		for _, file := range sources(t, dir) {
			for _, d := range file.Decls {
				general, is := d.(*ast.GenDecl)
				if !is || general.Tok != token.CONST {
					continue
				}
				for _, spec := range general.Specs {
					values := spec.(*ast.ValueSpec)
					for i, name := range values.Names {
						if i < len(values.Values) && isNumber(values.Values[i]) && elsewhereTested[name.Name] == "" && name.Name != "idBytes" {
							require.NotNil(t, edges[name.Name], "no case for the limit "+name.Name)
						}
					}
				}
			}
		}
	}
	for name, try := range edges {
		limit := tempdir.Limits[name]
		require.NotZero(t, limit, name)
		for n := limit - 1; n <= limit+1; n++ {
			require.Equal(t, n <= limit, try(t, n), fmt.Sprintf("%s: %d", name, n))
		}
	}
	// An id has exactly its length.
	root := openRoot(t)
	for n := 2*tempdir.Limits["idBytes"] - 1; n <= 2*tempdir.Limits["idBytes"]+1; n++ {
		name := "lock-" + strings.Repeat("a", n)
		require.NoError(t, os.WriteFile(filepath.Join(root.Path(), name), nil, 0o600))
	}
	report := must(root.Recover(background))
	require.Equal(t, 1, report.Count(tempdir.Recovered))
	require.Len(t, report.Foreign, 2)
}

// isNumber reports whether the constant's value is one that bounds something: a number,
// a product, a shift.
func isNumber(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.INT
	case *ast.BinaryExpr:
		iota, is := e.X.(*ast.Ident)
		return (!is || iota.Name != "iota") && (isNumber(e.X) || isNumber(e.Y))
	}
	return false
}
