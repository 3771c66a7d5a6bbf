package compat_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
)

// childVariable names what a re-executed test binary does instead of testing.
const childVariable = "AFTERLOCK_COMPAT_CHILD"

// portableVariable makes the test binary use the code for other systems.
const portableVariable = "AFTERLOCK_COMPAT_PORTABLE"

func TestMain(m *testing.M) {
	if os.Getenv(portableVariable) != "" {
		compat.ForcePortable()
	}
	if name, ok := os.LookupEnv(childVariable); ok {
		children[name](os.Args[1])
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin) // until the parent is done, or kills
		return
	}
	os.Exit(m.Run())
}

// children are the other processes of these tests.
var children = map[string]func(path string){
	// instance holds a live instance in the root, with something staged.
	"instance": func(root string) {
		td, err := compat.NewTempDir(root)
		check(err)
		addition, err := td.StageAddition()
		check(err)
		check(os.WriteFile(addition.Path, []byte("whole"), 0o600))
	},
	// lock holds the lock of a lock file.
	"lock": func(path string) {
		_, err := compat.TryLockPath(path)
		check(err)
	},
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// child starts another process and waits until it has what it wants. It lives
// until kill is called, or until the test ends.
func child(t *testing.T, name, path string) (kill func()) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, path)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	_, err = cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	return kill
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
