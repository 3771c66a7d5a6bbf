package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
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
	keep := testfs.Snapshot(t, dir+"/keep")

	stdout, stderr, code := call(t, "rm", "--", readOnly, dir+"/tree/", dir+"/file", dir+"/link/", dir+"/fifo", filepath.Join(dir, odd), dir+"/other/deep")
	assert.Zero(t, code, stderr)
	assert.Empty(t, stdout+stderr)
	onlyNames(t, dir, "keep", "other")
	onlyNames(t, dir+"/other")
	assert.Equal(t, keep, testfs.Snapshot(t, dir+"/keep"), "a link was followed")
}

// terminal is a pseudo terminal, and what reads all that was written to it, once it is closed.
func terminal(t *testing.T) (tty *os.File, written func() string) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipped, because there is no pseudo terminal: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	if tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("skipped, because there is no pseudo terminal: %v", err)
	}
	return tty, func() string {
		tty.Close()
		text, _ := io.ReadAll(master) // EIO is the end
		return string(text)
	}
}

// On a terminal there is a line of progress, which is gone in the end.
func TestProgressOnATerminal(t *testing.T) {
	var e effort
	_, err := e.begin(io.Discard)
	require.NoError(t, err)
	for _, p := range []tempdir.Progress{{Path: "a", Names: 3}, {Path: "b", Names: 1}, {Path: "a", Names: 5, Done: true}, {Path: "a", Names: 2, Done: true}} {
		e.take(p)
	}
	assert.EqualValues(t, 5+2+1, e.names)

	const line = `\r\x1b\[K%d files and directories removed, \d+ per second`
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for range 2 {
		tree(t, filepath.Join(root, "temp-dir-"+stale(t, root), "0-tree"))
	}
	for _, c := range []struct {
		args  []string
		names int // by the first report
	}{
		{[]string{"rm", tree(t, dir+"/tree")}, 7},
		{[]string{"recover", root}, 8},
	} {
		cmd := program(c.args...)
		tty, written := terminal(t)
		cmd.Stderr = tty
		require.NoError(t, cmd.Run())
		assert.Regexp(t, "^("+fmt.Sprintf(line, c.names)+`)(\r\x1b\[K\d+ files.*?)*\r\x1b\[K$`, written(), c.args)
	}
}

func TestRmRefusesPathsThatCanOnlyBeAMistake(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir+"/tree")
	for _, path := range []string{"", "/", "//", ".", "..", "./", dir + "/tree/.", dir + "/tree/..", dir + "/tree/../"} {
		stdout, stderr, code := call(t, "rm", dir+"/tree", path)
		assert.Equal(t, 2, code, path)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "refusing to remove", path)
	}
	onlyNames(t, dir, "tree") // and nothing else was removed either
}

func TestRmGoesOnAfterAFailureAndExitsWith1UnlessForced(t *testing.T) {
	for flag, outcome := range map[string]string{"--force=false": "failed", "-f": "missing"} {
		dir := makeNames(t, t.TempDir(), "tree/")
		require.NoError(t, unix.Mkfifo(dir+"/fifo", 0o600))
		stdout, stderr, code := call(t, "rm", flag, "--json", dir+"/missing", dir+"/tree", dir+"/no/such/dir", dir+"/fifo/x")
		if outcome == "failed" {
			assert.Equal(t, 1, code)
			assert.Equal(t, 2, strings.Count(stderr, "no such file"), stderr)
			assert.Contains(t, stderr, dir+"/fifo/x: not a directory\n")
		} else {
			assert.Zero(t, code)
			assert.Empty(t, stderr)
		}
		var outcomes []string
		for _, result := range parse[printed](t, stdout).Results {
			outcomes = append(outcomes, result.Outcome)
			assert.Equal(t, result.Outcome == "failed", result.Error != "")
		}
		assert.Equal(t, []string{outcome, "removed", outcome, outcome}, outcomes)
		onlyNames(t, dir, "fifo")
	}
}

func TestRmFinishesWhatAKilledRmLeft(t *testing.T) {
	dir := t.TempDir()
	stale(t, filepath.Join(dir, ownRoot()))
	live := live(t, filepath.Join(dir, ownRoot()))
	stale(t, filepath.Join(dir, oldRoot)) // of an earlier version
	tree(t, dir+"/tree")
	_, stderr, code := call(t, "rm", dir+"/tree")
	assert.Zero(t, code, stderr)
	onlyNames(t, dir, ownRoot()) // the live instance's
	onlyNames(t, filepath.Join(dir, ownRoot()), "lock-"+live, "temp-dir-"+live)
}

// Scripts stop at a failure, and this is none of what they asked for.
func TestRmTellsOfALeftoverThatStaysAndExitsWith0(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, ownRoot(), "lock-"+strings.Repeat("f", 32))
	require.NoError(t, os.MkdirAll(odd, 0o700))
	tree(t, dir+"/tree")
	stdout, stderr, code := call(t, "rm", "--json", dir+"/tree")
	assert.Zero(t, code)
	assert.Contains(t, stderr, "of an earlier rm")
	assert.Len(t, parse[printed](t, stdout).Leftovers, 1)
	assert.NoDirExists(t, dir+"/tree")
	assert.DirExists(t, odd)
}

func TestRmRemovesARootLikeAnythingElse(t *testing.T) {
	dir := t.TempDir()
	stale(t, filepath.Join(dir, ownRoot()))
	stale(t, filepath.Join(dir, oldRoot+"-12345"))
	_, stderr, code := call(t, "rm", filepath.Join(dir, ownRoot()), filepath.Join(dir, oldRoot+"-12345"))
	assert.Zero(t, code, stderr)
	onlyNames(t, dir)
}

// rm leaves no directory behind that it made for a path that is gone.
func TestPathsThatAreOneAndPathsInsideOthers(t *testing.T) {
	dir := t.TempDir()
	for _, order := range [][]string{
		{"a", "a/"}, {"a", "link/../a"}, {"a", "a/sub0"}, {"a/sub0", "a"}, {"a", "a/sub0/file", "a/sub1"},
		{"link", "link/sub0", "a"}, // what is behind the link goes too, though the link went first
	} {
		tree(t, dir+"/a")
		require.NoError(t, os.Symlink("a", dir+"/link"))
		var paths []string
		for _, path := range order {
			paths = append(paths, dir+"/"+path)
		}
		stdout, stderr, code := call(t, append([]string{"rm", "--json"}, paths...)...)
		assert.Zero(t, code, stderr)
		for i, result := range parse[printed](t, stdout).Results {
			assert.Equal(t, paths[i], result.Path)
			assert.Equal(t, "removed", result.Outcome)
		}
		os.Remove(dir + "/link")
		onlyNames(t, dir)
	}
}

// The working directory is in the first victim.
func TestRelativePathsMeanTheSameWhenTheWorkingDirectoryIsGone(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir+"/a/b")
	tree(t, dir+"/c/d")
	tree(t, dir+"/e")
	cmd := program("rm", "../../a", "../../c/d", "../../e")
	cmd.Dir = dir + "/a/b"
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	onlyNames(t, dir, "c")
	onlyNames(t, dir+"/c")
}

func TestFlagsAreClearedWhereAsked(t *testing.T) {
	for name, path := range map[string]string{"inside": "tree/sub0/file", "the victim": "tree", "its parent": "."} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tree(t, dir+"/tree")
			flagged := filepath.Join(dir, path)
			testfs.SetFlags(t, flagged, testfs.Immutable)
			_, _, code := call(t, "rm", dir+"/tree")
			assert.Equal(t, 1, code)
			if name != "inside" {
				assert.DirExists(t, dir+"/tree")
			}
			if name == "its parent" {
				// The root cannot be made there, so the tree goes where it is, and
				// the parent, which nobody gave up, has its flag again.
				tree(t, dir+"/tree")
				_, stderr, code := call(t, "rm", "--clear-flags", dir+"/tree")
				assert.Zero(t, code, stderr)
				assert.NoDirExists(t, dir+"/tree")
				assert.ErrorIs(t, os.Mkdir(dir+"/new", 0o755), unix.EPERM)
				return
			}
			tree(t, dir+"/tree2")
			testfs.SetFlags(t, dir+"/tree2/sub1", testfs.Immutable)
			args := []string{"rm", "--clear-flags", dir + "/tree2"}
			if name != "inside" {
				args = append(args, dir+"/tree")
			}
			_, stderr, code := call(t, args...)
			assert.Zero(t, code, stderr)
			onlyNames(t, dir) // the leftover of the first rm, too
		})
	}
}

func TestRmUsesTheRootItIsGiven(t *testing.T) {
	dir, elsewhere := t.TempDir(), testfs.Elsewhere(t)
	root := filepath.Join(dir, "root")
	for root, why := range map[string]string{root: "no such file", elsewhere: "device|mount"} {
		tree(t, dir+"/tree")
		_, stderr, code := call(t, "rm", "--root", root, dir+"/tree")
		assert.Zero(t, code)
		assert.Regexp(t, "/tree was removed where it was: .*("+why+")", stderr)
		onlyNames(t, dir)
		onlyNames(t, elsewhere)
	}

	tree(t, dir+"/tree")
	require.NoError(t, os.Mkdir(root, 0o700))
	_, stderr, code := call(t, "rm", "--root", root, dir+"/tree")
	assert.Zero(t, code, stderr)
	onlyNames(t, dir, "root")
	onlyNames(t, root)

	// A victim that the root lies in takes it along.
	_, stderr, code = call(t, "rm", "--root", root, dir)
	assert.Zero(t, code)
	assert.Contains(t, stderr, "removed where it was")
	assert.NoDirExists(t, dir)
}

// What is left is told of the path that it is of, and of no other.
func TestAMountInOneVictimIsNoFailureOfTheOthers(t *testing.T) {
	dir := t.TempDir()
	paths := []string{dir + "/a", dir + "/missing", dir + "/b", dir + "/c"}
	for _, i := range []int{0, 2, 3} {
		tree(t, paths[i])
	}
	testfs.MountAt(t, "none", dir+"/b/sub0", "tmpfs", "")
	testfs.DetachBelow(t, dir) // it may have been moved
	stdout, stderr, code := call(t, append([]string{"rm", "-f", "--json"}, paths...)...)
	assert.Equal(t, 1, code)
	assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	var outcomes []string
	for _, result := range parse[printed](t, stdout).Results {
		outcomes = append(outcomes, result.Outcome)
	}
	assert.Equal(t, []string{"removed", "missing", "failed", "removed"}, outcomes)
}

// fuse-overlayfs shows what is below a directory again once that was moved away.
func TestWhatShowsAgainIsRemovedToo(t *testing.T) {
	dir, mnt := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(dir+"/lower/dir/z", 0o755))
	require.NoError(t, os.WriteFile(dir+"/lower/dir/z/a", nil, 0o644))
	testfs.FuseOverlayfs(t, dir, mnt)
	path := mnt + "/dir/z"
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, os.Mkdir(mnt+"/dir/n", 0o755))
	require.NoError(t, os.Rename(mnt+"/dir/n", path))
	require.NoError(t, os.WriteFile(path+"/q", nil, 0o644))
	_, stderr, code := call(t, "rm", path)
	assert.Zero(t, code, stderr)
	assert.NoFileExists(t, path+"/a")
	assert.NoDirExists(t, path)
	onlyNames(t, mnt+"/dir")
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

func TestAMountWhoseServerDiedIsAMountPoint(t *testing.T) {
	dir := t.TempDir()
	makeNames(t, dir, "victim/")
	if os.Geteuid() != 0 {
		t.Skip("skipped, because mounting needs root")
	}
	testfs.FuseAt(t, dir+"/victim")()
	_, stderr, code := call(t, "rm", "-f", dir+"/victim")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "a mount point is in the way")
	onlyNames(t, dir, "victim")
}

// Nothing that rm does before it deletes is worth a failure: whichever of it is
// refused, with whatever errno, the path goes, and nothing that was made stays.
func TestWhateverIsRefusedBeforeTheDeletionThePathGoes(t *testing.T) {
	dir := testfs.InMemory(t) // 500 runs
	errnos := []unix.Errno{
		unix.EPERM, unix.ENOENT, unix.EIO, unix.EAGAIN, unix.ENOMEM, unix.EACCES, unix.EBUSY, unix.EEXIST, unix.EXDEV, unix.ENODEV, unix.ENOTDIR, unix.EISDIR,
		unix.EINVAL, unix.EMFILE, unix.ETXTBSY, unix.EFBIG, unix.ENOSPC, unix.EROFS, unix.EMLINK, unix.ENAMETOOLONG, unix.ENOLCK, unix.ENOSYS, unix.ELOOP,
		unix.EOVERFLOW, unix.EOPNOTSUPP, unix.ESTALE, unix.EDQUOT, unix.ENOKEY, unix.EUCLEAN,
	}
	methods := []kernel.Method{
		kernel.OpenRoot, kernel.OpenUnnamed, kernel.CreateLock, kernel.TakeLock, kernel.WriteOwner, kernel.LinkLock, kernel.MakeData, kernel.StageDeletion, kernel.SyncData,
	}
	noLocks := []unix.Errno{unix.ENOLCK, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP}
	for _, method := range methods {
		for _, errno := range errnos {
			for _, more := range []map[kernel.Method]error{{}, {kernel.OpenUnnamed: unix.EOPNOTSUPP}} {
				if method == kernel.TakeLock && len(more) > 0 && !slices.Contains(noLocks, errno) {
					continue // the lock file, visible already, may be a recoverer's by now
				}
				more[method] = errno
				tree(t, dir+"/victim")
				refuse := kernel.HookFunc(func(c *kernel.Call) error { return more[c.Method] })
				r := remover{kernel: kernel.Around(kernel.Linux(), refuse)}
				r.removeAll(t.Context(), []string{dir + "/victim"})
				assert.NoError(t, r.results[0].err, "%v: %v", method, errno)
				assert.Empty(t, r.leftovers)
				if names := namesIn(t, dir); !assert.Empty(t, names, "%v: %s (%d refused)", method, unix.ErrnoName(errno), len(more)) {
					for _, name := range names {
						require.NoError(t, os.RemoveAll(dir+"/"+name))
					}
				}
			}
		}
	}
}
