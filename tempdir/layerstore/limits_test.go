//go:build linux

package layerstore_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// limits are all constants of the package that are numbers: the test that meets one at
// its edge, or what it is, if it bounds nothing.
var limits = map[string]string{
	"maxID":         "TestIDsAtTheirLimit",
	"mountLooks":    "TestMountsAboveTheStoreComeAndGo",
	"formatVersion": "TestDamagedMetadata",
	"mountsAtOnce":  "TestTablesOfManyMounts",
	"mountText":     "TestTablesOfManyMounts",
	"maintainAll":   "a number of looks",
	"storeByte":     "TestFormatIsWritten", "markNone": "TestFormatIsWritten", "markSpare": "TestFormatIsWritten", "markCleared": "TestFormatIsWritten",
	"noLock": "no descriptor", "allMounts": "the kernel's", "mustHave": "the kernel's", "projectInherit": "the kernel's", "read": "the kernel's", "getAttributes": "the kernel's",
	"pollFirst": "a pause", "pollLast": "a pause", "openSlice": "TestOpenDoesAPartOfWhatIsLeft", "maintainEvery": "TestTimeBetweenLooks", "maintainSlice": "a default",
}

func TestEveryLimitHasATest(t *testing.T) {
	var tests strings.Builder
	for _, name := range must(filepath.Glob("*_test.go")) {
		tests.Write(must(os.ReadFile(name)))
	}
	for name, test := range limits {
		if strings.HasPrefix(test, "Test") {
			assert.Contains(t, tests.String(), "func "+test+"(", name)
		}
	}
	eachSource(t, []string{"."}, func(n ast.Node) {
		of, is := n.(*ast.GenDecl)
		if !is || of.Tok != token.CONST {
			return
		}
		for _, spec := range of.Specs {
			for i, name := range spec.(*ast.ValueSpec).Names {
				values := spec.(*ast.ValueSpec).Values
				if i >= len(values) {
					continue // of an enumeration
				}
				number := false
				ast.Inspect(values[i], func(n ast.Node) bool {
					literal, is := n.(*ast.BasicLit)
					number = number || is && literal.Kind == token.INT
					return true
				})
				if number && !strings.HasPrefix(name.Name, "want") && !strings.HasPrefix(name.Name, "statmount") && name.Name != "NoEffect" {
					assert.Contains(t, limits, name.Name, "a number without a test of its edge")
				}
			}
		}
	})
}

// Ids as long as they may be, and by one shorter and longer, through the life of a layer.
func TestIDsAtTheirLimit(t *testing.T) {
	for _, driver := range layouts {
		for _, length := range []int{127, 128, 129} {
			s, path := newStore(t, layerstore.WithDriver(driver))
			id := strings.Repeat("x", length)
			_, err := s.Create(background, layerstore.Layer{ID: id}, someFiles(2, "x"))
			if length > 128 {
				require.ErrorIs(t, err, layerstore.ErrBadID)
				continue
			}
			require.NoError(t, err)
			_, err = s.Create(background, layerstore.Layer{ID: "child", Parent: id}, layerstore.Empty())
			require.NoError(t, err)
			again := openStore(t, path, layerstore.WithDriver(driver))
			require.Equal(t, []string{id, "child"}, listIDs(t, again))
			_, err = again.Delete(background, id, "child")
			require.NoError(t, err)
			require.Empty(t, leftovers(path))
		}
	}
}

// What a layer may have at most, by one more and by one less.
func TestContentAtItsLimit(t *testing.T) {
	for _, c := range []struct {
		limits layerstore.Limits
		fits   bool
	}{
		{layerstore.Limits{Bytes: 9, Entries: 4}, false}, {layerstore.Limits{Bytes: 10, Entries: 4}, true}, {layerstore.Limits{Bytes: 11, Entries: 4}, true},
		{layerstore.Limits{Bytes: 10, Entries: 3}, false}, {layerstore.Limits{Bytes: 10, Entries: 5}, true},
		{layerstore.Limits{Bytes: math.MaxInt64, Entries: math.MaxInt64}, true}, {layerstore.Limits{}, false},
	} {
		s, path := newStore(t, layerstore.WithLimits(c.limits))
		entries := []tar.Header{dir("./"), dir("d"), file("d/a", "01234"), file("d/b", "56789")}
		_, err := s.Create(background, layerstore.Layer{ID: "archive"}, layerstore.Tar(archive(entries...)))
		from := t.TempDir()
		for name, text := range map[string]string{"a": "01234", "b": "56789"} {
			require.NoError(t, os.MkdirAll(from+"/d", 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(from, "d", name), []byte(text), 0o600))
		}
		_, copyErr := s.Create(background, layerstore.Layer{ID: "directory"}, layerstore.Directory(from))
		if c.fits {
			require.NoError(t, errors.Join(err, copyErr), c.limits)
			continue
		}
		require.ErrorIs(t, err, layerstore.ErrTooLarge, c.limits)
		require.ErrorIs(t, copyErr, layerstore.ErrTooLarge, c.limits)
		require.Empty(t, leftovers(path))
	}
}

// The greatest id of an owner is the last before the one that means nobody.
func TestOwnersAtTheirLimit(t *testing.T) {
	for id, is := range map[int64]bool{-1: false, 0: true, 1<<32 - 2: true, 1<<32 - 1: false, 1 << 32: false} {
		if int64(int(id)) == id {
			assert.Equal(t, is, layerstore.IsID(int(id)), id)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	s, _ := newStore(t)
	for _, id := range []int64{1<<32 - 2, 1<<32 - 1} {
		if int64(int(id)) != id {
			return
		}
		var b strings.Builder
		w := tar.NewWriter(&b)
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "d", Mode: 0o700, Uid: int(id), Gid: int(id)}))
		require.NoError(t, w.Close())
		_, err := s.Create(background, layerstore.Layer{ID: fmt.Sprint("a", id)}, layerstore.Tar(strings.NewReader(b.String())))
		if id == 1<<32-1 {
			require.ErrorIs(t, err, layerstore.ErrBadContent)
		} else if !errors.Is(err, unix.EINVAL) { // in a user namespace
			require.NoError(t, err)
		}
	}
}

// A file of metadata that is too large is not read.
func TestMetadataThatIsTooLarge(t *testing.T) {
	path := filepath.Join(scratch(t), "metadata")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, 1<<30+1))
	_, err := kernel.LinuxDisk().ReadMetadata(path)
	require.ErrorIs(t, err, unix.EFBIG)
}

// Tables of as many mounts as one call returns, and by one more and less; and with a
// mount whose text is longer than what is asked for at first.
func TestTablesOfManyMounts(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	at := t.TempDir()
	text, calls, err := layerstore.Tables()
	if errors.Is(err, layerstore.ErrMountsUnknown) {
		t.Skipf("skipped, because this kernel has no listmount: %v", err)
	}
	require.NoError(t, err)
	require.ElementsMatch(t, text, calls)
	for n := 0; len(text) < 258; n++ { // one of others may go: its directory may be removed
		dir := filepath.Join(at, fmt.Sprint(n))
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, "size=4k"))
		text, calls, err = layerstore.Tables()
		require.NoError(t, err)
		if len(text) >= 255 {
			require.ElementsMatch(t, text, calls, "%d mounts", len(text))
		}
	}
	deep := filepath.Join(at, "deep")
	for len(deep) < 3800 {
		deep = filepath.Join(deep, strings.Repeat("d", 200))
	}
	for _, below := range []string{"/from", "/to"} {
		require.NoError(t, os.MkdirAll(deep+below, 0o700))
	}
	require.NoError(t, unix.Mount(deep+"/from", deep+"/to", "", unix.MS_BIND, ""))
	manyLayers(t, at)
	text, calls, err = layerstore.Tables()
	require.NoError(t, err)
	require.ElementsMatch(t, text, calls)
	testfs.DetachBelow(t, at)
}

// manyLayers mounts an overlay whose options are longer than mount(2) takes: layers
// are added one by one since Linux 6.8.
func manyLayers(t *testing.T, at string) {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(fd)
	for n := range 150 {
		lower := filepath.Join(at, fmt.Sprint(n, strings.Repeat("l", 120)))
		require.NoError(t, os.Mkdir(lower, 0o700))
		require.NoError(t, unix.FsconfigSetString(fd, "lowerdir+", lower))
	}
	require.NoError(t, unix.FsconfigCreate(fd))
	mount, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(mount)
	merged := filepath.Join(at, "merged")
	require.NoError(t, os.Mkdir(merged, 0o700))
	require.NoError(t, unix.MoveMount(mount, "", unix.AT_FDCWD, merged, unix.MOVE_MOUNT_F_EMPTY_PATH))
}
