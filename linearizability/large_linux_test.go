package linearizability

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
)

func TestLargeLayersLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it makes layers of many files")
	}
	r, err := Run(t.Context(), Config{Dir: testfs.InMemory(t), Seed: 1, Processes: 5, Files: 150})
	require.NoError(t, err)
	t.Logf("%+v", r)
	assert.Empty(t, r.Problems)
	assert.Positive(t, r.Removing)
	assert.Positive(t, r.Held)
	assert.Zero(t, r.Under)
}

// Mutants that show where layers have many files, links, or processes end in order.
func TestMutantsOfLargeLayersAreKilled(t *testing.T) {
	for mutant, wants := range map[string]string{
		"careless": "what a link in a layer leads to was removed or changed", "leaker": "leaked descriptor",
	} {
		t.Run(mutant, func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), Config{Dir: testfs.InMemory(t), Seed: 1, Processes: 3, Files: 10, fault: mutant})
			require.NoError(t, err)
			assert.Contains(t, strings.Join(r.Problems, "\n"), wants)
		})
	}
}

var _ = func() bool { // before the role begins
	large := map[string]fault{
		"careless": {kernel: func(k kernel.Kernel) kernel.Kernel { return careless{k} }},
		"leaker":   {kernel: func(k kernel.Kernel) kernel.Kernel { return leaker{k} }},
	}
	for name, f := range large {
		faults[name] = f
	}
	return true
}()

// A careless kernel removes what symbolic links lead to.
type careless struct{ kernel.Kernel }

func (k careless) RemoveEntry(dir int, name string) error {
	if target, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(dir), name)); err == nil {
		_ = os.Remove(target)
	}
	return k.Kernel.RemoveEntry(dir, name)
}

// A leaker keeps a second descriptor of every directory that it opens.
type leaker struct{ kernel.Kernel }

func (k leaker) OpenDirectory(dir int, name string) (int, error) {
	fd, err := k.Kernel.OpenDirectory(dir, name)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	return fd, err
}

type noDisk struct{ kernel.Disk }

func (noDisk) TakeLock(int, kernel.ByteRange) error  { return nil }
func (noDisk) AwaitLock(int, kernel.ByteRange) error { return nil }
func (noDisk) Close(int) error                       { return nil }

// What is removed while the store lock is held exclusively is counted, and nothing else.
func TestRemovalsUnderTheLockAreCounted(t *testing.T) {
	h := &holds{}
	d := h.around(noDisk{})
	steps := []struct {
		do    func()
		under int64
	}{
		{func() { h.call("RemoveEntry") }, 0},
		{func() { d.TakeLock(3, kernel.ByteRange{Offset: 7, Exclusive: true}); h.call("RemoveEntry") }, 0}, // a claim
		{func() { d.TakeLock(3, kernel.ByteRange{}); h.call("RemoveEntry") }, 0},                           // shared
		{func() { d.AwaitLock(4, kernel.ByteRange{Exclusive: true}); h.call("StageDeletion") }, 0},
		{func() { h.call("RemoveEntry") }, 1},
		{func() { d.Close(3); h.call("RemoveDirectory") }, 2},
		{func() { d.Close(4); h.call("RemoveEntry") }, 2},
	}
	for i, step := range steps {
		step.do()
		assert.Equal(t, step.under, h.under.Load(), "step %d", i)
	}
	assert.EqualValues(t, 1, h.count.Load())
}
