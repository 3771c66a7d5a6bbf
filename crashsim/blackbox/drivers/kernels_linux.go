package drivers

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

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
