package compat_test

import (
	"os"
	"testing"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"golang.org/x/sys/unix"
)

func init() {
	// posix holds a lock as upstream takes it.
	children["posix"] = func(path string) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		check(err)
		check(unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
		kept = file
	}
}

// kept is not collected, and so not closed, while the child lives.
var kept *os.File

// hooks is a Kernel in which single calls fail, or are preceded by the steps of
// another process.
type hooks struct {
	tempdir.Kernel
	openRoot, openUnnamed, takeLock, makeData, detach func() error
	removeEntry                                       func(name string) error
	age                                               func(a *tempdir.Attributes)
}

// hook makes the calls of the test go through h.
func hook(t *testing.T, h *hooks) {
	notPortably(t)
	h.Kernel = tempdir.LinuxKernel()
	t.Cleanup(compat.SwapKernel(h))
}

// notPortably skips a test of package tempdir's own ways in the run of TestPortably.
func notPortably(t *testing.T) {
	if os.Getenv(portableVariable) != "" {
		t.Skip("skipped, because this is not about the portable code")
	}
}

func first(hook func() error) error {
	if hook == nil {
		return nil
	}
	return hook()
}

func (h *hooks) OpenRoot(path string) (int, bool, error) {
	if err := first(h.openRoot); err != nil {
		return -1, false, err
	}
	return h.Kernel.OpenRoot(path)
}

func (h *hooks) OpenUnnamed(root int) (int, error) {
	if err := first(h.openUnnamed); err != nil {
		return -1, err
	}
	return h.Kernel.OpenUnnamed(root)
}

func (h *hooks) TakeLock(fd int) error {
	if err := first(h.takeLock); err != nil {
		return err
	}
	return h.Kernel.TakeLock(fd)
}

func (h *hooks) MakeData(root int, name string) error {
	if err := first(h.makeData); err != nil {
		return err
	}
	return h.Kernel.MakeData(root, name)
}

func (h *hooks) Detach(dir int, name string) error {
	if err := first(h.detach); err != nil {
		return err
	}
	return h.Kernel.Detach(dir, name)
}

func (h *hooks) RemoveEntry(dir int, name string) error {
	if h.removeEntry != nil {
		if err := h.removeEntry(name); err != nil {
			return err
		}
	}
	return h.Kernel.RemoveEntry(dir, name)
}

func (h *hooks) StatName(dir int, name string) (tempdir.Attributes, error) {
	a, err := h.Kernel.StatName(dir, name)
	if h.age != nil {
		h.age(&a)
	}
	return a, err
}

// descriptors counts what this process has open.
func descriptors(t *testing.T) int { return len(names(t, "/proc/self/fd")) }
