package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// tree makes a directory with a few files and returns its path.
func tree(t *testing.T, path string) string {
	t.Helper()
	for i := range 3 {
		sub := filepath.Join(path, fmt.Sprintf("sub%d", i))
		require.NoError(t, os.MkdirAll(sub, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(sub, "file"), []byte("content"), 0o644))
	}
	return path
}

// onlyNames wants exactly these names in dir.
func onlyNames(t *testing.T, dir string, wants ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	assert.ElementsMatch(t, wants, names)
}

func TestRmRemovesWhateverItIsGivenAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir+"/tree")
	tree(t, dir+"/keep")
	tree(t, dir+"/other/deep")
	require.NoError(t, os.WriteFile(dir+"/file", nil, 0))
	require.NoError(t, os.Symlink("keep", dir+"/link"))
	require.NoError(t, unix.Mkfifo(dir+"/fifo", 0o600))
	odd := "-\x1b[31m \xff\n"
	require.NoError(t, os.Mkdir(filepath.Join(dir, odd), 0))
	readOnly := tree(t, dir+"/read-only")
	require.NoError(t, os.Chmod(readOnly+"/sub0", 0o555))
	require.NoError(t, os.Chmod(readOnly, 0o555))
	keep := namesBelow(t, dir+"/keep")

	stdout, stderr, code := call(t, "rm", "--", readOnly, dir+"/tree/", dir+"/file", dir+"/link/", dir+"/fifo", filepath.Join(dir, odd), dir+"/other/deep")
	assert.Zero(t, code, stderr)
	assert.Empty(t, stdout+stderr)
	onlyNames(t, dir, "keep", "other")
	onlyNames(t, dir+"/other")
	assert.Equal(t, keep, namesBelow(t, dir+"/keep"), "a link was followed")
}

func TestRmTakesRelativePaths(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir+"/a/b")
	cmd := program("rm", "a/b", "a/../a")
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	onlyNames(t, dir)
}

func TestRmRefusesPathsThatCanOnlyBeAMistake(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir+"/tree")
	for _, path := range []string{"", "/", "//", ".", "..", "./", dir + "/tree/.", dir + "/tree/..", dir + "/tree/../", dir + "/.afterlock"} {
		stdout, stderr, code := call(t, "rm", dir+"/tree", path)
		assert.Equal(t, 2, code, path)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "refusing to remove", path)
	}
	onlyNames(t, dir, "tree") // and nothing else was removed either
}

func TestRmGoesOnAfterAFailureAndExitsWith1(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir+"/tree")
	require.NoError(t, unix.Mkfifo(dir+"/fifo", 0o600))
	stdout, stderr, code := call(t, "rm", "--json", dir+"/missing", dir+"/tree", dir+"/no/such/dir", dir+"/fifo/x")
	assert.Equal(t, 1, code)
	assert.Equal(t, 2, strings.Count(stderr, "no such file"), stderr)
	assert.Contains(t, stderr, "afterlock: "+dir+"/fifo/x: not a directory\n")
	type results struct {
		Results []struct{ Path, Outcome, Error string }
	}
	got := make(map[string]string)
	for _, result := range parse[results](t, stdout).Results {
		got[result.Path] = result.Outcome
		assert.Equal(t, result.Outcome == "failed", result.Error != "")
	}
	assert.Equal(t, map[string]string{dir + "/missing": "failed", dir + "/tree": "removed", dir + "/no/such/dir": "failed", dir + "/fifo/x": "failed"}, got)
	onlyNames(t, dir, "fifo")
}

func TestRmFinishesWhatAKilledRmLeft(t *testing.T) {
	dir := t.TempDir()
	stale := stale(t, filepath.Join(dir, rmRoot))
	live := live(t, filepath.Join(dir, rmRoot))
	tree(t, dir+"/tree")
	_, stderr, code := call(t, "rm", dir+"/tree")
	assert.Zero(t, code, stderr)
	onlyNames(t, dir, rmRoot) // the live instance's
	onlyNames(t, filepath.Join(dir, rmRoot), "lock-"+live, "temp-dir-"+live)
	assert.NotEqual(t, stale, live)
}

func TestRmReportsALeftoverThatStays(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, rmRoot, "lock-"+strings.Repeat("f", 32))
	require.NoError(t, os.MkdirAll(odd, 0o700))
	tree(t, dir+"/tree")
	_, stderr, code := call(t, "rm", dir+"/tree")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "of an earlier rm")
	assert.NoDirExists(t, dir+"/tree")
	assert.DirExists(t, odd)
}

func TestRmLeavesAloneWhatIsNoRoot(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"file": func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"link": func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		dir := t.TempDir()
		tree(t, dir+"/tree")
		tree(t, dir+"/elsewhere")
		require.NoError(t, make(filepath.Join(dir, rmRoot)))
		before := namesBelow(t, dir)
		_, stderr, code := call(t, "rm", dir+"/tree")
		assert.Equal(t, 1, code, name)
		assert.Contains(t, stderr, rmRoot, name)
		assert.Equal(t, before, namesBelow(t, dir), name)
	}
}

func TestRmUsesTheRootItIsGiven(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	tree(t, dir+"/tree")
	_, stderr, code := call(t, "rm", "--root", root, dir+"/tree")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "no such file")
	onlyNames(t, dir, "tree")

	require.NoError(t, os.Mkdir(root, 0o700))
	_, stderr, code = call(t, "rm", "--root", root, dir+"/tree")
	assert.Zero(t, code, stderr)
	onlyNames(t, dir, "root")
	onlyNames(t, root)
}

func TestRmSaysThatTheRootIsOnAnotherFileSystem(t *testing.T) {
	dir := t.TempDir()
	other, err := os.MkdirTemp("/dev/shm", "afterlock-test-")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(other) })
	tree(t, dir+"/tree")
	before := namesBelow(t, dir)
	_, stderr, code := call(t, "rm", "--root", other, dir+"/tree")
	if code == 0 {
		t.Skip("the temporary directory is on the same file system as /dev/shm")
	}
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "not on the root's file system")
	assert.Equal(t, before, namesBelow(t, dir))
	onlyNames(t, other)
}

func TestRmTouchesNothingBehindAMountPoint(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir+"/keep")
	require.NoError(t, os.Mkdir(tree(t, dir+"/tree")+"/mount", 0o755))
	if err := unix.Mount(dir+"/keep", dir+"/tree/mount", "", unix.MS_BIND, ""); err != nil {
		t.Skip("cannot mount: ", err)
	}
	mounted := dir + "/tree/mount"
	t.Cleanup(func() { unix.Unmount(mounted, unix.MNT_DETACH) })
	keep := namesBelow(t, dir+"/keep")

	_, stderr, code := call(t, "rm", mounted)
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "mount")
	_, stderr, code = call(t, "rm", dir+"/tree")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "a mount point is in the way")
	assert.Equal(t, keep, namesBelow(t, dir+"/keep"))

	// The rest is in the root, where the next rm finds it.
	found, err := filepath.Glob(filepath.Join(dir, rmRoot, "temp-dir-*", "*", "mount"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	mounted = found[0]
	require.NoError(t, unix.Unmount(mounted, 0))
	require.NoError(t, os.Mkdir(dir+"/next", 0o755))
	_, stderr, code = call(t, "rm", dir+"/next")
	assert.Zero(t, code, stderr)
	onlyNames(t, dir, "keep")
	assert.Equal(t, keep, namesBelow(t, dir+"/keep"))
}

func TestRmDoesNotUseARootOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only the superuser can give a directory away")
	}
	dir := t.TempDir()
	tree(t, dir+"/tree")
	require.NoError(t, os.Mkdir(filepath.Join(dir, rmRoot), 0o777))
	require.NoError(t, os.Chown(filepath.Join(dir, rmRoot), 12345, 12345))
	_, stderr, code := call(t, "rm", dir+"/tree")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "belongs to user 12345")
	assert.DirExists(t, dir+"/tree")
}

// Every rm makes and removes the root that they all share.
func TestManyRmsInOneDirectoryDoNotDisturbEachOther(t *testing.T) {
	dir := t.TempDir()
	const processes, each = 6, 10
	done := make(chan string, processes)
	for i := range processes {
		var paths []string
		for j := range each {
			paths = append(paths, tree(t, filepath.Join(dir, fmt.Sprintf("tree-%d-%d", i, j))))
		}
		go func() {
			for _, path := range paths {
				if output, err := program("rm", path).CombinedOutput(); err != nil {
					done <- fmt.Sprintf("%v: %s", err, output)
					return
				}
			}
			done <- ""
		}()
	}
	for range processes {
		assert.Empty(t, <-done)
	}
	onlyNames(t, dir)
}
