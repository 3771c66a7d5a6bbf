package trace

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Kernels that lie: the recorder sees what they answer.

type lockLiar struct{ kernel.Kernel } // takes locks that are held

func (lockLiar) TakeLock(int) error { return nil }

type busyLiar struct{ kernel.Kernel } // says that free locks are held

func (busyLiar) TakeLock(int) error { return unix.EAGAIN }

type dataLiar struct{ kernel.Kernel } // says that it made the data directory

func (dataLiar) MakeData(int, string) error { return nil }

type recheckLiar struct{ kernel.Kernel } // says that the name leads elsewhere

func (k recheckLiar) StatName(dir int, name string) (kernel.Attributes, error) {
	a, err := k.Kernel.StatName(dir, name)
	a.Inode++
	return a, err
}

type unlinkLiar struct{ kernel.Kernel } // says that it unlinked the lock file

func (unlinkLiar) RemoveLock(int, string) error { return nil }

// linkLiar links over a lock file that is there, and its listings do not show any.
type linkLiar struct{ kernel.Kernel }

func (k linkLiar) List(fd int, entries []kernel.Entry) ([]kernel.Entry, error) {
	before := len(entries)
	entries, err := k.Kernel.List(fd, entries)
	for i := before; i < len(entries); i++ {
		if strings.HasPrefix(entries[i].Name, "lock-") {
			entries[i].Name = "foreign"
		}
	}
	return entries, err
}

func (k linkLiar) LinkLock(fd, root int, name string) error {
	if err := k.Kernel.LinkLock(fd, root, name); err != nil && err != unix.EEXIST {
		return err
	}
	return nil
}

type stageLiar struct{ kernel.Kernel } // says that every victim is gone

func (stageLiar) StageDeletion(string, int, string) error { return unix.ENOENT }

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

type unlocksFirst struct { // unlock before unlink
	kernel.Kernel
	lock sync.Map
}

func (k *unlocksFirst) LinkLock(fd, root int, name string) error {
	k.lock.Store(name, fd)
	return k.Kernel.LinkLock(fd, root, name)
}

func (k *unlocksFirst) RemoveLock(root int, name string) error {
	if fd, ok := k.lock.LoadAndDelete(name); ok {
		_ = k.Kernel.Close(fd.(int))
	}
	return k.Kernel.RemoveLock(root, name)
}

// upstream publishes its lock file unlocked, opens it again with O_CREAT, locks
// it and looks at nothing.
type upstream struct{ noRecheck }

func (*upstream) OpenUnnamed(int) (int, error) { return -1, unix.EOPNOTSUPP }

func (k *upstream) CreateLock(root int, name string) (int, error) {
	fd, err := k.Kernel.CreateLock(root, name)
	if err != nil {
		return fd, err
	}
	_ = k.Kernel.Close(fd)
	return k.Kernel.OpenLock(root, name)
}

// Each case plants one fault, and names what the refusal must say.
func TestFaultsAreNoBehaviours(t *testing.T) {
	for _, tt := range []struct {
		name         string
		below, above func(kernel.Kernel) kernel.Kernel
		turns        int // 5 unless it is a race
		wants        []string
	}{
		{name: "a lock that is held is taken", below: func(k kernel.Kernel) kernel.Kernel { return lockLiar{k} },
			wants: []string{"TakeLock took the lock", `leads to pc = "closing"`}},
		{name: "a lock that is free is held", below: func(k kernel.Kernel) kernel.Kernel { return busyLiar{named{k}} }, turns: 1,
			wants: []string{"TakeLock said that the lock is held", `leads to pc = "taken"`}},
		{name: "data that was not made", below: func(k kernel.Kernel) kernel.Kernel { return dataLiar{k} },
			wants: []string{"no behaviour of the model"}},
		{name: "a recheck that says no", below: func(k kernel.Kernel) kernel.Kernel { return recheckLiar{k} },
			wants: []string{"StatName said that lock-<id> is not the file held", `leads to pc = "verified"`}},
		{name: "a lock file that is not unlinked", below: func(k kernel.Kernel) kernel.Kernel { return unlinkLiar{k} },
			wants: []string{"no behaviour of the model"}},
		{name: "a link over a lock file", below: func(k kernel.Kernel) kernel.Kernel { return linkLiar{k} },
			wants: []string{"LinkLock gave the file its name"}},
		{name: "a victim that is there is gone", below: func(k kernel.Kernel) kernel.Kernel { return stageLiar{k} },
			wants: []string{"and nobody had staged it"}},
		{name: "the lock file first", above: func(k kernel.Kernel) kernel.Kernel { return lockFileFirst{k} },
			wants: []string{"RemoveLock unlinked the lock file", `the guard pc[p] = "verified" is false`}},
		{name: "no recheck", above: func(k kernel.Kernel) kernel.Kernel { return &noRecheck{Kernel: k} },
			wants: []string{`is false; the model allows this process only`, "StatName("}},
		{name: "created by opening", above: func(k kernel.Kernel) kernel.Kernel { return createsByOpening{k} },
			wants: []string{"CreateLock(r", `the guard pc[p] = "sawData" is false`}},
		{name: "unlocked before it is unlinked", above: func(k kernel.Kernel) kernel.Kernel { return &unlocksFirst{Kernel: k} },
			wants: []string{"Close closed the lock file", `the guard pc[p] = "closing" is false`, "RemoveLock(c1)"}},
		{name: "upstream", above: func(k kernel.Kernel) kernel.Kernel { return &upstream{noRecheck{Kernel: k}} },
			wants: []string{"Close closed the lock file", `the guard pc[p] = "closing" is false`, "TakeLock(c1)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.turns == 0 {
				tt.turns = 5
			}
			var report Report
			text := ""
			misses := func(want string) bool { return !strings.Contains(text, want) }
			// A few of the faults take two processes that meet, and in one place.
			for i := 0; i < 100 && (i == 0 || slices.ContainsFunc(tt.wants, misses)); i++ {
				trace := run{creators: 2, recoverers: 2, turns: tt.turns, events: 1 << 15, below: tt.below, above: tt.above, orphans: true}.record(t)
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
