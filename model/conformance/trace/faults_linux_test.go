package trace

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Kernels that lie: the recorder sees what they answer.

type recheckLiar struct{ kernel.Kernel } // says that the name leads elsewhere

func (k recheckLiar) StatName(dir int, name string) (kernel.Attributes, error) {
	a, err := k.Kernel.StatName(dir, name)
	a.Inode++
	return a, err
}

type unlinkLiar struct{ kernel.Kernel } // says that it unlinked the lock file

func (unlinkLiar) RemoveLock(int, string) error { return nil }

// Programs that break rules: the recorder sees the calls they make.

type lockFileFirst struct { // rule 4
	kernel.Kernel
}

func (k lockFileFirst) OpenDirectory(dir int, name string) (int, error) {
	if id, ok := strings.CutPrefix(name, "temp-dir-"); ok {
		_ = k.Kernel.RemoveLock(dir, "lock-"+id)
	}
	return k.Kernel.OpenDirectory(dir, name)
}

type noRecheck struct { // rule 2
	kernel.Kernel
	held sync.Map // the last attributes of a descriptor
}

func (k *noRecheck) Stat(fd int) (kernel.Attributes, error) {
	a, err := k.Kernel.Stat(fd)
	k.held.Store("last", a)
	return a, err
}

func (k *noRecheck) StatName(int, string) (kernel.Attributes, error) {
	a, _ := k.held.Load("last")
	return a.(kernel.Attributes), nil
}

type createsByOpening struct{ kernel.Kernel } // rule 3

func (k createsByOpening) OpenLock(root int, name string) (int, error) {
	if fd, err := k.Kernel.CreateLock(root, name); err == nil {
		return fd, nil
	}
	return k.Kernel.OpenLock(root, name)
}

// Each case has one fault, of those that no fixture is about, and names what the
// refusal must say.
func TestFaultsAreNoBehaviours(t *testing.T) {
	for _, tt := range []struct {
		name         string
		below, above func(kernel.Kernel) kernel.Kernel
		wants        []string
	}{
		{name: "a recheck that says no", below: func(k kernel.Kernel) kernel.Kernel { return recheckLiar{k} },
			wants: []string{"StatName said that lock-<id> is not the file held", `leads to pc = "verified"`}},
		{name: "a lock file that is not unlinked", below: func(k kernel.Kernel) kernel.Kernel { return unlinkLiar{k} },
			wants: []string{"no behaviour of the model"}},
		{name: "the lock file first", above: func(k kernel.Kernel) kernel.Kernel { return lockFileFirst{k} },
			wants: []string{"RemoveLock unlinked the lock file", `the guard pc[p] = "verified" is false`}},
		{name: "no recheck", above: func(k kernel.Kernel) kernel.Kernel { return &noRecheck{Kernel: k} },
			wants: []string{`is false; the model allows this process only`, "StatName("}},
		{name: "created by opening", above: func(k kernel.Kernel) kernel.Kernel { return createsByOpening{yielding(k)} }, // or one processor removes nothing between a list and the opening
			wants: []string{"CreateLock(r", `the guard pc[p] = "sawData" is false`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var report Report
			text := ""
			misses := func(want string) bool { return !strings.Contains(text, want) }
			// A few of the faults take two processes that meet, and in one place.
			for i := 0; i < 100 && (i == 0 || slices.ContainsFunc(tt.wants, misses)); i++ {
				trace := run{creators: 2, recoverers: 2, turns: 5, events: 1 << 15, below: tt.below, above: tt.above, orphans: true}.record(t)
				var err error
				report, err = Validate(t.Context(), trace)
				require.NoError(t, err)
				text = strings.Join(report.Problems, "\n\n")
			}
			require.Equal(t, Invalid, report.Verdict, "%+v", report)
			t.Log("\n" + report.Problems[0])
			for _, want := range tt.wants {
				assert.Contains(t, text, want)
			}
		})
	}
}
