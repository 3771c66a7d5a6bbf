package scratch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/scratch"
)

func TestMain(m *testing.M) { proc.Main(m) }

func init() {
	// holder DIR: a process that opens a scratch directory and waits.
	proc.Register("holder", func(arguments []string) {
		d, err := scratch.Open(context.Background(), arguments[0])
		proc.Fail(err)
		_ = os.MkdirAll(filepath.Join(d.Path(), "a", "b"), 0o700)
		_ = os.Chmod(filepath.Join(d.Path(), "a"), 0o500)
		proc.Fail(proc.Parent.Say("%s", d.Path()))
		proc.Parent.Await()
	})
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
	killed := proc.Start(t, "holder", dir)
	left := killed.Says(t)
	require.DirExists(t, filepath.Join(left, "a", "b"))

	c := open(t, dir)
	assert.DirExists(t, left, "it lives")
	require.NoError(t, c.Close())

	killed.Kill()
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
