//go:build linux

package layerstore_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func TestMain(m *testing.M) { proc.Main(m) }

// ownMounts gives the calling test a mount namespace of its own: an overlay whose
// names lead nowhere refuses every deletion in its namespace, those of tests of
// other packages too.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped, because these mounts need root")
	}
	return testfs.OwnMounts(t)
}

// must is for processes in a role, which have no *testing.T.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

var background = context.Background()

// layouts are the deferring ones.
var layouts = []layerstore.Driver{layerstore.VFS, layerstore.Overlay}

// scratch is a directory for tests that sync a lot.
func scratch(t testing.TB) string { return testfs.InMemory(t) }

func openStore(t testing.TB, path string, opts ...layerstore.Option) *layerstore.Store {
	t.Helper()
	s, err := layerstore.Open(path, append([]layerstore.Option{layerstore.Make(0o700)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// newStore makes a store in a directory of its own.
func newStore(t testing.TB, opts ...layerstore.Option) (s *layerstore.Store, path string) {
	path = filepath.Join(scratch(t), "store")
	return openStore(t, path, opts...), path
}

func create(t testing.TB, s *layerstore.Store, id string, content layerstore.Content) {
	t.Helper()
	_, err := s.Create(background, layerstore.Layer{ID: id}, content)
	require.NoError(t, err)
}

// archive makes a tar stream of entries.
func archive(entries ...tar.Header) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := h.PAXRecords["content"]
		h.PAXRecords = nil
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		h.Uid, h.Gid = os.Getuid(), os.Getgid()
		must(0, w.WriteHeader(&h))
		must(w.Write([]byte(content)[:h.Size]))
	}
	must(0, w.Close())
	return &b
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, PAXRecords: map[string]string{"content": content}}
}
func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
func symlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}
func hardlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

// someFiles is content of n files that all say text.
func someFiles(n int, text string) layerstore.Content {
	var entries []tar.Header
	for i := range n {
		entries = append(entries, file(fmt.Sprintf("dir%d/file%d", i%3, i), text))
	}
	return layerstore.Tar(archive(entries...))
}

// listIDs lists the layers of the store.
func listIDs(t testing.TB, s *layerstore.Store) []string {
	t.Helper()
	layers, err := s.List(background)
	require.NoError(t, err)
	ids := []string{}
	for _, l := range layers {
		ids = append(ids, l.ID)
	}
	return ids
}

// tree lists every path below dir, directories with a slash, links with a target,
// files with their content.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	paths := []string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		name := strings.TrimPrefix(path, dir)
		switch entry.Type() {
		case fs.ModeDir:
			name += "/"
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			require.NoError(t, err)
			name += " -> " + target
		case 0:
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			name += ": " + string(content)
		default:
			name += " " + entry.Type().String()
		}
		paths = append(paths, strings.TrimPrefix(name, "/"))
		return nil
	}))
	sort.Strings(paths)
	return paths[1:]
}

// leftovers lists what is in the layouts and the roots of a store.
func leftovers(path string) (left []string) {
	for _, dir := range []string{"tempdirs", "vfs/dir", "direct/dir", "overlay", "overlay/l"} {
		entries, err := os.ReadDir(filepath.Join(path, dir))
		if err != nil && !os.IsNotExist(err) {
			panic(err)
		}
		for _, entry := range entries {
			if name := filepath.Join(dir, entry.Name()); name != "overlay/l" {
				left = append(left, name)
			}
		}
	}
	return left
}

// A calls is a hook around every call of both seams, in one order.
type calls struct {
	n      atomic.Int64
	before func(n int64, name string) error
}

func (c *calls) call(name string) error { return c.before(c.n.Add(1), name) }

func (c *calls) Before(call *kernel.Call) error { return c.call("Kernel." + call.Method.String()) }

func (c *calls) After(*kernel.Call) {}

// options put the hook into a store.
func (c *calls) options() []layerstore.Option {
	return []layerstore.Option{
		kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), c)),
		kernel.WithDisk[layerstore.Option](kernel.AroundDisk(kernel.LinuxDisk(), func(method, _ string) error {
			return c.call("Disk." + method)
		})),
	}
}

// A refused answers calls with errors, by "Kernel.Method" or "Disk.Method".
type refused map[string]error

func (r refused) options() []layerstore.Option {
	return (&calls{before: func(_ int64, name string) error { return r[name] }}).options()
}

// assertWhole wants every file of a layer made of someFiles that say its id.
func assertWhole(t *testing.T, s *layerstore.Store, id string, files int) {
	t.Helper()
	for i := range files {
		content, err := s.ReadFile(background, id, fmt.Sprintf("dir%d/file%d", i%3, i))
		assert.NoError(t, err)
		assert.Equal(t, id, string(content))
	}
}
