package compat_test

import (
	"os"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	// posix holds a lock as upstream takes it.
	role("posix", func(path string) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		check(err)
		check(unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
		kept = file
	})
}

// kept is not collected, and so not closed, while the child lives.
var kept *os.File

// hook makes the calls of the test go through h.
func hook(t *testing.T, h kernel.Hook) {
	notPortably(t)
	t.Cleanup(compat.SwapKernel(kernel.Around(kernel.Linux(), h)))
}

// before calls do before every call of the method, and makes the call only if it
// returns nil.
func before(method kernel.Method, do func() error) kernel.Hook {
	return kernel.HookFunc(func(c *kernel.Call) error {
		if c.Method != method {
			return nil
		}
		return do()
	})
}

// notPortably skips a test of package tempdir's own ways in the run of TestPortably.
func notPortably(t *testing.T) {
	if os.Getenv(portableVariable) != "" {
		t.Skip("skipped, because this is not about the portable code")
	}
}

// aged lets everything be of an age.
type aged struct{ age *time.Duration }

func (aged) Before(*kernel.Call) error { return nil }

func (a aged) After(c *kernel.Call) {
	if c.Method == kernel.StatName {
		c.Attributes.Changed = time.Now().Add(-*a.age)
	}
}

// sinceNow returns a function that names what this process has opened since, and
// still has open.
func sinceNow(t *testing.T) (leaked func() []string) {
	t.Helper()
	before, err := proc.OpenDescriptors()
	require.NoError(t, err)
	return func() []string {
		names, err := before.Leaked()
		require.NoError(t, err)
		return names
	}
}
