package drivers

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// A noRecheck is the protocol without rules 1 and 2, as upstream ships it: lock
// files are published unlocked and the recheck says yes without a look.
type noRecheck struct {
	kernel.Kernel
	last kernel.Attributes // that Stat answered
}

func (*noRecheck) OpenUnnamed(int) (int, error) { return -1, unix.EOPNOTSUPP }

func (k *noRecheck) Stat(fd int) (kernel.Attributes, error) {
	a, err := k.Kernel.Stat(fd)
	a.Links = 1
	k.last = a
	return a, err
}

func (k *noRecheck) StatName(dir int, name string) (kernel.Attributes, error) {
	if strings.HasPrefix(name, "lock-") {
		return k.last, nil
	}
	return k.Kernel.StatName(dir, name)
}

// A lockFirst breaks rule 4: it unlinks the lock file before the data, and the
// recheck that follows says yes.
type lockFirst struct {
	kernel.Kernel
	last kernel.Attributes
	gone bool
}

func (k *lockFirst) Stat(fd int) (kernel.Attributes, error) {
	a, err := k.Kernel.Stat(fd)
	a.Links = 1
	k.last = a
	return a, err
}

func (k *lockFirst) OpenDirectory(dir int, name string) (int, error) {
	if id, ok := strings.CutPrefix(name, "temp-dir-"); ok {
		_ = k.Kernel.RemoveLock(dir, "lock-"+id)
		k.gone = true
	}
	return k.Kernel.OpenDirectory(dir, name)
}

func (k *lockFirst) StatName(dir int, name string) (kernel.Attributes, error) {
	if k.gone && strings.HasPrefix(name, "lock-") {
		return k.last, nil
	}
	return k.Kernel.StatName(dir, name)
}

// An inPlace deletes victims where they are, as everybody did before there were
// renames.
type inPlace struct{ kernel.Kernel }

func (inPlace) StageDeletion(victim string, _ int, _ string) error { return os.RemoveAll(victim) }

// A litter leaves a name in the root that no recovery removes.
type litter struct{ kernel.Kernel }

func (k litter) MakeData(root int, name string) error {
	if err := unix.Mkdirat(root, "litter", 0o700); err != nil {
		return err
	}
	return k.Kernel.MakeData(root, name)
}

// A swallow says that a victim was staged when that failed.
type swallow struct{ kernel.Kernel }

func (k swallow) StageDeletion(victim string, root int, entry string) error {
	_ = k.Kernel.StageDeletion(victim, root, entry)
	return nil
}

// A leak keeps the lock file open when it cannot be locked.
type leak struct{ kernel.Kernel }

func (k leak) TakeLock(fd int) error {
	err := k.Kernel.TakeLock(fd)
	if err != nil {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	return err
}

// A bypass makes changes that the seam does not hear of.
type bypass struct{ kernel.Kernel }

func (k bypass) MakeData(root int, name string) error {
	if err := unix.Mkdirat(root, name+".aside", 0o700); err != nil {
		return err
	}
	if err := unix.Unlinkat(root, name+".aside", unix.AT_REMOVEDIR); err != nil {
		return err
	}
	return k.Kernel.MakeData(root, name)
}

// aside is the process that a helper starts.
const aside = "aside"

// A helper starts a process, whose calls are in no view of this one.
type helper struct{ kernel.Kernel }

func (k helper) MakeData(root int, name string) error {
	if err := proc.New(blackbox.DriverRole(aside)).Run(); err != nil {
		return err
	}
	return k.Kernel.MakeData(root, name)
}

// A watched root notes the calls of the seam, and says them as an error when it
// is closed, so that they are in the answer.
type watched struct {
	kernel  kernel.Kernel
	methods []string
}

func (w *watched) Before(c *kernel.Call) error {
	w.methods = append(w.methods, c.Method.String())
	return nil
}

func (*watched) After(*kernel.Call) {}

func (w *watched) open(path string) (driver.Root, error) {
	w.methods = nil
	root, err := driver.OpenTempdir(kernel.With[tempdir.Option](kernel.Around(w.kernel, w)))(path)
	return watchedRoot{root, w}, err
}

type watchedRoot struct {
	driver.Root
	watched *watched
}

type seen []string

func (s seen) Error() string { return "calls: " + strings.Join(s, " ") }

func (r watchedRoot) Close() error {
	if err := r.Root.Close(); err != nil {
		return err
	}
	return seen(r.watched.methods)
}
