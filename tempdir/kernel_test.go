//go:build linux

package tempdir_test

import (
	"strings"
	"sync"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A tap is a Kernel that records every call of the protocol and lets a test act
// before single ones: another process's steps, or a fault.
type tap struct {
	kernel.Kernel

	mu    sync.Mutex
	calls []string
	open  map[int]bool // descriptors handed out and not closed
	most  int          // the most that were open at a time
	// before is called before each call with the method's name; a result other
	// than nil is returned in place of the call.
	before func(method, name string) error
}

func newTap() *tap {
	k := &tap{open: map[int]bool{}}
	k.Kernel = kernel.Around(kernel.Linux(), k)
	return k
}

// Before records the call.
func (k *tap) Before(c *kernel.Call) error {
	if c.Method == kernel.OpenRoot {
		return nil
	}
	name := c.Name
	if c.Method == kernel.Commit {
		name = c.To
	}
	k.mu.Lock()
	k.calls = append(k.calls, c.Method.String())
	before := k.before
	k.mu.Unlock()
	if before != nil {
		if err := before(c.Method.String(), name); err != nil {
			return err
		}
	}
	if c.Method == kernel.Close {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.open, c.Fd)
	}
	return nil
}

// After counts descriptors.
func (k *tap) After(c *kernel.Call) {
	if c.Method == kernel.OpenRoot || c.Result < 0 || c.Err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open[c.Result] = true
	k.most = max(k.most, len(k.open))
}

// take returns what was recorded since the last take, on one line.
func (k *tap) take() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls := strings.Join(k.calls, " ")
	k.calls = nil
	return calls
}

// set changes what happens before calls.
func (k *tap) set(before func(method, name string) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before = before
}

// withoutUnnamed makes a tap act like a file system without O_TMPFILE.
func withoutUnnamed(method, _ string) error {
	if method == "OpenUnnamed" {
		return unix.EOPNOTSUPP
	}
	return nil
}
