//go:build linux

package tempdir_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A user who owns a tree can delete it whatever its modes are, with /proc or
// without; and nothing is told as gone that is not (FIELD 28).
func TestModesAreMendedWithoutProc(t *testing.T) {
	for _, proc := range []bool{false, true} {
		t.Run(fmt.Sprintf("proc hidden %t", proc), func(t *testing.T) {
			testfs.Without(t, testfs.Lack{Proc: proc, User: 1234}, func(t *testing.T) {
				for _, mode := range []fs.FileMode{0o300, 0, 0o400, 0o500, 0o100, 0o600} {
					base := t.TempDir()
					build := func(path string) string {
						makeLayer(t, path)
						require.NoError(t, os.MkdirAll(deepPath(path), 0o700))
						for _, dir := range []string{"d/d/d", "d/d", "d", "usr/lib", "etc", "."} {
							require.NoError(t, os.Chmod(filepath.Join(path, dir), mode))
						}
						return path
					}
					root := openAt(t, filepath.Join(base, "root"))
					require.NoError(t, tempdir.Remove(background, build(filepath.Join(base, "in place"))), mode)
					require.NoFileExists(t, filepath.Join(base, "in place"))

					dir, err := root.Create()
					require.NoError(t, err)
					require.NoError(t, dir.StageDeletion(build(filepath.Join(base, "staged"))), mode)
					require.NoError(t, dir.Close(background), mode)

					data := filepath.Join(root.Path(), "temp-dir-"+staleID)
					require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "lock-"+staleID), nil, 0o600))
					build(filepath.Join(data, "0-stale"))
					require.NoError(t, os.Chmod(data, mode))
					report, err := root.Recover(background)
					require.NoError(t, err, mode)
					require.Equal(t, 1, report.Count(tempdir.Recovered))
					require.Empty(t, rootNames(t, root), mode)
				}
			})
		})
	}
}

// Where files without a name cannot be linked, for whatever reason, lock files
// are made by name (FIELD 41), and where nobody can lock nothing stays (FIELD 24).
func TestCreateWithoutThisOrThat(t *testing.T) {
	for _, c := range []struct {
		name  string
		calls map[string]syscall.Errno
		want  error
	}{
		{"no hard links", map[string]syscall.Errno{"linkat": unix.EPERM}, nil},
		{"links denied", map[string]syscall.Errno{"linkat": unix.EACCES}, nil},
		{"links across", map[string]syscall.Errno{"linkat": unix.EXDEV}, nil},
		{"no unnamed files", map[string]syscall.Errno{testfs.Unnamed: unix.EOPNOTSUPP}, nil},
		{"unnamed files denied by a sandbox", map[string]syscall.Errno{testfs.Unnamed: unix.EPERM}, nil},
		{"unnamed files denied", map[string]syscall.Errno{testfs.Unnamed: unix.EACCES}, nil},
		{"the file system does not say what it is", map[string]syscall.Errno{"fstatfs": unix.EACCES}, nil},
		{"no locks", map[string]syscall.Errno{testfs.TakeLock: unix.ENOLCK}, unix.ENOLCK},
		{"locks denied, no unnamed files", map[string]syscall.Errno{testfs.Unnamed: unix.EOPNOTSUPP, testfs.TakeLock: unix.EPERM}, unix.EPERM},
		{"locks refused, no links", map[string]syscall.Errno{"linkat": unix.EPERM, testfs.TakeLock: unix.EACCES}, unix.EACCES},
		{"no locks known", map[string]syscall.Errno{testfs.TakeLock: unix.EINVAL}, unix.EINVAL},
		{"no locks, no unnamed files", map[string]syscall.Errno{testfs.Unnamed: unix.EOPNOTSUPP, testfs.TakeLock: unix.ENOLCK}, unix.ENOLCK},
		{"no locks at all, no unnamed files", map[string]syscall.Errno{testfs.Unnamed: unix.EINVAL, testfs.TakeLock: unix.EINVAL, testfs.GetLock: unix.EINVAL}, unix.EINVAL},
		{"no locks, no links", map[string]syscall.Errno{"linkat": unix.EPERM, testfs.TakeLock: unix.ENOLCK}, unix.ENOLCK},
	} {
		t.Run(c.name, func(t *testing.T) {
			testfs.Without(t, testfs.Lack{Calls: c.calls}, func(t *testing.T) {
				k := newTap()
				root := openRoot(t, kernel.With[tempdir.Option](k), tempdir.MixedFleet(0, 0))
				makeOrphan(t, root)
				open := len(k.open)
				defer func() { require.Len(t, k.open, open) }()
				dir, err := root.Create()
				if c.want != nil {
					require.ErrorIs(t, err, c.want)
					require.Equal(t, []string{"temp-dir-" + someID}, rootNames(t, root))
					_, err = root.CreateLock("lock-" + idOf("5"))
					require.ErrorIs(t, err, c.want)
					_, err = root.Recover(background)
					require.ErrorIs(t, err, c.want)
					require.Equal(t, []string{"temp-dir-" + someID}, rootNames(t, root))
					return
				}
				require.NoError(t, err)
				require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "victim"))))
				require.NoError(t, dir.Close(background))
				_, err = root.Recover(background)
				require.NoError(t, err)
				require.Empty(t, rootNames(t, root))
			})
		})
	}
}

// Where no rename is to be had that never replaces, staging and committing do
// without, and replace nothing all the same (FIELD 23).
func TestRenamesThatMayReplace(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} {
		for _, user := range []int{0, 1234} {
			t.Run(fmt.Sprintf("%s/%d", unix.ErrnoName(errno), user), func(t *testing.T) {
				testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{testfs.NoReplace: errno}, User: user}, func(t *testing.T) {
					root := openRoot(t)
					dir, err := root.Create()
					require.NoError(t, err)
					names := rootNames(t, root)
					require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "victim"))))
					require.NoError(t, os.WriteFile(beside(root, "file"), nil, 0o600))
					require.NoError(t, dir.StageDeletion(beside(root, "file")))

					build := map[string]func(path string) error{
						"directory": func(path string) error { return os.Mkdir(path, 0o700) },
						"unwritable": func(path string) error {
							makeLayer(t, path)
							return os.Chmod(path, 0o555)
						},
						"file": func(path string) error { return os.WriteFile(path, []byte("new"), 0o600) },
						"link": func(path string) error { return os.Symlink("nowhere", path) },
						"fifo": func(path string) error { return unix.Mkfifo(path, 0o600) },
					}
					for name, make := range build {
						addition, err := dir.StageAddition()
						require.NoError(t, err)
						require.NoError(t, make(addition.Path()))
						for there, makeThere := range build { // never over what is there
							taken := beside(root, name+" over "+there)
							require.NoError(t, makeThere(taken))
							before := testfs.Snapshot(t, taken)
							require.ErrorIs(t, addition.Commit(taken), fs.ErrExist, taken)
							require.Equal(t, before, testfs.Snapshot(t, taken))
							require.NoError(t, tempdir.Remove(background, taken))
						}
						require.ErrorIs(t, addition.Commit(beside(root, "no/where")), fs.ErrNotExist)
						destination := beside(root, "new "+name)
						require.NoError(t, addition.Commit(destination), name)
						info, err := os.Lstat(destination)
						require.NoError(t, err)
						assert.NoFileExists(t, addition.Path())
						if name == "unwritable" {
							assert.Equal(t, fs.FileMode(0o555), info.Mode().Perm())
							requireLayer(t, destination)
							require.NoError(t, os.Chmod(destination, 0o755))
						}
					}
					inside, err := dir.StageAddition()
					require.NoError(t, err)
					require.NoError(t, os.Mkdir(inside.Path(), 0o700))
					require.Error(t, inside.Commit(filepath.Join(inside.Path(), "x")))
					require.ErrorIs(t, dir.StageDeletion(filepath.Dir(root.Path())), tempdir.ErrContainsRoot)
					require.Equal(t, names, rootNames(t, root))
					require.NoError(t, dir.Close(background))
				})
			})
		}
	}
}
