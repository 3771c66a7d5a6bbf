//go:build linux

package layerstore_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// What an archive becomes.
func TestArchives(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []tar.Header
		want    []string
	}{
		{"nothing", nil, []string{}},
		{"files and directories", []tar.Header{dir("d"), file("d/f", "1"), file("e/f", "2")}, []string{"d/", "d/f: 1", "e/", "e/f: 2"}},
		{"absolute names", []tar.Header{file("/a", "1"), file("./b", "2"), file("//c//d", "3")}, []string{"a: 1", "b: 2", "c/", "c/d: 3"}},
		{"the layer itself", []tar.Header{dir("./"), file("a", "1")}, []string{"a: 1"}},
		{"a later entry replaces", []tar.Header{file("a", "1"), file("a", "2"), dir("b"), file("b", "3")}, []string{"a: 2", "b: 3"}},
		{"a file replaces a tree", []tar.Header{file("a/b/c", "1"), file("a", "2")}, []string{"a: 2"}},
		{"every type replaces a tree", []tar.Header{file("a/b", "1"), symlink("a", "x"), file("c/b", "1"), {Typeflag: tar.TypeFifo, Name: "c"}, file("d/b", "1"), file("e", "2"), hardlink("d", "e")},
			[]string{"a -> x", "c p---------", "d: 2", "e: 2"}},
		{"links may point anywhere", []tar.Header{symlink("a", "/etc/passwd"), symlink("b", "../../..")},
			[]string{"a -> /etc/passwd", "b -> ../../.."}},
		{"a file replaces a link, and not what it points to", []tar.Header{file("a", "1"), symlink("b", "a"), file("b", "2")},
			[]string{"a: 1", "b: 2"}},
		{"through a link that stays inside", []tar.Header{dir("usr/lib"), symlink("lib", "usr/lib"), file("lib/x", "1")},
			[]string{"lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x: 1"}},
		{"hard links", []tar.Header{file("a", "1"), hardlink("b", "/a")}, []string{"a: 1", "b: 1"}},
		{"directories without permissions", []tar.Header{{Typeflag: tar.TypeDir, Name: "d", Mode: 0o555}, file("d/f", "1")},
			[]string{"d/", "d/f: 1"}},
		{"FIFOs", []tar.Header{{Typeflag: tar.TypeFifo, Name: "p"}}, []string{"p p---------"}},
		{"odd bytes in names", []tar.Header{file("a\nb\x01", "1")}, []string{"a\nb\x01: 1"}},
		{"a whiteout without anything below", []tar.Header{file("a/.wh.b", ""), file("a/c", "1")}, []string{"a/", "a/c: 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, path := newStore(t)
			create(t, s, "layer", layerstore.Tar(archive(c.entries...)))
			got := tree(t, filepath.Join(path, "vfs/dir/layer"))
			assert.Equal(t, c.want, got)
			_, err := s.Delete(background, "layer")
			require.NoError(t, err)
			assert.Empty(t, leftovers(path))
		})
	}
}

// Archives that want out, or want too much. Each is refused by name, nothing
// outside is touched, and nothing is left.
func TestHostileArchives(t *testing.T) {
	long := strings.Repeat("n", 256)
	limits := layerstore.Limits{Bytes: 1000, Entries: 20}
	many := []tar.Header{}
	for i := range 21 {
		many = append(many, dir(fmt.Sprint("d", i)))
	}
	for _, c := range []struct {
		name    string
		entries []tar.Header
		kind    error
		says    string
	}{
		{"dot dot", []tar.Header{file("../outside/precious", "!")}, layerstore.ErrBadContent, `its name contains ".."`},
		{"dot dot inside", []tar.Header{file("a/../../outside/precious", "!")}, layerstore.ErrBadContent, `its name contains ".."`},
		{"absolute dot dot", []tar.Header{file("/../precious", "!")}, layerstore.ErrBadContent, ".."},
		{"through a link up", []tar.Header{symlink("up", "../../../../outside"), file("up/precious", "!")}, layerstore.ErrBadContent, "up/precious"},
		{"through an absolute link", []tar.Header{symlink("abs", "OUTSIDE"), file("abs/precious", "!")}, layerstore.ErrBadContent, "abs/precious"},
		{"through two links", []tar.Header{symlink("a", "b"), symlink("b", "OUTSIDE"), file("a/precious", "!")}, layerstore.ErrBadContent, "a/precious"},
		{"a directory through a link", []tar.Header{symlink("abs", "OUTSIDE"), dir("abs/new")}, layerstore.ErrBadContent, "abs/new"},
		{"a link through a link", []tar.Header{symlink("abs", "OUTSIDE"), symlink("abs/new", "x")}, layerstore.ErrBadContent, "abs/new"},
		{"a hard link out", []tar.Header{hardlink("a", "../../../../outside/precious")}, layerstore.ErrBadContent, ".."},
		{"a hard link through a link", []tar.Header{symlink("abs", "OUTSIDE"), hardlink("a", "abs/precious")}, layerstore.ErrBadContent, "entry a"},
		{"a hard link to nothing", []tar.Header{hardlink("a", "b")}, layerstore.ErrBadContent, "entry a"},
		{"a hard link to a directory", []tar.Header{dir("b"), hardlink("a", "b")}, layerstore.ErrBadContent, "entry a"},
		{"a hard link to itself", []tar.Header{file("a", ""), hardlink("a", "a")}, layerstore.ErrBadContent, "itself"},
		{"a whiteout out", []tar.Header{symlink("abs", "OUTSIDE"), file("abs/.wh.precious", "")}, layerstore.ErrBadContent, ".wh.precious"},
		{"a whiteout of dot dot", []tar.Header{file("a/.wh...", "")}, layerstore.ErrBadContent, "whiteout"},
		{"an opaque whiteout out", []tar.Header{symlink("abs", "OUTSIDE"), file("abs/.wh..wh..opq", "")}, layerstore.ErrBadContent, "opq"},
		{"a block device", []tar.Header{{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8}}, layerstore.ErrBadContent, "sda"},
		{"a character device", []tar.Header{{Typeflag: tar.TypeChar, Name: "mem", Devmajor: 1, Devminor: 1}}, layerstore.ErrBadContent, "mem"},
		{"the layer as a file", []tar.Header{file(".", "!")}, layerstore.ErrBadContent, "directory"},
		{"a name that is too long", []tar.Header{file(long, "!")}, layerstore.ErrBadContent, "file name too long"},
		{"a link loop", []tar.Header{symlink("a", "b"), symlink("b", "a"), file("a/x", "!")}, layerstore.ErrBadContent, "a/x"},
		{"a file as a parent", []tar.Header{file("a", ""), file("a/b", "!")}, layerstore.ErrBadContent, "a/b"},
		{"too many bytes", []tar.Header{file("a", strings.Repeat("x", 600)), file("b", strings.Repeat("x", 600))}, layerstore.ErrTooLarge, "entry b"},
		{"too many entries", many, layerstore.ErrTooLarge, "d20"},
	} {
		for _, driver := range layouts {
			t.Run(c.name+"/"+driver.Name(), func(t *testing.T) {
				base := scratch(t)
				outside := filepath.Join(base, "outside")
				require.NoError(t, os.Mkdir(outside, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(outside, "precious"), []byte("precious"), 0o600))
				entries := []tar.Header{}
				for _, e := range c.entries {
					e.Linkname = strings.Replace(e.Linkname, "OUTSIDE", outside, 1)
					entries = append(entries, e)
				}
				path := filepath.Join(base, "store")
				s := openStore(t, path, layerstore.WithDriver(driver), layerstore.WithLimits(limits))
				_, err := s.Create(background, layerstore.Layer{ID: "hostile"}, layerstore.Tar(archive(entries...)))
				require.ErrorIs(t, err, c.kind)
				assert.Contains(t, err.Error(), c.says)
				assert.Contains(t, err.Error(), "hostile")
				assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
				assert.Equal(t, []string{"precious: precious"}, tree(t, outside))
				assert.Empty(t, leftovers(path))
				assert.Empty(t, listIDs(t, s))
			})
		}
	}
}

// Streams that end early, fail, lie or are no archives.
func TestDamagedStreams(t *testing.T) {
	whole := must(io.ReadAll(archive(file("a", strings.Repeat("x", 2000)))))
	failure := errors.New("connection reset")
	for _, c := range []struct {
		name   string
		stream io.Reader
		want   error
	}{
		{"garbage", strings.NewReader(strings.Repeat("garbage", 200)), layerstore.ErrBadContent},
		{"cut off in a file", bytes.NewReader(whole[:1000]), layerstore.ErrBadContent},
		{"cut off in a header", bytes.NewReader(whole[:100]), layerstore.ErrBadContent},
		{"a reader that fails", io.MultiReader(bytes.NewReader(whole[:1000]), iotest.ErrReader(failure)), failure},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, path := newStore(t)
			_, err := s.Create(background, layerstore.Layer{ID: "x"}, layerstore.Tar(c.stream))
			require.ErrorIs(t, err, c.want)
			assert.Empty(t, leftovers(path))
		})
	}
}

func TestWhiteouts(t *testing.T) {
	base := []tar.Header{file("a/one", "1"), file("a/two", "2"), file("b/three", "3")}
	upper := []tar.Header{file("a/.wh.one", ""), file("b/new", "4"), file("b/.wh..wh..opq", ""), file("a/five", "5")}
	t.Run("vfs", func(t *testing.T) {
		s, path := newStore(t)
		create(t, s, "base", layerstore.Tar(archive(base...)))
		_, err := s.Create(background, layerstore.Layer{ID: "upper", Parent: "base"}, layerstore.Tar(archive(upper...)))
		require.NoError(t, err)
		assert.Equal(t, []string{"a/", "a/five: 5", "a/two: 2", "b/", "b/new: 4"}, tree(t, filepath.Join(path, "vfs/dir/upper")))
		assert.Equal(t, []string{"a/", "a/one: 1", "a/two: 2", "b/", "b/three: 3"}, tree(t, filepath.Join(path, "vfs/dir/base")))
	})
	t.Run("overlay", func(t *testing.T) {
		s, path := newStore(t, layerstore.WithDriver(layerstore.Overlay))
		create(t, s, "base", layerstore.Tar(archive(base...)))
		_, err := s.Create(background, layerstore.Layer{ID: "upper", Parent: "base"}, layerstore.Tar(archive(upper...)))
		require.NoError(t, err)
		diff := filepath.Join(path, "overlay/upper/diff")
		// Users and file systems differ in what they may have.
		whiteout, opaque := "a/one Dc---------", []string(nil)
		if unix.Mknod(filepath.Join(path, "device"), unix.S_IFCHR, 0) != nil {
			whiteout = "a/.wh.one: "
		}
		if unix.Setxattr(path, "trusted.overlay.opaque", []byte("y"), 0) != nil {
			opaque = []string{"b/.wh..wh..opq: "}
		}
		want := slices.Concat([]string{"a/", "a/five: 5", whiteout, "b/"}, opaque, []string{"b/new: 4"})
		slices.Sort(want)
		assert.Equal(t, want, tree(t, diff))
		if opaque != nil {
			return
		}
		value := make([]byte, 10)
		n, err := unix.Getxattr(filepath.Join(diff, "b"), "trusted.overlay.opaque", value)
		require.NoError(t, err)
		assert.Equal(t, "y", string(value[:n]))
	})
}

func TestDirectoryIsCopied(t *testing.T) {
	source := scratch(t)
	require.NoError(t, os.MkdirAll(filepath.Join(source, "d/e"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, "d/f"), []byte("1"), 0o640))
	require.NoError(t, os.Chmod(filepath.Join(source, "d/f"), os.ModeSetuid|0o750))
	require.NoError(t, os.Symlink("/etc", filepath.Join(source, "link")))
	stamp := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	require.NoError(t, os.Chtimes(filepath.Join(source, "d"), stamp, stamp))
	s, path := newStore(t)
	create(t, s, "copy", layerstore.Directory(source))
	copied := filepath.Join(path, "vfs/dir/copy")
	assert.Equal(t, []string{"d/", "d/e/", "d/f: 1", "link -> /etc"}, tree(t, copied))
	info, err := os.Stat(filepath.Join(copied, "d/f"))
	require.NoError(t, err)
	assert.Equal(t, os.ModeSetuid|0o750, info.Mode())
	info, err = os.Stat(filepath.Join(copied, "d"))
	require.NoError(t, err)
	assert.True(t, stamp.Equal(info.ModTime()), info.ModTime())

	require.NoError(t, unix.Mkfifo(filepath.Join(source, "p"), 0o600))
	create(t, s, "fifo", layerstore.Directory(source))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(source, "socket")}))
	const short = "/sys/kernel/mm" // files that have less than their sizes say
	if _, err := os.Stat(short); err == nil && os.Geteuid() == 0 {
		_, err = s.Create(background, layerstore.Layer{ID: "short"}, layerstore.Directory(short))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	_, err = s.Create(background, layerstore.Layer{ID: "socket"}, layerstore.Directory(source))
	assert.ErrorIs(t, err, layerstore.ErrBadContent)
	_, err = s.Create(background, layerstore.Layer{ID: "nothing"}, layerstore.Directory(filepath.Join(source, "nothing")))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// What is built is cut off when the context is done, and is gone after recovery.
func TestCreateIsCancelled(t *testing.T) {
	s, path := newStore(t)
	ctx, cancel := context.WithCancel(background)
	r, w := io.Pipe()
	go func() {
		w.Write(must(io.ReadAll(archive(file("a", strings.Repeat("x", 2000)))))[:1000])
		cancel()
		w.Close()
	}()
	_, err := s.Create(ctx, layerstore.Layer{ID: "x"}, layerstore.Tar(r))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
	_, err = s.Recover(background)
	require.NoError(t, err)
	assert.Empty(t, leftovers(path))
}

// What the file system refuses, for whatever reason, is not the content's fault:
// whoever throws bad content away would throw away good one.
func TestContentIsNotToBlame(t *testing.T) {
	_, path := newStore(t)
	output, err := proc.New("limited", path).Output()
	require.NoError(t, err)
	assert.Equal(t, "true false\n", string(output))
}

func init() {
	proc.Register("limited", func(arguments []string) {
		s := must(layerstore.Open(arguments[0]))
		signal.Ignore(syscall.SIGXFSZ)
		must(0, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 16, Max: 1 << 16}))
		_, err := s.Create(background, layerstore.Layer{ID: "a"}, layerstore.Tar(archive(file("big", strings.Repeat("x", 1<<17)))))
		fmt.Println(errors.Is(err, syscall.EFBIG), errors.Is(err, layerstore.ErrBadContent))
	})
}
