package compat_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A POSIX lock is lost when its process closes any descriptor of the file, so
// upstream in the same process is another case than upstream beside it (rule 15).

func init() {
	// other finds out, as another process, whether the lock of a lock file is held.
	role("other", func(path string) {
		file, err := os.Open(path)
		check(err)
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		check(unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock))
		if lock.Type == unix.F_UNLCK {
			panic("the lock of " + path + " is not held")
		}
	})
}

// requireHeld fails the test if other processes could take the lock.
func requireHeld(t *testing.T, path string) {
	t.Helper()
	child(t, "other", path)()
}

// onBoth runs the test with package tempdir, and with the portable code.
func onBoth(t *testing.T, test func(t *testing.T)) {
	notPortably(t) // that is done here
	t.Run("native", test)
	t.Run("portable", func(t *testing.T) {
		portably(t)
		test(t)
	})
}

// upstreamOwner makes a live instance of upstream in this process.
func upstreamOwner(t *testing.T, root string) (dir *upstream.Dir, addition *upstream.Addition, lockFile string) {
	t.Helper()
	r, err := upstream.New(root, upstream.Options{})
	require.NoError(t, err)
	dir, err = r.Create()
	require.NoError(t, err)
	addition = dir.StageAddition()
	require.NoError(t, os.WriteFile(addition.Path(), []byte("live"), 0o600))
	id := strings.TrimPrefix(filepath.Base(filepath.Dir(addition.Path())), "temp-dir-")
	return dir, addition, filepath.Join(root, "lock-"+id)
}

func TestUpstreamOwnerInTheSameProcess(t *testing.T) {
	onBoth(t, func(t *testing.T) {
		root, leaked := t.TempDir(), sinceNow(t)
		dir, addition, lockFile := upstreamOwner(t, root)
		for range 3 {
			require.NoError(t, compat.RecoverStaleDirs(root))
			require.FileExists(t, addition.Path())
			requireHeld(t, lockFile)
			_, err := compat.TryLockPath(lockFile)
			require.ErrorIs(t, err, tempdir.ErrHeld)
			requireHeld(t, lockFile)
			require.LessOrEqual(t, len(leaked()), 2, "the owner's, and one that is kept")
		}
		require.NoError(t, addition.Commit(filepath.Join(t.TempDir(), "committed")))
		require.NoError(t, dir.Cleanup())
		require.Empty(t, names(t, root))

		// What was kept open for it is closed by a later look.
		other, _, otherLock := upstreamOwner(t, root)
		require.NoError(t, compat.RecoverStaleDirs(root))
		require.LessOrEqual(t, len(leaked()), 2, "its own, and one that is kept")
		requireHeld(t, otherLock)
		require.NoError(t, other.Cleanup())
	})
}

func TestStagingLockOfUpstreamInTheSameProcess(t *testing.T) {
	onBoth(t, func(t *testing.T) {
		dir := t.TempDir()
		held := func(name string) (path string, file *os.File) {
			path = filepath.Join(dir, name)
			file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
			require.NoError(t, err)
			t.Cleanup(func() { file.Close() })
			require.NoError(t, unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
			for range 3 {
				_, err = compat.TryLockPath(path)
				require.ErrorIs(t, err, tempdir.ErrHeld)
				requireHeld(t, path)
			}
			return path, file
		}
		held("another.lock") // is kept open for longer
		path, file := held("staging.lock")
		require.NoError(t, file.Close())
		lock, err := compat.TryLockPath(path)
		require.NoError(t, err)
		require.NoError(t, lock.UnlockAndDelete())
		require.NoFileExists(t, path)
	})
}

func TestUpstreamRecoversInTheSameProcess(t *testing.T) {
	onBoth(t, func(t *testing.T) {
		root := t.TempDir()
		td, lockFile, _ := newTempDir(t, root)
		require.NoError(t, td.StageDeletion(victim(t, "file")))
		r, err := upstream.New(root, upstream.Options{})
		require.NoError(t, err)
		for range 3 {
			require.NoError(t, r.Recover())
			require.Len(t, names(t, root), 2)
			requireHeld(t, lockFile)
		}
		require.NoError(t, td.Cleanup())
		require.Empty(t, names(t, root))
	})
}

// TestOwnersOfBothKindsAndRecoverersAsGoroutines: nobody recovers as upstream
// does, which would harm its own kind.
func TestOwnersOfBothKindsAndRecoverersAsGoroutines(t *testing.T) {
	onBoth(t, func(t *testing.T) {
		root, out, leaked := t.TempDir(), t.TempDir(), sinceNow(t)
		theirs, err := upstream.New(root, upstream.Options{})
		require.NoError(t, err)
		done := make(chan struct{})
		var recoverers, owners sync.WaitGroup
		for range 2 {
			recoverers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					_, err := compat.RecoverStaleDirsReport(root)
					assert.NoError(t, err)
				}
			})
		}
		for owner := range 3 {
			owners.Go(func() {
				for i := range 20 {
					destination := filepath.Join(out, fmt.Sprintf("%d-%d", owner, i))
					dir, err := theirs.Create()
					if !assert.NoError(t, err) {
						return
					}
					addition := dir.StageAddition()
					assert.NoError(t, os.WriteFile(addition.Path(), nil, 0o600))
					assert.NoError(t, addition.Commit(destination))
					assert.NoError(t, dir.StageDeletion(destination))
					assert.NoError(t, dir.Cleanup())
				}
			})
			owners.Go(func() {
				for range 20 {
					td, err := compat.NewTempDir(root)
					if !assert.NoError(t, err) {
						return
					}
					addition, err := td.StageAddition()
					assert.NoError(t, err)
					assert.NoError(t, os.WriteFile(addition.Path, nil, 0o600))
					assert.NoError(t, td.Cleanup())
				}
			})
		}
		owners.Wait()
		close(done)
		recoverers.Wait()
		require.NoError(t, compat.RecoverStaleDirs(root))
		require.Empty(t, names(t, root))
		// A look at a held lock is what closes the descriptors that are kept.
		last, _, _ := upstreamOwner(t, root)
		require.NoError(t, compat.RecoverStaleDirs(root))
		require.LessOrEqual(t, len(leaked()), 2)
		require.NoError(t, last.Cleanup())
	})
}

// TestTwoCopiesInOneProcess links this package a second time, under other import
// paths, into a program that has owners and recoverers of both copies.
func TestTwoCopiesInOneProcess(t *testing.T) {
	notPortably(t)
	if testing.Short() {
		t.Skip("skipped, because it builds a program")
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Skip("skipped, because there is no go command")
	}
	const module = "github.com/afterlock/afterlock/"
	here, err := os.Getwd()
	require.NoError(t, err)
	second := filepath.Join(here, "internal", "second") // is nowhere but in the overlay
	overlay, rewritten := map[string]string{}, t.TempDir()
	add := func(directory, name, text string) {
		file := filepath.Join(rewritten, fmt.Sprint(len(overlay))+".go")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		overlay[filepath.Join(second, directory, name)] = file
	}
	for directory, from := range map[string]string{"tempdir": "..", "compat": "."} {
		files, err := filepath.Glob(filepath.Join(from, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			add(directory, filepath.Base(file), strings.ReplaceAll(string(text), `"`+module+`tempdir"`, `"`+module+`tempdir/compat/internal/second/tempdir"`))
		}
	}
	add("main", "main.go", twoCopies)
	listing, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	overlayFile, program := filepath.Join(rewritten, "overlay.json"), filepath.Join(rewritten, "program")
	require.NoError(t, os.WriteFile(overlayFile, listing, 0o600))
	build := exec.Command(goCommand, "build", "-buildvcs=false", "-overlay", overlayFile, "-o", program, "./internal/second/main")
	if output, err := build.CombinedOutput(); err != nil {
		if strings.Contains(string(output), "cache") && os.Geteuid() != 0 {
			t.Skipf("skipped, because this user has no build cache: %s", output)
		}
		require.NoError(t, err, "%s", output)
	}
	output, err := exec.Command(program, t.TempDir()).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Equal(t, "ok\n", string(output))
}

const twoCopies = `package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	first "github.com/afterlock/afterlock/tempdir/compat"
	held "github.com/afterlock/afterlock/tempdir"
	second "github.com/afterlock/afterlock/tempdir/compat/internal/second/compat"
	heldToo "github.com/afterlock/afterlock/tempdir/compat/internal/second/tempdir"
)

var root = os.Args[1]

func main() {
	own("first", func() (func() error, string) {
		td, err := first.NewTempDir(root)
		check(err)
		addition, err := td.StageAddition()
		check(err)
		return td.Cleanup, addition.Path
	})
	own("second", func() (func() error, string) {
		td, err := second.NewTempDir(root)
		check(err)
		addition, err := td.StageAddition()
		check(err)
		return td.Cleanup, addition.Path
	})
	own("upstream", func() (func() error, string) { // as it locks, without a table
		lock, data := filepath.Join(root, "lock-7"), filepath.Join(root, "temp-dir-7")
		file, err := os.OpenFile(lock, os.O_RDWR|os.O_CREATE, 0o600)
		check(err)
		check(syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}))
		check(os.Mkdir(data, 0o700))
		return func() error {
			return errors.Join(os.RemoveAll(data), os.Remove(lock), file.Close())
		}, filepath.Join(data, "0-addition")
	})
	fmt.Println("ok")
}

// own makes a live instance that both copies meet, in turns.
func own(who string, make func() (cleanup func() error, path string)) {
	cleanup, path := make()
	check(os.WriteFile(path, nil, 0o600))
	lock := filepath.Join(root, "lock-" + filepath.Base(filepath.Dir(path))[len("temp-dir-"):])
	for range 3 {
		check(first.RecoverStaleDirs(root))
		check(second.RecoverStaleDirs(root))
		if _, err := first.TryLockPath(lock); !errors.Is(err, held.ErrHeld) {
			check(fmt.Errorf("%s: %v", who, err))
		}
		if _, err := second.TryLockPath(lock); !errors.Is(err, heldToo.ErrHeld) {
			check(fmt.Errorf("%s: %v", who, err))
		}
		_, err := os.Stat(path)
		check(err)
	}
	check(cleanup())
	left, err := os.ReadDir(root)
	check(err)
	if len(left) > 0 {
		check(fmt.Errorf("%s: left: %v", who, left))
	}
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
`
