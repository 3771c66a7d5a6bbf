package subjects

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

// fakeDriver is a shell script in the place of a driver; the command is $7.
func fakeDriver(t *testing.T, script string) string {
	path := filepath.Join(t.TempDir(), "driver")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	return path
}

func TestAWorkshopWhereNoProgramCanBeStarted(t *testing.T) {
	w := released(t)
	if onlyRoot() != nil {
		t.Skip("skipped, because this user cannot mount")
	}
	for _, flags := range []uintptr{0, unix.MS_NOEXEC} {
		dir := t.TempDir()
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", flags, "size=1m"))
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		_, err := Open(t.Context(), Options{Version: w.Version, Dir: dir})
		require.Equal(t, flags != 0, errors.Is(err, ErrUnavailable), err)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

// A full disk is no verdict on the release.
func TestAdoptionOnAFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short, because it copies and builds the store")
	}
	w := released(t)
	if onlyRoot() != nil {
		t.Skip("skipped, because this user cannot mount")
	}
	require.NoError(t, unix.Mount("tmpfs", w.dir, "tmpfs", 0, "size=10m"))
	t.Cleanup(func() { _ = unix.Unmount(w.dir, unix.MNT_DETACH) })
	for _, variant := range []string{"released", "compat"} {
		_, err := w.Copy(t.Context(), variant)
		require.NoError(t, err)
	}
	require.Error(t, os.WriteFile(filepath.Join(w.dir, "all"), make([]byte, 10<<20), 0o600))
	report, err := w.Adopt(t.Context(), Run{Words: []string{"build"}})
	require.NoError(t, err)
	if report.Verdict() == Skipped {
		t.Skip("skipped, because the store cannot be built here: ", report.Because())
	}
	require.Equal(t, Undecided, report.Verdict(), report.Because())
	require.Contains(t, report.Because(), "1 part build failed because the machine")
}

// Root in a container may not mount.
func TestOnlyRootThatMayMount(t *testing.T) {
	if os.Geteuid() != 0 {
		require.ErrorIs(t, onlyRoot(), ErrUnavailable)
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		err := unix.Capget(&header, &sets[0])
		sets[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
		if err = errors.Join(err, unix.Capset(&header, &sets[0])); err == nil {
			err = onlyRoot()
		}
		done <- err
	}()
	require.ErrorIs(t, <-done, ErrUnavailable)
}

func TestAFleetCountsForEachKind(t *testing.T) {
	fleet := putFleet{{"released", 1}, {"compat", 2}}
	drivers := map[string]string{
		"released": fakeDriver(t, `[ "$5" = list ] && echo ok 5 0 && exit; echo "rename `+"$2"+`/x: no such file or directory" >&2; echo ok 5 10 1 2 3`),
		"compat":   fakeDriver(t, `echo "no space left on device" >&2; echo ok 5 20 1 0 0`),
	}
	dir := t.TempDir()
	did := make([]puts, 2)
	require.NoError(t, fleet.run(t.Context(), drivers, dir, 1, did))
	assert.Equal(t, puts{tried: 10, failed: 1, incomplete: 2, undeleted: 3, example: "rename graph/x: no such file or directory"}, did[0])
	assert.Equal(t, puts{tried: 40, failed: 2, other: 2}, did[1])
	assert.Equal(t, 6, did[0].lost())
	assert.Zero(t, did[1].lost())

	// One that dies is no count of 0, and one that cannot what the release can is no
	// machine that cannot.
	for script, want := range map[string]string{`exit 0`: "driver [stress 1]", `echo error: no overlay here; exit 1`: "no overlay here"} {
		drivers["compat"] = fakeDriver(t, script)
		err := fleet.run(t.Context(), drivers, dir, 1, did)
		assert.ErrorContains(t, err, want)
		assert.NotErrorIs(t, err, ErrUnavailable)
	}

	drivers["released"] = fakeDriver(t, `echo error: no overlay here; exit 1`)
	err := fleet.run(t.Context(), drivers, dir, 1, did)
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.ErrorContains(t, err, "no overlay here")
}

// Whatever a driver has started ends with it, so that nothing keeps a mount.
func TestADriverIsKilledWithWhatItHasStarted(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	for _, end := range []func(*process, context.CancelFunc){
		func(p *process, _ context.CancelFunc) { assert.NoError(t, killAll([]*process{p})) },
		func(p *process, cancel context.CancelFunc) {
			cancel()
			_, err := p.numbers(0)
			assert.Error(t, err)
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		p, err := start(ctx, fakeDriver(t, `sh -c 'echo started; exec sleep 1000' >`+fifo), t.TempDir(), "stress")
		require.NoError(t, err)
		file, err := os.Open(fifo)
		require.NoError(t, err)
		require.NoError(t, file.SetReadDeadline(time.Now().Add(time.Minute))) // of a test that fails
		reader := bufio.NewReader(file)
		_, err = reader.ReadString('\n')
		require.NoError(t, err)
		end(p, cancel)
		_, err = io.ReadAll(reader) // ends when nobody has it open for writing
		assert.NoError(t, err)
		require.NoError(t, file.Close())
		cancel()
	}
}

func TestAStoreIsOnABoundedTmpfsThatGoesWithWhatIsMountedInIt(t *testing.T) {
	if !testfs.OwnMounts(t) {
		return
	}
	base := t.TempDir()
	failed := errors.New("failed")
	err := onTmpfs(t.Context(), base, "1m", func(dir string) error {
		var stat unix.Statfs_t
		require.NoError(t, unix.Statfs(dir, &stat))
		assert.EqualValues(t, unix.TMPFS_MAGIC, stat.Type)
		assert.EqualValues(t, 1<<20, int64(stat.Blocks)*int64(stat.Bsize))
		below := filepath.Join(dir, "below")
		require.NoError(t, os.Mkdir(below, 0o700))
		require.NoError(t, unix.Mount(dir, below, "", unix.MS_BIND, ""))
		return fmt.Errorf("within: %w", failed)
	})
	assert.ErrorIs(t, err, failed)
	entries, err := os.ReadDir(base)
	require.NoError(t, err)
	assert.Empty(t, entries)
	assert.Empty(t, testfs.MountsBelow(t, base))
}
