//go:build linux

package tempdir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// makers put something of a type at path. A link leads to outside.
var makers = map[string]func(t testing.TB, path, outside string){
	"file":             func(t testing.TB, path, _ string) { require.NoError(t, os.WriteFile(path, []byte("kept"), 0o600)) },
	"unreadable file":  func(t testing.TB, path, _ string) { require.NoError(t, os.WriteFile(path, nil, 0o000)) },
	"directory":        func(t testing.TB, path, _ string) { makeLayer(t, path) },
	"link to file":     func(t testing.TB, path, outside string) { require.NoError(t, os.Symlink(outside+"/readme", path)) },
	"link to tree":     func(t testing.TB, path, outside string) { require.NoError(t, os.Symlink(outside, path)) },
	"dangling link":    func(t testing.TB, path, outside string) { require.NoError(t, os.Symlink(outside+"/new", path)) },
	"link to itself":   func(t testing.TB, path, _ string) { require.NoError(t, os.Symlink(path, path)) },
	"fifo":             func(t testing.TB, path, _ string) { require.NoError(t, unix.Mkfifo(path, 0o600)) },
	"socket":           func(t testing.TB, path, _ string) { makeSocket(t, path) },
	"hard link":        func(t testing.TB, path, outside string) { require.NoError(t, os.Link(outside+"/readme", path)) },
	"character device": func(t testing.TB, path, _ string) { makeDevice(t, path, unix.S_IFCHR) },
	"block device":     func(t testing.TB, path, _ string) { makeDevice(t, path, unix.S_IFBLK) },
}

// makeDevice makes a device node whose driver does not exist.
func makeDevice(t testing.TB, path string, kind uint32) {
	t.Helper()
	const unassigned = 250
	err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(unassigned, 250)))
	if errors.Is(err, unix.EPERM) {
		t.Skip("skipped, because making a device node is not permitted here")
	}
	require.NoError(t, err)
}

// foreignNames are names in a root that are not an instance's.
var foreignNames = []string{
	"x", ".hidden", "lock", "lock-", "lock-abc", "temp-dir", "temp-dir-", "temp-dir-abc", "lock-007", "temp-dir-007",
	"lock--1", "lock-+1", "lock-0x1", "lock-1_000", "lock-4294967296", "lock-1.5", "lock-1 ", "Lock-1", "lock-१",
	"lock-" + badID[:31], "lock-" + badID + "0", "lock-" + strings.ToUpper(badID), "lock-" + badID[:31] + "g",
	"xlock-" + badID, "lock-" + badID + ".bak", "lock-" + badID + "\n", "lock- " + badID[1:], "lock-lock-" + badID,
	"temp-dir-" + badID + "~", "temp-dir--" + badID[1:],
	strings.Repeat("n", 255), "lock-" + strings.Repeat("0", 250), "temp-dir-" + strings.Repeat("f", 246),
	"new\nline", "lock-\n", "\xff\xfe not utf-8", "lock-\x80" + badID[1:], "\x1b[31mred", "spaces  and\ttabs", "\"quotes'", "-rf", "…",
}

// decimalNames are names of containers/storage: instances beside MixedFleet,
// else foreign.
var decimalNames = []string{"lock-1", "temp-dir-1", "lock-0", "lock-4294967295", "temp-dir-2147483648"}

func TestForeignNamesAreReportedAndKept(t *testing.T) {
	many := slices.Concat(foreignNames, decimalNames)
	for n := range 300 { // several reads of the directory
		many = append(many, fmt.Sprintf("lock-%032x.%0200d", n, n))
	}
	for _, c := range []struct {
		names   []string
		options []tempdir.Option
	}{
		{many, nil}, {foreignNames, []tempdir.Option{tempdir.MixedFleet(0, 0)}},
	} {
		s := newScene(t, c.options...)
		requireForeign(t, s, c.names, func(t testing.TB, i int, name string) {
			kinds := []string{"file", "directory", "fifo", "link to file"}
			makers[kinds[i%len(kinds)]](t, filepath.Join(s.root.Path(), name), s.outside)
		})
	}
}

func TestForeignTypesAreReportedAndKept(t *testing.T) {
	for kind, maker := range makers {
		t.Run(kind, func(t *testing.T) {
			s := newScene(t)
			requireForeign(t, s, []string{"foreign", "lock-abc", "temp-dir-abc"}, func(t testing.TB, _ int, name string) {
				maker(t, filepath.Join(s.root.Path(), name), s.outside)
			})
		})
	}
}

// requireForeign puts the names into the root and wants them reported as
// foreign, never touched, and nobody disturbed.
func requireForeign(t *testing.T, s *scene, names []string, put func(t testing.TB, i int, name string)) {
	t.Helper()
	before := map[string]map[string]string{}
	for i, name := range names {
		put(t, i, name)
		before[name] = testfs.Snapshot(t, filepath.Join(s.root.Path(), name))
	}
	report, err := s.unharmed(t)
	require.NoError(t, err, "foreign names are no failure")
	sorted := slices.Sorted(slices.Values(names))
	require.Equal(t, sorted, report.Foreign)
	require.Len(t, report.Results, 2)

	instances, err := s.root.Instances(background)
	require.NoError(t, err)
	var listed []string
	for _, instance := range instances {
		if instance.State == tempdir.Foreign {
			require.NoError(t, instance.Err)
			require.False(t, instance.Changed.IsZero())
			listed = append(listed, instance.Name)
		}
	}
	require.Equal(t, sorted, listed)
	require.Equal(t, tempdir.Foreign, instances[len(instances)-1].State, "foreign names come last")
	for _, name := range names {
		require.Equal(t, before[name], testfs.Snapshot(t, filepath.Join(s.root.Path(), name)), "%q", name)
	}
	s.end(t, names...)
}
