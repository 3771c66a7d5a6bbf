package stress

import (
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

func init() {
	kernels = map[string]func() kernel.Kernel{
		"blind":          func() kernel.Kernel { return &blind{Kernel: kernel.Linux()} },
		"thief":          func() kernel.Kernel { return thief{kernel.Linux()} },
		"leaker":         func() kernel.Kernel { return leaker{kernel.Linux()} },
		"litterer":       func() kernel.Kernel { return litterer{kernel.Linux()} },
		"liar":           func() kernel.Kernel { return liar{kernel.Linux()} },
		"loser":          func() kernel.Kernel { return loser{kernel.Linux()} },
		"nibbler":        func() kernel.Kernel { return nibbler{kernel.Linux()} },
		"careless":       func() kernel.Kernel { return careless{kernel.Linux()} },
		"neighbour":      func() kernel.Kernel { return neighbour{kernel.Linux()} },
		"full disk":      func() kernel.Kernel { return fullDisk{kernel.Linux()} },
		"broken":         func() kernel.Kernel { return broken{kernel.Linux()} },
		"partial commit": func() kernel.Kernel { return partialCommit{kernel.Linux()} },
	}
}

func TestMain(m *testing.M) { proc.Main(m) }

// A blind kernel is the protocol with rules 1 and 2 left out, as upstream ships
// it: lock files are published unlocked, the recheck always says yes. One
// goroutine uses it.
type blind struct {
	kernel.Kernel
	last kernel.Attributes // that Stat answered
}

func (*blind) OpenUnnamed(int) (int, error) { return -1, unix.EOPNOTSUPP }

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
