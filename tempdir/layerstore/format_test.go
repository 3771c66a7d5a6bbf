//go:build linux

package layerstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A format is a store as it is on disk, in testdata: as version 1 wrote it. These files
// are never written again: what they say has to be read by every later version.
type format struct {
	name   string
	driver layerstore.Driver
	mark   bool // the last save was by mark, and was cut off
	layers string
	moved  int // instances
}

var formats = []format{
	{"vfs", layerstore.VFS, false, "base app=v1", 1},
	{"overlay", layerstore.Overlay, false, "base app=v1", 1},
	{"direct", layerstore.Direct, false, "base app=v1", 0},
	{"mark", layerstore.VFS, true, "base app=v2", 1},
}

// write makes the store of the format: two layers, one of them mounted; one that is
// flagged, for it could be neither moved nor removed; and one that is moved aside.
func (f format) write(t *testing.T, path string) {
	refuse := refused{}
	s := openStore(t, path, append(refuse.options(), layerstore.WithDriver(f.driver), layerstore.CountsOnly())...)
	content := func(text string) layerstore.Content {
		return layerstore.Tar(archive(dir("dir"), file("dir/file", text), symlink("link", "dir/file")))
	}
	create(t, s, "base", content("base"))
	_, err := s.Create(background, layerstore.Layer{ID: "app", Parent: "base"}, layerstore.Tar(archive(file("more", "app"))))
	require.NoError(t, err)
	for _, id := range []string{"flagged", "staged"} {
		create(t, s, id, content(id))
	}
	require.NoError(t, s.Save(background, "app", label("v1")))
	must(s.Mount(background, "app"))
	must(s.DeferredDelete(background, "staged")) // and this process is killed
	refuse["Kernel.MakeData"], refuse["Kernel.OpenDirectory"] = unix.EIO, unix.EIO
	_, err = s.Delete(background, "flagged")
	require.ErrorIs(t, err, layerstore.ErrLeftover)
	if f.mark {
		refuse["Disk.Replace"], refuse["Disk.ReadMetadata"] = unix.EIO, unix.EIO // the second is needed to end a save by mark
		require.NoError(t, s.Save(background, "app", label("v2")))
	}
}

var ofOneRun = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[A-Z2-7]{26}|\\"(pid|start)\\":\d+|\\"executable\\":\\"[^"]*\\"|store.lock "([^"\\]|\\[^x]|\\x..)+`)

// plainText numbers what is different in every run, or on every machine; of a token
// only the mark is compared.
func plainText(text string) string {
	seen := map[string]string{}
	text = ofOneRun.ReplaceAllStringFunc(text, func(s string) string {
		if strings.HasPrefix(s, "store.lock") {
			return "store.lock " + s[len(s)-4:]
		}
		if seen[s] == "" {
			seen[s] = fmt.Sprint("#", len(seen))
		}
		return seen[s]
	})
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines[1:]) // the metadata comes first: it numbers what is drawn
	return strings.Join(lines, "")
}

// A store is written as version 1 wrote it, byte for byte.
func TestFormatIsWritten(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			dir := scratch(t)
			defer unix.Umask(unix.Umask(0o022))
			synctest.Test(t, func(t *testing.T) { // for the time in the records
				path := filepath.Join(dir, "store")
				f.write(t, path)
				got := testfs.Text(t, path)
				golden, err := os.ReadFile("testdata/" + f.name + ".txt")
				assert.NoError(t, err)
				if !assert.Equal(t, plainText(string(golden)), plainText(got)) {
					t.Log(got)
				}
			})
		})
	}
}

// The bytes of the lock file that lock the store, and claim a layer, are those of
// version 1: processes of two versions exclude each other.
func TestLocksAreThoseOfTheFormat(t *testing.T) {
	path := scratch(t)
	testfs.Lay(t, path, string(must(os.ReadFile("testdata/vfs.txt"))))
	var taken []int64
	disk := &watchful{kernel.LinuxDisk(), func(r kernel.ByteRange) {
		if r.Exclusive {
			taken = append(taken, r.Offset)
		}
	}}
	s := openStore(t, path, append(refused{"Kernel.StageDeletion": unix.EXDEV}.options(), layerstore.WithoutRecovery(), kernel.WithDisk[layerstore.Option](disk))...)
	_, err := s.Load(background)
	require.NoError(t, err)
	assert.Equal(t, []int64{0, 2577043503078628746, 0, 0}, taken)
}

// What version 1 wrote is read, recovered, and written on.
func TestFormatIsRead(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			path := scratch(t)
			testfs.Lay(t, path, string(must(os.ReadFile("testdata/"+f.name+".txt"))))
			s := openStore(t, path, layerstore.WithoutRecovery(), layerstore.WithDriver(f.driver))
			assert.Equal(t, f.layers, described(s))
			assert.Equal(t, "base", string(must(s.ReadFile(background, "base", "dir/file"))))
			app := must(s.Layer(background, "app"))
			assert.Equal(t, []any{"base", f.driver.Name(), uint64(2), 0, 2000}, []any{app.Parent, app.Driver, app.Serial, app.Mounts, app.Created.Year()}, "mounted in another boot")
			report, err := s.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, []string{"flagged"}, report.Finished)
			assert.Len(t, report.Roots[filepath.Join(path, "tempdirs")].Results, f.moved)
			assert.Empty(t, report.Unrecorded)
			require.NoError(t, s.Save(background, "app", label("new")))
			create(t, s, "flagged", layerstore.Empty())
			assert.EqualValues(t, 5, must(openStore(t, path).Layer(background, "flagged")).Serial, "no serial is used again")
			_, err = s.Delete(background, "flagged", "app", "base")
			require.NoError(t, err)
			assert.Empty(t, leftovers(path))
		})
	}
}
