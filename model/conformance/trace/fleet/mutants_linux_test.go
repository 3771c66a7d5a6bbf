package fleet

import (
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
)

// What else the workers and the validation have to tell is in the catalogue of mutants.
var _ = func() bool { // before the role begins
	kernels = map[string]func() kernel.Kernel{
		"blind":    func() kernel.Kernel { return &blind{Kernel: kernel.Linux()} },
		"leaker":   func() kernel.Kernel { return leaker{kernel.Linux()} },
		"litterer": func() kernel.Kernel { return litterer{kernel.Linux()} },
	}
	return true
}()

// A blind kernel is the protocol with rules 1 and 2 left out, as upstream ships
// it: lock files are published unlocked, the recheck always says yes. One
// goroutine uses it.
type blind struct {
	kernel.Kernel
	last kernel.Attributes // that Stat answered
}

func (*blind) OpenUnnamed(int) (int, error) { return -1, unix.EOPNOTSUPP }

// TakeLock comes after others had their turn, or on one processor nobody is ever between a
// lock file and its lock.
func (b *blind) TakeLock(fd int) error {
	runtime.Gosched()
	unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	return b.Kernel.TakeLock(fd)
}

func (b *blind) Stat(fd int) (kernel.Attributes, error) {
	a, err := b.Kernel.Stat(fd)
	a.Links = 1
	b.last = a
	return a, err
}

func (b *blind) StatName(dir int, name string) (kernel.Attributes, error) {
	if strings.HasPrefix(name, "lock-") {
		return b.last, nil
	}
	return b.Kernel.StatName(dir, name)
}

// A leaker keeps a second descriptor of a directory it opens.
type leaker struct{ kernel.Kernel }

func (k leaker) OpenDirectory(dir int, name string) (int, error) {
	fd, err := k.Kernel.OpenDirectory(dir, name)
	if err == nil && !leaked.Swap(true) {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	return fd, err
}

var leaked atomic.Bool // one is enough to be found

// A litterer leaves a name in the root that no recovery removes.
type litterer struct{ kernel.Kernel }

func (k litterer) MakeData(root int, name string) error {
	fd, err := unix.Openat(root, "litter", unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	unix.Close(fd)
	return k.Kernel.MakeData(root, name)
}
