//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A ledger keeps what is made durable, moved and removed, and in which order: each
// call with the object that it is about, below "store" and "images".
type ledger struct {
	kernel.Disk
	store, images string
	unordered     bool // the kernel says that the file system orders nothing
	marks         bool // names cannot be exchanged
	locks         bool // lines under the store lock say so
	lines         []string
	refuse        func(*kernel.Call) error
}

var random = regexp.MustCompile(`[0-9a-f]{32}|[A-Z2-7]{26}|\d+-(addition|[a-z]+)$`)

// note keeps one call. What is drawn at random is left out.
func (l *ledger) note(name, path string) {
	if strings.HasPrefix(path, "fd:") {
		path, _ = os.Readlink("/proc/self/fd/" + path[3:])
	}
	if l.images != "" {
		path = strings.Replace(path, l.images, "images", 1)
	}
	path = strings.Replace(path, l.store, "store", 1)
	line := name + " " + random.ReplaceAllString(path, "*")
	if l.locks && heldForWriting(l.store, 0, 1) {
		line += ", locked"
	}
	l.lines = append(l.lines, line)
}

func (l *ledger) take() []string {
	lines := l.lines
	l.lines = nil
	return lines
}

func (l *ledger) WriteSpare(path string, data []byte) (int, error) {
	l.note("write", path)
	return l.Disk.WriteSpare(path, data)
}

func (l *ledger) SyncSpare(fd int) error {
	l.note("sync", fmt.Sprint("fd:", fd))
	return l.Disk.SyncSpare(fd)
}

func (l *ledger) WriteToken(fd int, t kernel.Token) error {
	l.lines = append(l.lines, "token")
	return l.Disk.WriteToken(fd, t)
}

func (l *ledger) Replace(spare, path string) error {
	l.note("replace", path)
	if l.marks {
		return unix.EINVAL
	}
	return l.Disk.Replace(spare, path)
}

func (l *ledger) SyncDirectory(path string) error {
	l.note("sync", path)
	return l.Disk.SyncDirectory(path)
}

func (l *ledger) SyncContent(path string) error {
	l.note("syncfs", path)
	return l.Disk.SyncContent(path)
}

func (l *ledger) Before(c *kernel.Call) error {
	if l.refuse != nil {
		if err := l.refuse(c); err != nil {
			return err
		}
	}
	switch c.Method {
	case kernel.StageDeletion:
		l.note("move", c.Name)
	case kernel.Commit:
		l.note("commit", c.To)
	case kernel.SyncData:
		l.note("sync", fmt.Sprint("fd:", c.Fd))
	case kernel.RemoveEntry:
		if len(l.lines) == 0 || l.lines[len(l.lines)-1] != "remove" {
			l.lines = append(l.lines, "remove")
		}
	}
	return nil
}

func (l *ledger) After(c *kernel.Call) {
	if c.Method == kernel.OpenRoot && l.unordered {
		c.Ordered = false
	}
}

func (l *ledger) options() []layerstore.Option {
	options := []layerstore.Option{kernel.WithDisk[layerstore.Option](l), kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), l))}
	if l.images != "" {
		options = append(options, layerstore.ImageStore(l.images))
	}
	return options
}

// What is made durable is the right object, at the right moment: in each layout, on
// one file system and on two, ordered and not.
func TestWhatIsSyncedAndWhen(t *testing.T) {
	save := []string{"write store/layers.json.spare", "sync store/layers.json.spare", "token", "replace store/layers.json", "sync store"}
	for _, driver := range layouts {
		for _, c := range []struct {
			name              string
			images, unordered bool
		}{{"one file system", false, false}, {"one unordered file system", false, true}, {"two file systems", true, false}} {
			t.Run(driver.Name()+"/"+c.name, func(t *testing.T) {
				l := &ledger{Disk: kernel.LinuxDisk(), unordered: c.unordered, store: filepath.Join(scratch(t), "store")}
				at := "store"
				if c.images {
					at, l.images = "images", testfs.Tmpfs(t, "")
				}
				s := openStore(t, l.store, append(l.options(), layerstore.Sync(), layerstore.WithDriver(driver))...)
				layer := layerstore.Layer{ID: "a", Image: c.images}
				parts := []string{at + "/vfs/dir/a"} // in the order of a deletion
				if driver == layerstore.Overlay {
					parts = []string{at + "/overlay/l/*", at + "/overlay/a"}
				}
				make := func() {
					t.Helper()
					_, err := s.Create(background, layer, someFiles(3, "a"))
					require.NoError(t, err)
				}
				join := func(all ...[]string) (lines []string) {
					for _, part := range all {
						lines = append(lines, part...)
					}
					return lines
				}
				var commits, moves, synced, gone []string
				for i := range parts {
					last := parts[len(parts)-1-i]
					commits = append(commits, "commit "+last)
					if c.images || c.unordered {
						commits = append(commits, "sync "+filepath.Dir(last))
					}
					moves = append(moves, "move "+parts[i])
				}
				if c.images || c.unordered {
					synced = []string{"sync " + at + "/tempdirs/temp-dir-*"}
				}
				gone = []string{"remove"}
				if c.unordered {
					gone = join(synced, gone) // rule 11
					if driver == layerstore.Overlay {
						synced = join([]string{"sync store/overlay/l"}, synced) // the link is no directory
					}
				}

				l.take()
				make()
				closed := gone[:len(gone)-1]
				assert.Equal(t, join([]string{"syncfs " + at + "/tempdirs"}, save, commits, save, closed), l.take(), "create")
				_, err := s.Delete(background, "a")
				require.NoError(t, err)
				assert.Equal(t, join(save, moves, synced, save, gone), l.take(), "delete")

				make()
				l.take()
				l.refuse = func(c *kernel.Call) error {
					if c.Method == kernel.StageDeletion {
						return unix.EXDEV
					}
					return nil
				}
				_, err = s.Delete(background, "a")
				require.NoError(t, err)
				removed := closed
				for _, part := range parts {
					removed = append(removed, "remove")
					if c.images || c.unordered {
						removed = append(removed, "sync "+filepath.Dir(part))
					}
				}
				if !c.images && !c.unordered {
					removed = []string{"remove"} // of both parts
				}
				assert.Equal(t, join(save, removed, save), l.take(), "delete in place")

				l.refuse = nil
				make()
				for _, part := range parts {
					graph, below, _ := strings.Cut(part, "/")
					where := filepath.Join(map[string]string{"images": l.images, "store": l.store}[graph], below)
					require.NoError(t, os.RemoveAll(strings.Replace(where, "*", shortOf(t, filepath.Dir(filepath.Dir(filepath.Dir(where))), "a"), 1)))
				}
				l.take()
				_, err = s.Delete(background, "a")
				require.NoError(t, err)
				lost := []string{}
				for _, part := range parts {
					if c.images || c.unordered {
						lost = append(lost, "sync "+filepath.Dir(part))
					}
				}
				assert.Equal(t, join(save, moves, lost, save, closed), l.take(), "delete of what is gone")

				make()
				require.NoError(t, openStore(t, l.store).Save(background, "a", nil))
				l.take()
				require.NoError(t, s.Save(background, "a", nil))
				assert.Equal(t, join([]string{"sync store"}, save), l.take(), "save after somebody else's")

				l.marks = true
				require.NoError(t, s.Save(background, "a", nil))
				mark := []string{"sync store", "token", "sync store/store.lock"}
				over := []string{"sync store/store.lock", "write store/layers.json", "sync store/layers.json", "sync store", "token"}
				assert.Equal(t, join(save[:4], mark, over), l.take(), "save by mark")
				l.marks = false

				stranger := openStore(t, l.store, layerstore.WithDriver(driver)) // which does not know the image store
				if opened := openBelow(l.store); c.images && driver == layerstore.VFS {
					_, err = stranger.Create(background, layerstore.Layer{ID: "copy", Parent: "a"}, layerstore.Empty())
					assert.ErrorIs(t, err, layerstore.ErrNoImageStore)
					assert.Equal(t, opened, openBelow(l.store))
				}
				_, err = stranger.Delete(background, "a")
				assert.Equal(t, c.images, errors.Is(err, layerstore.ErrNoImageStore))
				create(t, s, "b", layerstore.Empty())
				ids := listIDs(t, s)
				deletion, err := s.Delete(background, ids...)
				require.NoError(t, err)
				assert.Len(t, deletion.Instances, len(ids), "one in each root")
				assert.Empty(t, leftovers(l.store))
				assert.Empty(t, leftovers(l.images))
			})
		}
	}
}

// Who flagged a layer may have been killed before that was durable. Who finishes it
// makes it so before anything moves, or power loss would leave the record and not the
// layer (spec: PowerTrustsFlag).
func TestFlagIsDurableBeforeAnythingMoves(t *testing.T) {
	recover := func(s *layerstore.Store) error { _, err := s.Recover(background); return err }
	save := func(s *layerstore.Store) error { return s.Save(background, "b", label("x")) }
	for sync, exchange := range map[string]error{"Disk.SyncDirectory": nil, "Disk.SyncSpare": unix.ENOSPC} { // of the flag, and by mark
		for _, finish := range []func(*layerstore.Store) error{recover, save} {
			for _, fails := range []error{nil, unix.EIO} {
				s, path := newStore(t)
				create(t, s, "a", someFiles(3, "a"))
				create(t, s, "b", layerstore.Empty())
				took := false
				flags := &calls{before: func(_ int64, call string) error {
					if call == "Disk.Replace" {
						took = true
						return exchange
					}
					if took && call == sync {
						return unix.ESRCH // it is killed
					}
					return nil
				}}
				_, err := openStore(t, path, append(flags.options(), layerstore.WithoutRecovery())...).Delete(background, "a")
				require.Equal(t, layerstore.MayHaveEffect, layerstore.EffectOf(err))

				var made []string
				finishes := &calls{before: func(_ int64, call string) error {
					if made = append(made, call); call == sync {
						return fails
					}
					return nil
				}}
				other := openStore(t, path, append(finishes.options(), layerstore.WithoutRecovery())...)
				made = nil
				require.ErrorIs(t, finish(other), fails)
				synced, moved := slices.Index(made, sync), slices.Index(made, "Kernel.StageDeletion")
				require.GreaterOrEqual(t, synced, 0)
				if fails != nil {
					assert.Equal(t, -1, moved, "%v", made)
					assert.DirExists(t, filepath.Join(path, "vfs/dir/a"))
					continue
				}
				assert.Greater(t, moved, synced, "%v", made)
				assert.Equal(t, []string{"b"}, listIDs(t, s))
			}
		}
	}
}

// What could not be put in place in the end is refused before the content is read.
func TestCreateThatCouldNotBeCommitted(t *testing.T) {
	refused := func(t *testing.T, path string, driver layerstore.Driver) {
		t.Helper()
		s := openStore(t, path, layerstore.WithDriver(driver))
		read := false
		_, err := s.Create(background, layerstore.Layer{ID: "new"}, layerstore.Tar(readerFunc(func([]byte) (int, error) {
			read = true
			return 0, io.EOF
		})))
		require.ErrorIs(t, err, tempdir.ErrCrossDevice)
		assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
		assert.False(t, read)
	}
	for _, driver := range layouts {
		t.Run(driver.Name()+"/behind a mount", func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(driver))
			create(t, s, "a", someFiles(3, "a"))
			home := filepath.Join(path, driver.Directories()[0])
			testfs.Bind(t, home, home)
			refused(t, path, driver)
			_, err := s.Delete(background, "a")
			require.NoError(t, err)
			assert.Empty(t, leftovers(path))
		})
		t.Run(driver.Name()+"/another subvolume", func(t *testing.T) {
			path := filepath.Join(testfs.Btrfs(t), "store")
			s := openStore(t, path, layerstore.WithDriver(driver))
			home := filepath.Join(path, driver.Directories()[len(driver.Directories())-1])
			require.NoError(t, os.MkdirAll(filepath.Dir(home), 0o700))
			run(t, "btrfs", "subvolume", "create", home)
			require.NoError(t, s.Close())
			refused(t, path, driver)
		})
		t.Run(driver.Name()+"/another project", func(t *testing.T) {
			path := filepath.Join(testfs.Xfs(t), "store")
			s := openStore(t, path, layerstore.WithDriver(driver))
			create(t, s, "a", someFiles(3, "a"))
			home := filepath.Join(path, driver.Directories()[len(driver.Directories())-1])
			setProject(t, home, 7)
			refused(t, path, driver)
			_, err := s.Delete(background, "a") // out of it
			require.NoError(t, err)
			setProject(t, filepath.Join(path, "tempdirs"), 7)
			for _, dir := range driver.Directories() {
				setProject(t, filepath.Join(path, dir), 7)
			}
			create(t, s, "b", someFiles(3, "b")) // one for all of them
			_, err = s.Delete(background, "b")
			require.NoError(t, err)
			setProject(t, filepath.Join(path, "tempdirs"), 5)
			refused(t, path, driver)
			for _, dir := range driver.Directories() {
				setProject(t, filepath.Join(path, dir), 0)
			}
			create(t, s, "c", someFiles(3, "c")) // out of a project into none
			deletion, err := s.Delete(background, "c")
			require.NoError(t, err)
			assert.Empty(t, deletion.InPlace)
			assert.Empty(t, leftovers(path))
		})
	}
}

// setProject gives the directory a project id that what is made in it inherits; 0
// takes it away.
func setProject(t *testing.T, dir string, project int) {
	t.Helper()
	run(t, "chattr", "-p", fmt.Sprint(project), map[bool]string{true: "+P", false: "-P"}[project != 0], dir)
}

// An Open that fails, at whatever call, leaves nothing of what it made, or a store
// that can be opened.
func TestOpenThatFailsLeavesNothing(t *testing.T) {
	stores := 0
	for _, errno := range []error{unix.EIO, unix.EPERM, unix.ENOSPC} {
		for k := int64(1); ; k++ {
			base := scratch(t)
			path := filepath.Join(base, "a/b/store")
			failed := ""
			c := &calls{before: func(n int64, name string) error {
				if n == k {
					failed = name
					return errno
				}
				return nil
			}}
			order := kernel.WithDisk[layerstore.Option](kernel.AroundDisk(kernel.LinuxDisk(), func(method, path string) error {
				if method == "Remove" && filepath.Base(path) == "store.lock" { // what comes after it may be another one's
					assert.NoFileExists(t, filepath.Join(filepath.Dir(path), "layers.json.spare"))
				}
				return c.call("Disk." + method)
			}))
			s, err := layerstore.Open(path, append(c.options(), order, layerstore.Make(0o700), layerstore.WithoutRecovery())...)
			if err == nil {
				if failed != "" {
					require.Regexp(t, `^Disk\.(Close|StatMetadata|WriteSpare|Replace|OpenLock)$`, failed, "without a word")
				}
				require.NoError(t, s.Close())
			} else {
				if _, missing := os.Stat(filepath.Join(path, "layers.json")); missing != nil {
					require.Empty(t, tree(t, base), "%s: %v", failed, err)
				} else {
					stores++
				}
			}
			require.NoError(t, openStore(t, path).Close(), failed)
			if failed == "" {
				require.Greater(t, k, int64(10))
				break
			}
		}
	}
	assert.Positive(t, stores)
}

// Nor does it make the lock file that a store has lost, before it is sure of the rest.
func TestOpenWithoutImageStoreMakesNoLockFile(t *testing.T) {
	s, path := newStore(t)
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(filepath.Join(path, "store.lock")))
	before := testfs.Snapshot(t, path)
	_, err := layerstore.Open(path, layerstore.Make(0o700), layerstore.ImageStore(filepath.Join(path, "layers.json")))
	require.ErrorIs(t, err, unix.ENOTDIR)
	require.Equal(t, before, testfs.Snapshot(t, path))
}

// What a deletion calls under the store lock is a constant, and one rename for each part
// of a layer. Upstream makes two instances for each layer, under the lock (F26); here it
// is one for all of them, before it.
func TestCallsUnderTheLock(t *testing.T) {
	save := []string{"Disk.WriteSpare", "Disk.SyncSpare", "Disk.Close", "Disk.WriteToken", "Disk.Replace", "Disk.SyncDirectory", "Disk.StatMetadata"}
	lock := []string{"Disk.OpenLock", "Disk.TakeLock", "Disk.Links", "Disk.ReadToken", "Disk.StatMetadata"}
	unlock := []string{"Disk.Close"}
	instance := []string{"Kernel.OpenUnnamed", "Kernel.TakeLock", "Kernel.WriteOwner", "Kernel.LinkLock", "Kernel.MakeData"}
	for _, driver := range layouts {
		for _, layers := range []int{1, 10} {
			var made []string
			c := &calls{before: func(_ int64, name string) error { made = append(made, name); return nil }}
			s, _ := newStore(t, append(c.options(), layerstore.WithDriver(driver))...)
			var ids []string
			for i := range layers {
				ids = append(ids, fmt.Sprint("layer", i))
				create(t, s, ids[i], someFiles(9, "x"))
			}
			made = nil
			_, err := s.Delete(background, ids...)
			require.NoError(t, err)
			moves := slices.Repeat([]string{"Kernel.StageDeletion"}, layers*len(driver.Parts(layerstore.Placed{})))
			want := slices.Concat(lock, unlock, instance, lock, save, moves, save, unlock)
			made = slices.DeleteFunc(made, func(name string) bool { return name == "Kernel.SyncData" }) // where nothing is ordered
			require.Greater(t, len(made), len(want))
			assert.Equal(t, want, made[:len(want)])
			assert.Contains(t, made[len(want):], "Kernel.RemoveEntry")
		}
	}
}
