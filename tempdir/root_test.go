//go:build linux

package tempdir_test

import (
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// makeSocket leaves a socket that nobody listens on.
func makeSocket(t testing.TB, path string) {
	t.Helper()
	// Bound in its own directory: the name of a socket is short.
	dir, err := os.Open(filepath.Dir(path))
	require.NoError(t, err)
	defer dir.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join("/proc/self/fd", fdOf(dir), "s")})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	require.NoError(t, os.Rename(filepath.Join(filepath.Dir(path), "s"), path))
}

func TestOpenRefusesARootThatIsNoDirectory(t *testing.T) {
	for _, kind := range except("directory", "unreadable file", "hard link", "character device", "block device") {
		t.Run(kind, func(t *testing.T) {
			base := t.TempDir()
			path := filepath.Join(base, "root")
			makers[kind](t, path, makeLayer(t, filepath.Join(base, "outside")))
			before := testfs.Snapshot(t, base)
			for _, spelling := range []string{path, path + "/", path + "/."} {
				_, err := tempdir.Open(spelling)
				requireRefusal(t, err, "open root", path, unix.ENOTDIR)
				require.ErrorContains(t, err, "must be a directory and no symbolic link")
				_, err = tempdir.Open(spelling, tempdir.Make(0o700))
				requireRefusal(t, err, "open root", path)
			}
			require.Equal(t, before, testfs.Snapshot(t, base))
		})
	}
}

// "a/.." is what the kernel says, also where a is a symbolic link.
func TestOpenBehindALink(t *testing.T) {
	base := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(base, "there", "dir"), 0o700))
	require.NoError(t, os.Symlink("there/dir", filepath.Join(base, "link")))
	t.Chdir(base)
	for _, path := range []string{"link/../root", base + "/link/../root", "./link/.././root//"} {
		root, err := tempdir.Open(path, tempdir.Make(0o700))
		require.NoError(t, err)
		require.True(t, filepath.IsAbs(root.Path()))
		require.DirExists(t, filepath.Join(base, "there", "root"))
		require.NoDirExists(t, filepath.Join(base, "root"))
		dir, err := root.Create()
		require.NoError(t, err)
		addition, err := dir.StageAddition()
		require.NoError(t, err)
		makeLayer(t, addition.Path())
		require.NoError(t, addition.Commit("link/../layer"))
		requireLayer(t, filepath.Join(base, "there", "layer"))
		require.NoError(t, dir.StageDeletion("link/../layer"))
		require.NoError(t, dir.Close(background))
		require.NoError(t, root.Close())
		require.NoError(t, tempdir.Remove(background, path))
		require.NoDirExists(t, filepath.Join(base, "there", "root"))
	}
}

func TestOpenRefusesAMissingRoot(t *testing.T) {
	base := t.TempDir()
	for _, path := range []string{filepath.Join(base, "root"), filepath.Join(base, "parent", "root")} {
		_, err := tempdir.Open(path)
		requireRefusal(t, err, "open root", path, unix.ENOENT)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	_, err := tempdir.Open("")
	requireRefusal(t, err, "open root", "", unix.ENOENT)
	_, err = tempdir.Open(base + "/missing/../root")
	requireRefusal(t, err, "open root", base+"/missing/../root", unix.ENOENT)
	entries, err := os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// A root in which every user can take names away is refused, and so is making one
// with no permissions (REVIEW B8).
func TestOpenRefusesAnExposedRoot(t *testing.T) {
	for mode, exposed := range map[fs.FileMode]bool{
		0o777: true, 0o707: true, 0o702: true, 0o777 | fs.ModeSetgid: true,
		0o777 | fs.ModeSticky: false, 0o702 | fs.ModeSticky: false, 0o770: false, 0o775: false, 0o700: false,
	} {
		path := filepath.Join(t.TempDir(), "root")
		require.NoError(t, os.Mkdir(path, 0o700))
		require.NoError(t, os.Chmod(path, mode))
		for _, options := range [][]tempdir.Option{nil, {tempdir.Make(0o700)}} {
			k := newDenying(t, nil)
			root, err := tempdir.Open(path, append(options, kernel.With[tempdir.Option](k))...)
			if exposed {
				requireRefusal(t, err, "open root", path, tempdir.ErrExposed)
				require.Empty(t, k.open)
			} else {
				require.NoError(t, err, mode)
				require.NoError(t, root.Close())
			}
		}
		root, err := tempdir.Open(path, tempdir.AllowOthers())
		require.NoError(t, err)
		require.NoError(t, root.Close())
	}
	missing := filepath.Join(t.TempDir(), "root")
	_, err := tempdir.Open(missing, tempdir.Make(0))
	requireRefusal(t, err, "open root", missing, unix.EINVAL)
	require.ErrorContains(t, err, "no permissions")
	require.NoDirExists(t, missing)
}

// Not even with a mask of the process that takes no permission away.
func TestRootThatIsMadeIsNotExposed(t *testing.T) {
	if !testfs.Alone(t, nil) {
		return
	}
	unix.Umask(0)
	base := t.TempDir()
	for mode, want := range map[fs.FileMode]fs.FileMode{0o777: 0o775, 0o707: 0o705, 0o700: 0o700} {
		path := filepath.Join(base, mode.String())
		root, err := tempdir.Open(path, tempdir.Make(mode))
		require.NoError(t, err)
		require.NoError(t, root.Close())
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().Perm())
	}
}

// A process may have been started without any argument, not even its name.
func TestOpenWithoutArguments(t *testing.T) {
	if !testfs.Alone(t, nil) {
		return
	}
	os.Args = nil
	root := openRoot(t)
	dir, err := root.Create()
	require.NoError(t, err)
	require.Empty(t, instanceOf(t, root, dir.ID()).Owner.Executable)
	require.NoError(t, dir.Close(background))
}

func TestRootWithoutPermission(t *testing.T) {
	if !asNobody(t) {
		return
	}
	s := newScene(t)
	path := s.root.Path()
	mode := func(mode fs.FileMode) { require.NoError(t, os.Chmod(path, mode)) }
	t.Cleanup(func() { mode(0o700) })

	for _, unreadable := range []fs.FileMode{0o000, 0o333} {
		mode(unreadable)
		_, err := tempdir.Open(path)
		requireRefusal(t, err, "open root", path, unix.EACCES)
	}

	mode(0o600) // may be opened, but nothing in it
	_, err := s.root.Create()
	requireRefusal(t, err, "create", path, unix.EACCES)
	_, err = s.root.Recover(background)
	requireRefusal(t, err, "recover", path, unix.EACCES)
	_, err = s.root.Instances(background)
	requireRefusal(t, err, "instances", path, unix.EACCES)
	err = s.live.StageDeletion(s.victim)
	requireRefusal(t, err, "stage deletion", s.victim, unix.EACCES)

	mode(0o500) // may be read, not changed
	_, err = s.root.Create()
	requireRefusal(t, err, "create", path, unix.EACCES)
	report, err := s.root.Recover(background)
	requireRefusal(t, err, "recover", s.data(staleID), tempdir.ErrLeftover, unix.EACCES)
	require.Equal(t, tempdir.Failed, outcomeOf(t, report, staleID).Outcome)
	require.Equal(t, tempdir.Skipped, outcomeOf(t, report, s.live.ID()).Outcome)
	require.Equal(t, tempdir.Stale, instanceOf(t, s.root, staleID).State, "both names stay, the lock is free")
	require.True(t, instanceOf(t, s.root, staleID).Data)

	mode(0o700)
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

// What another user left in a shared root is told, is no failure, and does not
// keep one's own from being recovered; also for root of a user name space, in which
// the other users have no ids.
func TestSomebodyElsesInstance(t *testing.T) {
	needsRoot(t, "a second user")
	for name, as := range map[string]func(testing.TB, *exec.Cmd, string){"ordinary user": asOrdinaryUser, "root of a name space": asRootOfNobody} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			path := filepath.Join(base, "root")
			mine := makeShared(t, path)
			mineToo, roots, others := idOf("b"), idOf("c"), idOf("d") // orphans
			for id, owner := range map[string]int{mineToo: nobody, roots: 0, others: 4321} {
				require.NoError(t, os.Mkdir(filepath.Join(path, "temp-dir-"+id), 0o755))
				require.NoError(t, os.Lchown(filepath.Join(path, "temp-dir-"+id), owner, owner))
			}
			require.NoError(t, os.Chmod(filepath.Join(path, "temp-dir-"+roots), 0o700))
			child := proc.New("report", path)
			as(t, child.Cmd, path)
			require.NoError(t, os.Chown(path, 0, 0))
			if err := child.Start(); err != nil {
				t.Skipf("skipped, because there is no such process here: %v", err)
			}
			t.Cleanup(child.Kill)
			var said []string
			for line := child.Says(t); line != "end"; line = child.Says(t) {
				said = append(said, line)
			}
			require.ElementsMatch(t, []string{ // and no error (FIELD 43)
				mine + " recovered, adopted false", mineToo + " recovered, adopted true",
				badID + " denied, adopted false", roots + " denied, adopted false", others + " denied, adopted false",
				badID + " unknown", roots + " orphan", others + " orphan",
			}, said)
			require.NoError(t, child.End())
			requireLayer(t, filepath.Join(path, "temp-dir-"+badID, "0-layer"))
		})
	}
}

// asRootOfNobody makes the command root of a user name space that has no other user
// than nobody.
func asRootOfNobody(t testing.TB, cmd *exec.Cmd, path string) {
	asOrdinaryUser(t, cmd, path)
	ids := []syscall.SysProcIDMap{{HostID: nobody, Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{NoSetGroups: true},
	}
}

// makeShared makes a sticky root with an instance of nobody, whose id it
// returns, and one of root.
func makeShared(t *testing.T, path string) (mine string) {
	s := &scene{root: openAt(t, path)}
	require.NoError(t, os.Chmod(path, 0o777|os.ModeSticky))
	s.leave(t, badID)
	mine = idOf("a")
	s.leave(t, mine)
	for _, dir := range []string{s.lock(mine), s.data(mine)} {
		for path := range testfs.Snapshot(t, dir) {
			require.NoError(t, os.Lchown(path, nobody, nobody))
		}
	}
	return mine
}

func init() {
	// report PATH: recovers and prints what came of it, then the states left.
	proc.Register("report", func(arguments []string) {
		root := must(tempdir.Open(arguments[0], tempdir.OrphanGrace(0)))
		report, err := root.Recover(background)
		for _, result := range report.Results {
			proc.Parent.Say("%s %s, adopted %t", result.ID, result.Outcome, result.Adopted)
		}
		if err != nil {
			proc.Parent.Say("%v", err)
		}
		for _, instance := range must(root.Instances(background)) {
			proc.Parent.Say("%s %s", instance.Name, instance.State)
		}
		proc.Parent.Say("end")
		proc.Parent.Await()
	})
}

func TestRootOnAReadOnlyFileSystem(t *testing.T) {
	if !mounting(t) {
		return
	}
	s := newScene(t)
	path := s.root.Path()
	before := testfs.Snapshot(t, path)
	t.Run("read-only", func(t *testing.T) {
		testfs.ReadOnly(t, path)
		root, err := tempdir.Open(path)
		require.NoError(t, err)
		defer root.Close()
		_, err = root.Create()
		requireRefusal(t, err, "create", path, tempdir.ErrReadOnly, unix.EROFS)

		report, err := root.Recover(background)
		requireRefusal(t, err, "recover", s.lock(staleID), tempdir.ErrReadOnly, unix.EROFS)
		require.Equal(t, tempdir.Failed, outcomeOf(t, report, staleID).Outcome)
		require.Equal(t, before, testfs.Snapshot(t, path))

		require.Equal(t, tempdir.Stale, instanceOf(t, root, staleID).State)
		require.Equal(t, tempdir.Live, instanceOf(t, root, s.live.ID()).State)
	})
	_, err := s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

func TestRootRemovedWhileOpen(t *testing.T) {
	if !mounting(t) {
		return
	}
	for _, kind := range testfs.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			s := newSceneAt(t, kind.Make(t))
			require.NoError(t, os.RemoveAll(s.root.Path()))
			gone := func(err error, op string) {
				t.Helper()
				requireRefusal(t, err, op, s.root.Path(), tempdir.ErrRootGone)
				require.NotErrorIs(t, err, fs.ErrNotExist, "it would be taken for an empty root")
			}
			_, err := s.root.Create()
			gone(err, "create")
			_, err = s.root.Recover(background)
			gone(err, "recover")
			_, err = s.root.Instances(background)
			gone(err, "instances")

			err = s.live.StageDeletion(s.victim)
			requireRefusal(t, err, "stage deletion", s.root.Path(), tempdir.ErrInstanceGone)
			requireLayer(t, s.victim)

			// A directory that has the name now is another root.
			decoy := &scene{root: openAt(t, s.root.Path())}
			decoy.leave(t, badID)
			_, err = s.root.Create()
			gone(err, "create")
			_, err = s.root.Recover(background)
			gone(err, "recover")
			err = s.live.Close(background)
			requireRefusal(t, err, "close", s.data(s.live.ID()), tempdir.ErrInstanceGone)
			require.Len(t, rootNames(t, decoy.root), 2)
		})
	}
}

// A root that is renamed while it is open keeps working: every call goes by
// its descriptor.
func TestRootRenamedWhileOpen(t *testing.T) {
	s := newScene(t)
	moved := s.root.Path() + "-moved"
	require.NoError(t, os.Rename(s.root.Path(), moved))
	decoy := &scene{root: openAt(t, s.root.Path())}
	decoy.leave(t, badID)
	report, err := s.root.Recover(background)
	require.NoError(t, err)
	require.Equal(t, tempdir.Recovered, outcomeOf(t, report, staleID).Outcome)
	require.NoError(t, s.live.StageDeletion(s.victim))
	require.NoError(t, s.live.Close(background))
	entries, err := os.ReadDir(moved)
	require.NoError(t, err)
	require.Empty(t, entries)
	require.Len(t, rootNames(t, decoy.root), 2, "what has the name now was not touched")
}
