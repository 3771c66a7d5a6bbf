//go:build linux

package layerstore_test

import (
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func init() {
	// traced STORE LAYOUT LAYERS: one deletion of layers layer0, layer1, … on one
	// thread, with a failing access(2) of a telling path when the store lock is
	// taken for writing, and when it is dropped.
	proc.Register("traced", func(arguments []string) {
		runtime.LockOSThread()
		s := must(layerstore.Open(arguments[0], layerstore.WithoutRecovery(), kernel.WithDisk[layerstore.Option](&marker{Disk: kernel.LinuxDisk(), fd: -1})))
		must(s.Mount(background, "warm")) // so that this process has saved before
		var ids []string
		for i := range must(strconv.Atoi(arguments[2])) {
			ids = append(ids, "layer"+strconv.Itoa(i))
		}
		unix.Access("/mark/deletion", 0)
		must(s.Delete(background, ids...))
		unix.Access("/mark/end", 0)
	})
}

// A marker marks in the log of strace where the store lock is held for writing.
type marker struct {
	kernel.Disk
	fd int
}

func (m *marker) TakeLock(fd int, r kernel.ByteRange) error {
	err := m.Disk.TakeLock(fd, r)
	if err == nil && r.Offset == 0 && r.Exclusive {
		m.fd = fd
		unix.Access("/mark/locked", 0)
	}
	return err
}

func (m *marker) Close(fd int) error {
	err := m.Disk.Close(fd)
	if fd == m.fd {
		unix.Access("/mark/unlocked", 0)
		m.fd = -1
	}
	return err
}

// The view from outside of what a deletion does under the store lock: a constant,
// and one rename for each part of a layer. Upstream makes two instances for each
// layer, under the lock (F26); here it is one for all of them, before it.
func TestSystemCallsUnderTheLock(t *testing.T) {
	look := []string{"statx", "pread64", "statx"}
	save := []string{
		"openat", "statx", "pwrite64", "fsync", "close", // the spare
		"pwrite64",                 // the token
		"renameat2",                // the moment of the save
		"openat", "fsync", "close", // the directory
		"statx",
	}
	for _, c := range []struct {
		driver  layerstore.Driver
		layers  int
		renames int
	}{{layerstore.VFS, 1, 1}, {layerstore.VFS, 10, 10}, {layerstore.Overlay, 1, 2}, {layerstore.Overlay, 10, 20}} {
		t.Run(c.driver.Name()+"/"+strconv.Itoa(c.layers), func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(c.driver))
			create(t, s, "warm", layerstore.Empty())
			for i := range c.layers {
				create(t, s, "layer"+strconv.Itoa(i), someFiles(9, "x"))
			}
			content := testfs.Strace(t, proc.New("traced", path, c.driver.Name(), strconv.Itoa(c.layers)).Cmd)

			calls := map[string][]string{}
			thread, section, deleting := "", "", false
			for _, match := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\((.*)$`).FindAllStringSubmatch(content, -1) {
				if _, name, ok := strings.Cut(match[3], `"/mark/`); ok {
					thread, section = match[1], name[:strings.IndexByte(name, '"')]
					deleting = deleting || section == "deletion"
				} else if match[1] == thread && deleting && match[2] != "getrandom" && !slices.Contains(testfs.RuntimeCalls, match[2]) {
					calls[section] = append(calls[section], testfs.Any32.Replace(match[2]))
				}
			}
			root, err := tempdir.Open(filepath.Join(path, "tempdirs"))
			require.NoError(t, err)
			defer root.Close()
			var sync []string
			if !root.Ordered() { // the record must not go before the layer is away for good
				sync = []string{"openat2", "fsync", "close"}
			}
			want := slices.Concat(look, save, slices.Repeat([]string{"renameat2"}, c.renames), sync, save, []string{"close"})
			assert.Equal(t, want, calls["locked"])
			t.Logf("%d layers: %d calls under the lock, %d before it, %d after it",
				c.layers, len(calls["locked"]), len(calls["deletion"]), len(calls["unlocked"]))
			created := 0
			for _, call := range calls["deletion"] {
				if call == "mkdirat" {
					created++
				}
			}
			assert.Equal(t, 1, created, "instances")
			assert.Contains(t, calls["unlocked"], "unlinkat")
			assert.NotContains(t, calls["locked"], "unlinkat")
		})
	}
}
