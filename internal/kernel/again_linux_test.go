package kernel_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notHere are the calls that are not made again where they stand: by function and
// call, with the reason.
var notHere = map[string]string{
	"ChangeMode.Openat":                   "againFD calls it, as open",
	"ChangeMode.Fchmodat":                 "Again calls it, as change",
	"Detach.Unshare":                      "never interrupted",
	"Detach.Fchdir":                       "by descriptor: never interrupted",
	"OnThread.Gettid":                     "cannot fail",
	"OnThread.Getpid":                     "cannot fail",
	"OpenLock.Fstat":                      "whether to set a hint",
	"overwriteInPlace.Fstatfs":            "a hint",
	"overwriteInPlace.IoctlGetUint32":     "a hint",
	"overwriteInPlace.IoctlSetPointerInt": "a hint",
	"overwriteInPlace.Ftruncate":          "a hint",
	"SyncDirectory.Fsync":                 "WithDescriptor makes it again",
	"described.Mkdev":                     "no system call",
}

// A system call is made again when a signal interrupts it; a close is not, since the
// number can be another goroutine's file by then.
func TestCallsAreMadeAgainAndClosesAreNot(t *testing.T) {
	paths, err := filepath.Glob("*_linux.go")
	require.NoError(t, err)
	calls, met := 0, map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			function, is := declaration.(*ast.FuncDecl)
			if !is {
				continue
			}
			var visit func(n ast.Node, again bool)
			visit = func(n ast.Node, again bool) {
				ast.Inspect(n, func(n ast.Node) bool {
					call, is := n.(*ast.CallExpr)
					if !is {
						return true
					}
					if name, is := call.Fun.(*ast.Ident); is && (name.Name == "Again" || name.Name == "againFD") {
						visit(call.Args[0], true)
						return false
					}
					of, is := call.Fun.(*ast.SelectorExpr)
					if !is || !isUnix(of.X) {
						return true
					}
					at := function.Name.Name + "." + of.Sel.Name
					calls++
					switch {
					case of.Sel.Name == "Close":
						assert.False(t, again, "%s: %s is made again", path, at)
					case !again:
						assert.NotEmpty(t, notHere[at], "%s: %s is not made again", path, at)
						met[at] = true
					}
					return true
				})
			}
			visit(function, false)
		}
	}
	assert.Greater(t, calls, 60)
	assert.Len(t, met, len(notHere), "a row that stands for nothing: %v", notHere)
}

func isUnix(e ast.Expr) bool {
	name, is := e.(*ast.Ident)
	return is && name.Name == "unix"
}
