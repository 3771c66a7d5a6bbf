package scratch_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/scratch"
)

// holdVariable names a directory in which a process of the tests opens a scratch
// directory and waits.
const holdVariable = "AFTERLOCK_TEST_SCRATCH"

func TestMain(m *testing.M) {
	dir := os.Getenv(holdVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	d, err := scratch.Open(context.Background(), dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_ = os.MkdirAll(filepath.Join(d.Path(), "a", "b"), 0o700)
	_ = os.Chmod(filepath.Join(d.Path(), "a"), 0o500)
	fmt.Println(d.Path())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func open(t *testing.T, dir string) *scratch.Dir {
	t.Helper()
	d, err := scratch.Open(t.Context(), dir)
	require.NoError(t, err)
	require.DirExists(t, d.Path())
	return d
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// A opens, writes and is killed. B and C open at the same time: A's is gone, and
// theirs are two. Nothing is left when they are closed.
func TestARunSweepsWhatAKilledOneHasLeftAndNoOther(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	killed := exec.Command("/proc/self/exe")
	killed.Env = append(os.Environ(), holdVariable+"="+dir)
	_, err := killed.StdinPipe()
	require.NoError(t, err)
	out, err := killed.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, killed.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	left := strings.TrimSpace(line)
	require.DirExists(t, filepath.Join(left, "a", "b"))

	c := open(t, dir)
	assert.DirExists(t, left, "it lives")
	require.NoError(t, c.Close())

	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	assert.DirExists(t, left)
	c = open(t, dir)
	assert.NoDirExists(t, left)
	assert.DirExists(t, b.Path())
	assert.NotEqual(t, b.Path(), c.Path())
	require.NoError(t, b.Close())
	require.NoError(t, c.Close())
	empty(t, dir)
}

// The root's name in a directory that everybody may write to can be anybody's.
func TestANameThatIsInTheWayMakesAPlainDirectory(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	root := filepath.Dir(filepath.Dir(d.Path()))
	require.NoError(t, d.Close())
	require.NoError(t, os.WriteFile(root, nil, 0o600))
	d = open(t, dir)
	assert.Equal(t, dir, filepath.Dir(d.Path()))
	require.NoError(t, d.Close())
	require.NoError(t, os.Remove(root))
	empty(t, dir)
}

func TestADirectoryThatCannotBeWrittenToIsAnError(t *testing.T) {
	_, err := scratch.Open(t.Context(), filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	_, err = scratch.Open(ctx, dir)
	assert.ErrorIs(t, err, context.Canceled)
	empty(t, dir)
}
