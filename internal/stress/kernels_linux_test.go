package stress

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
)

func TestMain(m *testing.M) {
	kernels = map[string]func() tempdir.Kernel{
		"blind":          func() tempdir.Kernel { return &blind{Kernel: tempdir.LinuxKernel()} },
		"thief":          func() tempdir.Kernel { return thief{tempdir.LinuxKernel()} },
		"leaker":         func() tempdir.Kernel { return leaker{tempdir.LinuxKernel()} },
		"litterer":       func() tempdir.Kernel { return litterer{tempdir.LinuxKernel()} },
		"liar":           func() tempdir.Kernel { return liar{tempdir.LinuxKernel()} },
		"loser":          func() tempdir.Kernel { return loser{tempdir.LinuxKernel()} },
		"nibbler":        func() tempdir.Kernel { return nibbler{tempdir.LinuxKernel()} },
		"careless":       func() tempdir.Kernel { return careless{tempdir.LinuxKernel()} },
		"neighbour":      func() tempdir.Kernel { return neighbour{tempdir.LinuxKernel()} },
		"full disk":      func() tempdir.Kernel { return fullDisk{tempdir.LinuxKernel()} },
		"broken":         func() tempdir.Kernel { return broken{tempdir.LinuxKernel()} },
		"partial commit": func() tempdir.Kernel { return partialCommit{tempdir.LinuxKernel()} },
	}
	BecomeWorker()
	becomeParent()
	os.Exit(m.Run())
}

// A blind kernel is the protocol with rules 1 and 2 left out, as upstream ships
// it: lock files are published unlocked, the recheck always says yes. One
// goroutine uses it.
type blind struct {
	tempdir.Kernel
	last tempdir.Attributes // that Stat answered
}

func (*blind) OpenUnnamed(int) (int, error) { return -1, unix.EOPNOTSUPP }

func (b *blind) Stat(fd int) (tempdir.Attributes, error) {
	a, err := b.Kernel.Stat(fd)
	a.Links = 1
	b.last = a
	return a, err
}

func (b *blind) StatName(dir int, name string) (tempdir.Attributes, error) {
	if strings.HasPrefix(name, "lock-") {
		return b.last, nil
	}
	return b.Kernel.StatName(dir, name)
}
