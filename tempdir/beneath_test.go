//go:build linux

package tempdir_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
)

// lacking are kernels and sandboxes, from new to poor. All can tell mounts apart.
func lacking(t *testing.T) map[string]testfs.Lack {
	without := func(proc bool, calls ...string) testfs.Lack {
		l := testfs.Lack{Proc: proc, Calls: map[string]syscall.Errno{}}
		for _, call := range calls {
			l.Calls[call] = unix.ENOSYS
		}
		return l
	}
	sandbox := without(false, "openat2", "fchmodat2", "statx", "renameat2")
	for call := range sandbox.Calls {
		sandbox.Calls[call] = unix.EPERM
	}
	other := map[string]syscall.Errno{"openat2": unix.EACCES, "statx": unix.EACCES, "fchmodat2": unix.EACCES}
	poor := map[string]syscall.Errno{testfs.Unnamed: unix.EOPNOTSUPP, testfs.NoReplace: unix.EINVAL, "openat2": unix.ENOSYS, "fstatfs": unix.EPERM}
	unlinkable := map[string]syscall.Errno{"linkat": unix.EPERM, "fchmodat2": unix.EPERM, "name_to_handle_at": unix.EPERM}
	lacks := map[string]testfs.Lack{
		"unnamed files, noreplace, openat2": {Calls: poor},
		"links and proc":                    {Calls: unlinkable, Proc: true},
		"nothing":                           {},
		"openat2":                           without(false, "openat2"),
		"openat2 and proc":                  without(true, "openat2"),
		"openat2, statx and fchmodat2":      without(false, "openat2", "statx", "fchmodat2"),
		"what an old sandbox does not know": sandbox,
		"the same, with another errno":      {Calls: other},
		"openat2, statx, name_to_handle_at": without(false, "openat2", "statx", "name_to_handle_at"),
		"proc and fchmodat2":                without(true, "fchmodat2"),
		"openat2, proc, fchmodat2":          without(true, "openat2", "fchmodat2"),
		"openat2, proc, statx, fchmodat2":   without(true, "openat2", "statx", "fchmodat2"),
	}
	if _, _, err := unix.NameToHandleAt(unix.AT_FDCWD, t.TempDir(), 0); err != nil {
		maps.DeleteFunc(lacks, func(_ string, l testfs.Lack) bool { return l.Proc && l.Calls["statx"] != 0 })
	}
	return lacks
}

// Every call that goes down by a name answers the same, whatever the kernel has:
// same-device mounts of directories and of files are refused everywhere.
func TestLookupAnswersTheSameWhateverTheKernelLacks(t *testing.T) {
	want := map[string]map[string]error{
		"OpenDirectory": {"dir": nil, "file": unix.ENOTDIR, "link": unix.ENOTDIR, "dangling": unix.ENOTDIR, "fifo": unix.ENOTDIR},
		"OpenLock":      {"dir": unix.EISDIR, "file": nil, "link": unix.ELOOP, "dangling": unix.ELOOP, "fifo": nil},
		"OpenToInspect": {"dir": nil, "file": nil, "link": unix.ELOOP, "dangling": unix.ELOOP, "fifo": nil},
		"ChangeMode":    {"dir": nil, "file": unix.ENOTDIR, "link": unix.ENOTDIR, "dangling": unix.ENOTDIR, "fifo": unix.ENOTDIR},
		"Owns":          {"dir": nil, "file": unix.ENOTDIR, "link": unix.ENOTDIR, "dangling": unix.ENOTDIR, "fifo": unix.ENOTDIR},
		"ClearFlags":    {"dir": nil, "file": nil, "link": unix.ELOOP, "dangling": unix.ELOOP, "fifo": unix.ENOTTY},
	}
	for _, answers := range want {
		maps.Copy(answers, map[string]error{"missing": unix.ENOENT, "mounted": unix.EXDEV, "mounted file": unix.EXDEV,
			"..": unix.EXDEV, "/": unix.EXDEV, "": unix.ENOENT, "mounted/sub": unix.EXDEV, "missing/sub": unix.ENOENT})
		answers["dir/sub"] = answers["dir"]
	}
	for name, lack := range lacking(t) {
		t.Run(name, func(t *testing.T) {
			testfs.Without(t, lack, func(t *testing.T) {
				outside, dir := t.TempDir(), t.TempDir()
				at := func(name string) string { return filepath.Join(dir, name) }
				for _, path := range []string{at("file"), at("mounted file"), filepath.Join(outside, "file")} {
					require.NoError(t, os.WriteFile(path, nil, 0o600))
				}
				require.NoError(t, os.MkdirAll(at("dir/sub"), 0o700))
				require.NoError(t, os.Mkdir(filepath.Join(outside, "sub"), 0o700))
				require.NoError(t, os.Mkdir(at("mounted"), 0o700))
				require.NoError(t, os.Symlink(outside, at("link")))
				require.NoError(t, os.Symlink("nowhere", at("dangling")))
				require.NoError(t, unix.Mkfifo(at("fifo"), 0o600))
				testfs.Bind(t, outside, at("mounted"))
				testfs.Bind(t, filepath.Join(outside, "file"), at("mounted file"))
				k := kernel.Linux()
				root, _, err := k.OpenRoot(dir)
				require.NoError(t, err)
				defer k.Close(root)
				opened := func(fd int, err error) error {
					if err == nil {
						k.Close(fd)
					}
					return err
				}
				for method, answers := range want {
					for name, want := range answers {
						var err error
						switch method {
						case "OpenDirectory":
							err = opened(k.OpenDirectory(root, name))
						case "OpenLock":
							err = opened(k.OpenLock(root, name))
						case "OpenToInspect":
							err = opened(k.OpenToInspect(root, name))
						case "Owns":
							err = k.Owns(root, name)
						case "ChangeMode":
							err = k.ChangeMode(root, name, 0o750)
						case "ClearFlags":
							_, err = k.ClearFlags(root, name)
						}
						assert.Equal(t, want, err, "%s of %q", method, name)
					}
				}
				info, err := os.Stat(at("dir"))
				require.NoError(t, err)
				assert.Equal(t, os.ModeDir|0o750, info.Mode())
			})
		})
	}
}

// The whole life of an instance, with a mount of the same device in a victim and
// a directory that its owner may not search, by root and by an ordinary user.
func TestLifeWhateverTheKernelLacks(t *testing.T) {
	for name, lack := range lacking(t) {
		t.Run(name, func(t *testing.T) {
			testfs.Without(t, lack, func(t *testing.T) {
				root := openRoot(t)
				outside := makeLayer(t, beside(root, "outside"))
				dir, entry := stageNew(t, root, func(path string) {
					require.NoError(t, os.MkdirAll(filepath.Join(path, "deep", "closed"), 0o700))
					require.NoError(t, os.Mkdir(filepath.Join(path, "mounted"), 0o700))
					require.NoError(t, os.WriteFile(filepath.Join(path, "mounted file"), nil, 0o600))
				})
				testfs.Bind(t, outside, filepath.Join(entry, "mounted"))
				testfs.Bind(t, filepath.Join(outside, "readme"), filepath.Join(entry, "mounted file"))
				require.ErrorIs(t, dir.Close(background), tempdir.ErrMountPoint)
				requireLayer(t, outside)
				assert.NoDirExists(t, filepath.Join(entry, "deep"))
				require.NoError(t, unix.Unmount(filepath.Join(entry, "mounted"), 0))
				require.NoError(t, unix.Unmount(filepath.Join(entry, "mounted file"), 0))
				report, err := root.Recover(background)
				require.NoError(t, err)
				assert.Equal(t, 1, report.Count(tempdir.Recovered))
				assert.Empty(t, rootNames(t, root))
				requireLayer(t, outside)
			})
		})
	}
}

// A directory that its owner may not search is removed or reported, whatever is
// there to change its mode by; never is it called gone (rule 14).
func TestClosedDirectoriesWhateverTheKernelLacks(t *testing.T) {
	for name, lack := range lacking(t) {
		lack.User = 1234
		t.Run(name, func(t *testing.T) {
			testfs.Without(t, lack, func(t *testing.T) {
				for _, mode := range []os.FileMode{0o300, 0o500, 0o600, 0o100, 0o400, 0o200, 0} {
					root := openRoot(t)
					dir, entry := stageNew(t, root, func(path string) {
						require.NoError(t, os.MkdirAll(filepath.Join(path, "d", "e"), 0o700))
						require.NoError(t, os.Chmod(filepath.Join(path, "d"), mode))
					})
					err := dir.Close(background)
					if lack.Proc && lack.Calls["fchmodat2"] != 0 && mode&0o500 == 0 {
						// Nothing reaches such a directory but a name that may be a link by then.
						require.ErrorIs(t, err, tempdir.ErrLeftover, "mode %o", mode)
						require.ErrorIs(t, err, unix.EACCES)
						require.DirExists(t, filepath.Join(entry, "d"))
						require.NoError(t, os.Chmod(filepath.Join(entry, "d"), 0o700))
						_, err = root.Recover(background)
					}
					require.NoError(t, err, "mode %o", mode)
					require.Empty(t, rootNames(t, root))
				}
			})
		})
	}
}

// Where nothing tells mounts apart, the library says so before it begins.
func TestNothingBeginsWhereMountsCannotBeTold(t *testing.T) {
	lack := testfs.Lack{Proc: true, Calls: map[string]syscall.Errno{
		"openat2": unix.EPERM, "statx": unix.EPERM, "name_to_handle_at": unix.EPERM}}
	testfs.Without(t, lack, func(t *testing.T) {
		path := t.TempDir()
		requireLayer(t, makeLayer(t, filepath.Join(path, "layer")))
		_, err := tempdir.Open(path)
		require.True(t, errors.Is(err, errors.ErrUnsupported), "%v", err)
		k := kernel.Linux()
		parent, err := k.OpenParent(path)
		require.NoError(t, err)
		defer k.Close(parent)
		_, err = k.OpenDirectory(parent, "layer")
		require.Equal(t, unix.ENOSYS, err)
		requireLayer(t, filepath.Join(path, "layer"))
	})
}

// Where RENAME_NOREPLACE is refused, moving into our own data directory does
// without it, and still replaces nothing but an empty directory. Nothing is
// renamed to find out (rule 14).
func TestStagingWithoutNoReplace(t *testing.T) {
	stage := func(t *testing.T, base string) {
		root := openAt(t, filepath.Join(base, "root"))
		dir, err := root.Create()
		require.NoError(t, err)
		victim, file := makeLayer(t, filepath.Join(base, "victim")), filepath.Join(base, "file")
		require.NoError(t, os.MkdirAll(deepPath(victim), 0o700)) // hoisted
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.NoError(t, dir.StageDeletion(victim))
		require.NoError(t, dir.StageDeletion(file))
		assert.ErrorIs(t, dir.StageDeletion(victim), tempdir.ErrVictimGone)
		require.Error(t, dir.StageDeletion(base), "the root is in it")
		require.NoError(t, dir.Close(background))
		assert.Empty(t, rootNames(t, root))

		data := filepath.Join(base, "data")
		for _, path := range []string{"full/x", "empty", "moved/y", "file/"} {
			require.NoError(t, os.MkdirAll(filepath.Join(data, path), 0o700))
		}
		require.NoError(t, os.Remove(filepath.Join(data, "file")))
		require.NoError(t, os.WriteFile(filepath.Join(data, "file"), nil, 0o600))
		require.NoError(t, os.Symlink("nowhere", filepath.Join(data, "link")))
		k := kernel.Linux()
		fd, _, err := k.OpenRoot(data)
		require.NoError(t, err)
		defer k.Close(fd)
		for _, move := range []struct {
			from, to string
			want     unix.Errno
		}{
			{"moved", "full", unix.EEXIST},
			{"moved", "file", unix.EEXIST},
			{"moved", "link", unix.EEXIST},
			{"file", "full", unix.EEXIST},
			{"file", "empty", unix.EEXIST},
			{"missing", "new", unix.ENOENT},
			{"moved", "moved/inside", unix.EINVAL},
			{"file/inside", "new", unix.ENOTDIR}, // whatever is said about a name that is free
		} {
			assert.Equal(t, move.want, k.Hoist(fd, move.from, fd, move.to), move)
		}
		// A kernel with the flag looks for the target before it asks the file system.
		if err := k.Hoist(fd, "moved", fd, "empty"); err != nil {
			assert.Equal(t, unix.EEXIST, err)
		}
	}
	t.Run("bindfs", func(t *testing.T) { stage(t, testfs.Bindfs(t)) })
	for _, errno := range []syscall.Errno{unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS, unix.EPERM} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{testfs.NoReplace: errno}}, func(t *testing.T) { stage(t, t.TempDir()) })
		})
	}
}

// A mount goes away without /proc, by its name in a directory; what is in it,
// and the working directory of the process, are untouched.
func TestDetachWhateverTheKernelLacks(t *testing.T) {
	t.Run("without /proc", func(t *testing.T) {
		testfs.Without(t, testfs.Lack{Proc: true}, func(t *testing.T) {
			dir, outside := t.TempDir(), makeLayer(t, t.TempDir())
			for _, name := range []string{"mounted", "plain"} {
				require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
			}
			testfs.Bind(t, outside, filepath.Join(dir, "mounted"))
			require.NoError(t, os.Symlink("mounted", filepath.Join(dir, "link")))
			before, err := os.Getwd()
			require.NoError(t, err)
			k := kernel.Linux()
			fd, err := k.OpenParent(dir)
			require.NoError(t, err)
			defer k.Close(fd)
			assert.Equal(t, unix.EINVAL, k.Detach(fd, "plain"))
			assert.Equal(t, unix.EINVAL, k.Detach(fd, "link"), "a link is not followed")
			requireLayer(t, filepath.Join(dir, "mounted"))
			require.NoError(t, k.Detach(fd, "mounted"))
			assert.NoDirExists(t, filepath.Join(dir, "mounted", "etc"))
			requireLayer(t, outside)
			after, err := os.Getwd()
			require.NoError(t, err)
			assert.Equal(t, before, after)
		})
	})
	for _, call := range []string{"unshare", "fchdir"} { // where it would be another directory's mount that goes
		t.Run(call, func(t *testing.T) {
			testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{call: unix.EPERM}}, func(t *testing.T) {
				here, outside := t.TempDir(), makeLayer(t, t.TempDir())
				require.NoError(t, os.Mkdir(filepath.Join(here, "mounted"), 0o700))
				testfs.Bind(t, outside, filepath.Join(here, "mounted"))
				require.NoError(t, os.Chdir(here)) // of this process alone, which may not go back
				k := kernel.Linux()
				fd, err := k.OpenParent(outside)
				require.NoError(t, err)
				defer k.Close(fd)
				assert.Equal(t, unix.EPERM, k.Detach(fd, "mounted"))
				requireLayer(t, "mounted")
			})
		})
	}
}

// On Linux a descriptor is closed whatever close says: a second close would hit
// somebody else's. The calls are refused here, so one that is repeated after
// EINTR does not end.
func TestCloseIsNotRepeated(t *testing.T) {
	testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{"close": unix.EINTR}}, func(t *testing.T) {
		require.Equal(t, unix.EINTR, kernel.Linux().Close(0))
	})
}

// What counts as ordered: no fsync before the first unlink there (rule 11).
func TestWhichFileSystemsAreOrdered(t *testing.T) {
	ordered := map[string]bool{"tmpfs": true, "ext4": true, "xfs": true}
	for _, kind := range testfs.Kinds()[1:] {
		t.Run(kind.Name, func(t *testing.T) {
			k := kernel.Linux()
			fd, got, err := k.OpenRoot(kind.Make(t))
			require.NoError(t, err)
			defer k.Close(fd)
			require.Equal(t, ordered[kind.Name], got)
		})
	}
	t.Run("refused", func(t *testing.T) {
		testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{"fstatfs": unix.EACCES}}, func(t *testing.T) {
			k := kernel.Linux()
			fd, ordered, err := k.OpenRoot("/dev/shm")
			require.NoError(t, err)
			defer k.Close(fd)
			require.False(t, ordered, "nobody knows")
		})
	})
}

// Bits beside the permissions are read, and put back.
func TestChangeModeKeepsEveryBit(t *testing.T) {
	dir := t.TempDir()
	k := kernel.Linux()
	for _, mode := range []os.FileMode{0o750, 0o755 | os.ModeSetgid, 0o777 | os.ModeSticky, 0o711 | os.ModeSetuid} {
		require.NoError(t, k.ChangeMode(unix.AT_FDCWD, dir, mode))
		a, err := k.StatName(unix.AT_FDCWD, dir)
		require.NoError(t, err)
		require.Equal(t, mode, a.Permissions)
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.ModeDir|mode, info.Mode())
	}
	require.NoError(t, os.Symlink(dir, dir+"-link"))
	defer os.Remove(dir + "-link")
	require.Equal(t, unix.ENOTDIR, k.ChangeMode(unix.AT_FDCWD, dir+"-link", 0o700))
}
