package compat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
)

// portableVariable makes the test binary use the code for other systems.
const portableVariable = "AFTERLOCK_COMPAT_PORTABLE"

func TestMain(m *testing.M) {
	if os.Getenv(portableVariable) != "" {
		compat.ForcePortable()
	}
	proc.Main(m)
}

// role registers what another process of these tests does with a path, before it
// is ready and waits.
func role(name string, do func(path string)) {
	proc.Register(name, func(arguments []string) {
		do(arguments[0])
		proc.Fail(proc.Parent.Say("ready"))
		proc.Parent.Await()
	})
}

func init() {
	// instance holds a live instance in the root, with something staged.
	role("instance", func(root string) {
		td, err := compat.NewTempDir(root)
		check(err)
		addition, err := td.StageAddition()
		check(err)
		check(os.WriteFile(addition.Path, []byte("whole"), 0o600))
	})
	// lock holds the lock of a lock file.
	role("lock", func(path string) {
		_, err := compat.TryLockPath(path)
		check(err)
	})
}

func init() {
	// removal ROOT: an instance that is removed, with something staged.
	proc.Register("removal", func(arguments []string) {
		td, err := compat.NewTempDir(arguments[0])
		check(err)
		addition, err := td.StageAddition()
		check(err)
		check(os.WriteFile(addition.Path, []byte("whole"), 0o600))
		check(td.Cleanup())
	})
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// child starts another process and waits until it has what it wants. It lives
// until kill is called, or until the test ends.
func child(t *testing.T, name, path string) (kill func()) {
	p := proc.Start(t, name, path)
	require.Equal(t, "ready", p.Says(t))
	return p.Kill
}

// run lets another process do its part, and end.
func run(t *testing.T, p *proc.Process) {
	t.Helper()
	output, err := p.Output()
	require.NoError(t, err, "%s", output)
	require.Equal(t, "ready\n", string(output))
}

// victim makes a file to delete, on the root's file system.
func victim(t *testing.T, name string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	return path
}

// names lists a directory.
func names(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	found := []string{}
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

// newTempDir makes an instance and returns its two paths too.
func newTempDir(t *testing.T, root string) (td *compat.TempDir, lockFile, data string) {
	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	t.Cleanup(func() { td.Cleanup() })
	addition, err := td.StageAddition() // takes entry 0
	require.NoError(t, err)
	data = filepath.Dir(addition.Path)
	id, ok := strings.CutPrefix(filepath.Base(data), "temp-dir-")
	require.True(t, ok)
	return td, filepath.Join(filepath.Dir(data), "lock-"+id), data
}
