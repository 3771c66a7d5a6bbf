//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A mountScene has a store in layout overlay with the layers base and other, and
// directories for a mount of which base is a part.
type mountScene struct {
	dir, store   string // dir holds everything
	base, other  string // directories of the layers
	short        string // of base
	up, work, at string
	s            *layerstore.Store
}

func newMountScene(t *testing.T, driver layerstore.Driver) *mountScene {
	t.Helper()
	dir := scratch(t)
	m := &mountScene{dir: dir, store: filepath.Join(dir, "st"), up: filepath.Join(dir, "up"), work: filepath.Join(dir, "work"), at: filepath.Join(dir, "at")}
	m.s = openStore(t, m.store, layerstore.WithDriver(driver))
	for _, id := range []string{"base", "other", "bystander"} {
		create(t, m.s, id, someFiles(8, id))
	}
	where := func(id string) string {
		path, err := m.s.Path(background, id)
		require.NoError(t, err)
		return path
	}
	m.base, m.other = where("base"), where("other")
	if driver == layerstore.Overlay {
		m.base, m.other = filepath.Dir(m.base), filepath.Dir(m.other)
		short, err := os.ReadFile(filepath.Join(m.base, "link"))
		require.NoError(t, err)
		m.short = string(short)
	}
	for _, path := range []string{m.up, m.work, m.at} {
		require.NoError(t, os.Mkdir(path, 0o700))
	}
	return m
}

// The names in an overlay's options, in the ways in which they can be read: a colon ends
// one unless it is written with a backslash, which tables show as an escape, or is shown
// as an escape itself.
func TestNamesInOptions(t *testing.T) {
	for options, names := range map[string][][]string{
		"rw,xino=off":                     nil,
		"lowerdir=/a:/b,upperdir=/u":      {{"/a"}, {"/b"}, {"/u"}},
		"lowerdir=/a::/data,workdir=/w":   {{"/a"}, {"/data"}, {"/w"}},
		`lowerdir=/a\134:b:/c`:            {{`/a\:b`, "/a:b"}, {"/c"}},
		`lowerdir=/a\072b:/c`:             {{"/a:b"}, {"/c"}},
		`lowerdir=/a\134\134:/c`:          {{`/a\\`, `/a\`}, {"/c"}},
		`lowerdir=/a\134\072b:/c`:         {{`/a\:b`, "/a:b"}, {"/c"}},
		`lowerdir+=/a:b,datadir+=/d\040e`: {{"/a:b"}, {"/d e"}},
		`upperdir=/a\134`:                 {{`/a\`}},
		`upperdir=/a\04`:                  {{`/a\04`, "/a04"}},
	} {
		assert.Equal(t, names, layerstore.OverlayNames(options), options)
	}
}

// An overlay of which the kernel tells no options may be made of any layer.
func TestOverlayThatTellsNothing(t *testing.T) {
	s, _ := newStore(t)
	create(t, s, "a", layerstore.Empty())
	assert.Contains(t, layerstore.PerhapsUsed(s, "a", "/elsewhere"), "does not tell")
	assert.Empty(t, layerstore.PerhapsUsed(s, "a", "/"), "the store lies on it")
}

// fill replaces what the scene has in a text.
func (m *mountScene) fill(text string) string {
	return strings.NewReplacer("$D", m.dir, "$ST", m.store, "$BASE", m.base, "$S", m.short, "$UP", "upperdir="+m.up+",workdir="+m.work).Replace(text)
}

// A layer of which an overlay is made is not deleted, however the overlay's options
// name it; other layers are.
func TestLayersThatOverlaysUse(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	for _, c := range []struct{ name, dir, options string }{
		{"as engines do with many layers", "$ST/overlay", "lowerdir=l/$S,$UP"},
		{"absolute", "/", "lowerdir=$BASE/diff,$UP"},
		{"absolute by the short name", "/", "lowerdir=$ST/overlay/l/$S,$UP"},
		{"in the graph root", "$ST", "lowerdir=overlay/l/$S,$UP"},
		{"in the directory of short names", "$ST/overlay/l", "lowerdir=$S,$UP"},
		{"in the layer by a name that many have", "$BASE", "lowerdir=diff,$UP"},
		{"in the files by a name that many have", "$BASE/diff", "lowerdir=.,$UP"},
		{"in a subdirectory by a name that many have", "$BASE/diff", "lowerdir=dir1,$UP"},
		{"in another layer", "$ST/overlay/other", "lowerdir=../base/diff,$UP"},
		{"above the store", "$D", "lowerdir=st/overlay/base/diff,$UP"},
		{"by a link to the store", "/", "lowerdir=$D/link/overlay/base/diff,$UP"},
		{"by a link to the store and relative", "$D/link/overlay", "lowerdir=l/$S,$UP"},
		{"by a link to the files", "/", "lowerdir=$D/files,$UP"},
		{"by an alias of the store", "/", "lowerdir=$D/alias/overlay/base/diff,$UP"},
		{"by an alias of the store and relative", "$D/alias/overlay", "lowerdir=l/$S,$UP"},
		{"as one of many", "$ST/overlay", "lowerdir=other/diff:l/$S,$UP"},
		{"with a colon in its name", "/", `lowerdir=$D/a\:b,$UP`},
		{"with a backslash in its name", "/", `lowerdir=$D/a\\b,$UP`},
		{"with a blank in its name", "/", `lowerdir=$D/a b,$UP`},
		{"with a comma in its name", "/", `lowerdir=$D/a\,b,$UP`},
		{"for writing by a name that many have", "$BASE", "lowerdir=$D/lower,upperdir=diff,workdir=$D/st/overlay/base/work"},
		{"which leads nowhere", "$D/lost", "lowerdir=here,$UP"},
		{"which leads nowhere any more through an alias", "/", "lowerdir=$D/alias/overlay/base/diff,$UP"},
		{"which leads elsewhere, nowhere near, by an alias", "/", "lowerdir=$D/alias,$UP"},
		{"which leads elsewhere, nowhere near, by a link", "/", "lowerdir=$D/files,$UP"},
		{"by a descriptor", "/proc/self/fd", "lowerdir=$FD,$UP"},
		{"by an absolute descriptor", "/", "lowerdir=/proc/self/fd/$FD,$UP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMountScene(t, layerstore.Overlay)
			for name, to := range map[string]string{"link": m.store, "files": m.base + "/diff", "a:b": m.base + "/diff", `a\b`: m.base + "/diff", "a b": m.base + "/diff", "a,b": m.base + "/diff"} {
				require.NoError(t, os.Symlink(to, filepath.Join(m.dir, name)))
			}
			for _, name := range []string{m.dir + "/alias", m.dir + "/lower", m.dir + "/lost", m.base + "/work"} {
				require.NoError(t, os.Mkdir(name, 0o700))
			}
			require.NoError(t, os.Symlink(m.base+"/diff", filepath.Join(m.dir, "lost/here")))
			alias := filepath.Join(m.dir, "alias")
			switch {
			case strings.Contains(c.name, "elsewhere"):
				testfs.Bind(t, m.base+"/diff", alias)
			case strings.Contains(c.name, "alias"):
				testfs.Bind(t, m.store, alias)
			}
			options := m.fill(c.options)
			if strings.Contains(options, "$FD") {
				fd, err := unix.Open(m.base+"/diff", unix.O_PATH|unix.O_CLOEXEC, 0)
				require.NoError(t, err)
				options = strings.ReplaceAll(options, "$FD", fmt.Sprint(fd))
				defer unix.Close(fd)
			}
			testfs.OverlayIn(t, m.fill(c.dir), m.at, options)
			nowhere := strings.Contains(c.name, "nowhere") || strings.Contains(c.name, "descriptor")
			many := strings.Contains(c.name, "many have")
			if strings.Contains(c.name, "nowhere") {
				require.NoError(t, os.RemoveAll(filepath.Join(m.dir, "lost")))
				unix.Unmount(alias, unix.MNT_DETACH)
				require.NoError(t, os.Remove(filepath.Join(m.dir, "files")))
				require.NoError(t, os.Symlink(m.dir+"/lower", filepath.Join(m.dir, "files")))
			}
			before := tree(t, m.at)
			require.NotEmpty(t, before)
			_, err := m.s.Delete(background, "base")
			require.ErrorIs(t, err, layerstore.ErrMounted)
			assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
			assert.Contains(t, err.Error(), m.at)
			assert.Equal(t, before, tree(t, m.at))
			t.Log(err)
			_, err = m.s.Delete(background, "bystander")
			if nowhere || many {
				require.ErrorIs(t, err, layerstore.ErrMounted, "it may be any layer")
				trusting := openStore(t, m.store, layerstore.CountsOnly())
				_, err = trusting.Delete(background, "bystander")
			}
			require.NoError(t, err)
			require.NoError(t, unix.Unmount(m.at, 0))
			_, err = m.s.Delete(background, "base")
			require.NoError(t, err)
		})
	}
}

// It does not matter which layout the layer has.
func TestOverlayOfALayerInVFS(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	for _, c := range []struct{ dir, lower string }{
		{"$ST/vfs/dir", "base"}, {"$ST", "vfs/dir/base"}, {"$ST/vfs", "dir/base/dir1"}, {"/", "$BASE"}, {"$ST/vfs/dir/other", "../base"},
	} {
		m := newMountScene(t, layerstore.VFS)
		testfs.OverlayIn(t, m.fill(c.dir), m.at, m.fill("lowerdir="+c.lower+",$UP"))
		_, err := m.s.Delete(background, "base")
		require.ErrorIs(t, err, layerstore.ErrMounted, c.lower)
		_, err = m.s.Delete(background, "bystander")
		require.NoError(t, err, c.lower)
	}
}

// Names that are written with lowerdir+ have no escapes.
func TestLayersThatOverlaysUseBySingleNames(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	m := newMountScene(t, layerstore.Overlay)
	require.NoError(t, os.Symlink(m.base+"/diff", filepath.Join(m.dir, `x:y\z`)))
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(fs)
	for _, name := range []string{m.other + "/diff", m.dir + `/x:y\z`} {
		if err := unix.FsconfigSetString(fs, "lowerdir+", name); err != nil {
			t.Skipf("skipped, because this kernel has no lowerdir+: %v", err)
		}
	}
	require.NoError(t, unix.FsconfigCreate(fs))
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(mount)
	require.NoError(t, unix.MoveMount(mount, "", unix.AT_FDCWD, m.at, unix.MOVE_MOUNT_F_EMPTY_PATH))
	t.Cleanup(func() { unix.Unmount(m.at, unix.MNT_DETACH) })
	_, err = m.s.Delete(background, "base")
	require.ErrorIs(t, err, layerstore.ErrMounted)
	_, err = m.s.Delete(background, "bystander")
	require.NoError(t, err)
}

// A part of a layer that is mounted elsewhere, and a mount in a layer, are found
// under any name.
func TestLayersThatMountsUse(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	for _, driver := range layouts {
		for _, c := range []struct {
			name  string
			mount func(t *testing.T, m *mountScene, files string)
		}{
			{"a subdirectory elsewhere", func(t *testing.T, m *mountScene, files string) { testfs.Bind(t, files+"/dir1", m.at) }},
			{"all of it elsewhere", func(t *testing.T, m *mountScene, files string) { testfs.Bind(t, files, m.at) }},
			{"a file elsewhere", func(t *testing.T, m *mountScene, files string) {
				target := filepath.Join(m.dir, "file")
				require.NoError(t, os.WriteFile(target, nil, 0o600))
				testfs.Bind(t, files+"/dir0/file0", target)
			}},
			{"a mount in it", func(t *testing.T, m *mountScene, files string) { testfs.Bind(t, m.up, files+"/dir2") }},
			{"a mount in it by an alias", func(t *testing.T, m *mountScene, files string) {
				alias := filepath.Join(m.dir, "alias")
				require.NoError(t, os.Mkdir(alias, 0o700))
				testfs.Bind(t, m.store, alias)
				require.NoError(t, unix.Mount("", alias, "", unix.MS_PRIVATE, ""))
				testfs.Bind(t, m.up, strings.Replace(files, m.store, alias, 1)+"/dir2")
			}},
			{"by an alias that is gone", func(t *testing.T, m *mountScene, files string) {
				alias := filepath.Join(m.dir, "alias")
				require.NoError(t, os.Mkdir(alias, 0o700))
				testfs.Bind(t, m.store, alias)
				testfs.Bind(t, strings.Replace(files, m.store, alias, 1)+"/dir2", m.at)
				require.NoError(t, unix.Unmount(alias, unix.MNT_DETACH))
			}},
		} {
			t.Run(driver.Name()+"/"+c.name, func(t *testing.T) {
				m := newMountScene(t, driver)
				files, err := m.s.Path(background, "base")
				require.NoError(t, err)
				c.mount(t, m, files)
				_, err = m.s.Delete(background, "base")
				require.ErrorIs(t, err, layerstore.ErrMounted)
				assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
				_, err = m.s.Delete(background, "bystander")
				require.NoError(t, err)
			})
		}
	}
}

// What other engines have mounted beside the store keeps nothing of it from being
// deleted; nor does an overlay on which the store itself lies, whose layers are in
// another world.
func TestMountsOfOthers(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	t.Run("another engine", func(t *testing.T) {
		m := newMountScene(t, layerstore.Overlay)
		engine := filepath.Join(m.dir, "engine")
		for _, dir := range []string{"l", "a/diff", "b/diff", "c/diff", "c/work", "c/merged"} {
			require.NoError(t, os.MkdirAll(filepath.Join(engine, dir), 0o700))
		}
		require.NoError(t, os.Symlink("../a/diff", filepath.Join(engine, "l/A")))
		testfs.OverlayIn(t, engine, filepath.Join(engine, "c/merged"), "lowerdir=l/A:b/diff,upperdir=c/diff,workdir=c/work")
		_, err := m.s.Delete(background, "base", "bystander")
		require.NoError(t, err)
	})
	t.Run("the store in an overlay", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"lower", "up", "work", "root"} {
			require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		}
		testfs.OverlayIn(t, dir, filepath.Join(dir, "root"), "lowerdir=lower,upperdir=up,workdir=work")
		require.NoError(t, os.Rename(filepath.Join(dir, "lower"), filepath.Join(dir, "gone")))
		s := openStore(t, filepath.Join(dir, "root/st"))
		create(t, s, "base", someFiles(3, "base"))
		_, err := s.Delete(background, "base")
		require.NoError(t, err)
		elsewhere, _ := newStore(t)
		create(t, elsewhere, "base", someFiles(3, "base"))
		_, err = elsewhere.Delete(background, "base")
		require.ErrorIs(t, err, layerstore.ErrMounted, "a store beside it cannot know")
	})
	t.Run("with a server that died", func(t *testing.T) {
		m := newMountScene(t, layerstore.Overlay)
		shown := filepath.Join(m.dir, "shown")
		require.NoError(t, os.Mkdir(shown, 0o700))
		kill := testfs.FuseAt(t, shown)
		testfs.OverlayIn(t, "/", m.at, m.fill("lowerdir="+shown+",$UP"))
		_, err := m.s.Delete(background, "bystander")
		require.NoError(t, err)
		kill()
		_, err = m.s.Delete(background, "base")
		require.NoError(t, err)
	})
	t.Run("another user's, where one may not look", func(t *testing.T) {
		m := newMountScene(t, layerstore.Overlay)
		engine := filepath.Join(m.dir, "engine")
		for _, dir := range []string{"a/diff", "c/diff", "c/work", "c/merged"} {
			require.NoError(t, os.MkdirAll(filepath.Join(engine, dir), 0o700))
		}
		testfs.OverlayIn(t, engine, filepath.Join(engine, "c/merged"), "lowerdir=a/diff,upperdir=c/diff,workdir=c/work")
		require.NoError(t, asUser(t, m.dir, "store", "delete", m.store, "base"))
	})
}

func init() {
	proc.Register("store", func(arguments []string) {
		var options []layerstore.Option
		if arguments[0] == "counts" {
			options = append(options, layerstore.CountsOnly())
		}
		s := must(layerstore.Open(arguments[1], options...))
		if _, err := s.Delete(background, arguments[2:]...); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
	})
}

// asUser gives what is below dir to an ordinary user, and runs a child as that
// user. The error has what it printed.
func asUser(t *testing.T, dir, child string, arguments ...string) error {
	t.Helper()
	const user = 12345
	testfs.Reachable(t, filepath.Dir(dir))
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		require.NoError(t, err)
		if strings.HasPrefix(path, filepath.Join(dir, "engine")) {
			return nil
		}
		return os.Lchown(path, user, user)
	}))
	cmd := proc.New(child, arguments...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	output, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// In a chroot the table need not have the mount that a path is on: then nothing is known.
func TestPathOnNoMountOfTheTable(t *testing.T) {
	assert.True(t, layerstore.KnownByText("/a/b", "/"))
	assert.True(t, layerstore.KnownByText("/a/b", "/a"))
	assert.False(t, layerstore.KnownByText("/a/b", "/a/bc", "/c"))
}

// Without /proc the kernel's table comes from listmount and statmount.
func TestLayersInUseWithoutProc(t *testing.T) {
	testfs.Without(t, testfs.Lack{Proc: true}, func(t *testing.T) {
		m := newMountScene(t, layerstore.Overlay)
		testfs.OverlayIn(t, filepath.Join(m.store, "overlay"), m.at, m.fill("lowerdir=l/$S,$UP"))
		second := filepath.Join(m.dir, "second")
		require.NoError(t, os.Mkdir(second, 0o700))
		testfs.Bind(t, m.other+"/diff/dir1", second)
		for _, id := range []string{"base", "other"} {
			_, err := m.s.Delete(background, id)
			if errors.Is(err, layerstore.ErrMountsUnknown) {
				t.Skipf("skipped, because this kernel has no listmount: %v", err)
			}
			require.ErrorIs(t, err, layerstore.ErrMounted)
		}
		_, err := m.s.Delete(background, "bystander")
		require.NoError(t, err)
		first, known := layerstore.MountOf(m.dir)
		require.True(t, known)
		other, known := layerstore.MountOf(second)
		require.True(t, known)
		require.NotEqual(t, first, other)
	})
}

// Where nobody tells what is mounted nothing is deleted, unless the caller relies on
// counts; everything else works.
func TestWithoutATableOfMounts(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.ENOSYS, unix.EPERM} {
		for _, call := range []string{"listmount", "statmount"} {
			t.Run(call+" "+errno.Error(), func(t *testing.T) {
				testfs.Without(t, testfs.Lack{Proc: true, Calls: map[string]syscall.Errno{call: errno}}, func(t *testing.T) {
					s, path := newStore(t)
					create(t, s, "a", someFiles(3, "a"))
					_, err := s.Delete(background, "a")
					require.ErrorIs(t, err, layerstore.ErrMountsUnknown)
					require.ErrorIs(t, err, errors.ErrUnsupported)
					require.ErrorIs(t, err, errno)
					require.ErrorContains(t, err, "/proc/self/mountinfo")
					assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
					assertWhole(t, s, "a", 3)
					counting := openStore(t, path, layerstore.CountsOnly())
					_, err = counting.Mount(background, "a")
					require.NoError(t, err)
					_, err = counting.Delete(background, "a")
					require.ErrorIs(t, err, layerstore.ErrMounted)
					require.NoError(t, counting.Unmount(background, "a"))
					_, err = counting.Delete(background, "a")
					require.NoError(t, err)
					assert.Empty(t, leftovers(path))
				})
			})
		}
	}
}

// Before Linux 5.8 the mount of a directory comes from /proc.
func TestLayersInUseWithoutMountIDs(t *testing.T) {
	testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{fmt.Sprintf("statx 3&%d", unix.STATX_MNT_ID): unix.EINVAL}}, func(t *testing.T) {
		if !ownMounts(t) {
			return
		}
		m := newMountScene(t, layerstore.VFS)
		testfs.Bind(t, m.base+"/dir1", m.at)
		from, known := layerstore.MountOf(m.base + "/dir1")
		at, alsoKnown := layerstore.MountOf(m.at)
		require.True(t, known && alsoKnown && from != at, "%d, %d", from, at)
		_, err := m.s.Delete(background, "base")
		require.ErrorIs(t, err, layerstore.ErrMounted)
		_, err = m.s.Delete(background, "bystander")
		require.NoError(t, err)
	})
}
