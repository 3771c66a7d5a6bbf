//go:build linux

package tempdir_test

import (
	"sync"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A fault says which calls fail, and how.
type fault struct {
	method string
	errno  unix.Errno
	late   bool // the call has had its effect when it fails
	once   bool // only the first call fails
}

// A faulty kernel lets calls fail and counts descriptors. Nothing fails until
// it is armed. It takes renames for unordered, and refuses to open a directory
// called "closed" until its permissions are mended.
type faulty struct {
	kernel.Kernel

	mu     sync.Mutex
	armed  bool
	fault  fault
	hits   int
	mended bool
	open   map[int]string // descriptor to the method that opened it
}

func newFaulty(f fault) *faulty {
	k := &faulty{fault: f, open: map[int]string{}}
	k.Kernel = kernel.Around(kernel.Linux(), k)
	return k
}

func (k *faulty) arm(armed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = armed
}

// fails says whether a call fails now, before (late false) or after its effect.
func (k *faulty) fails(method string, late bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.armed || k.fault.method != method || k.fault.late != late || k.fault.once && k.hits > 0 {
		return false
	}
	k.hits++
	return true
}

// Before lets a call fail before its effect. Close closes in any case, as the
// kernel does.
func (k *faulty) Before(c *kernel.Call) error {
	if c.Method == kernel.Close {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.open, c.Fd)
		return nil
	}
	switch {
	case k.fails(c.Method.String(), false):
		return k.fault.errno
	case c.Method == kernel.ChangeMode:
		k.mended = true
	case c.Method == kernel.OpenDirectory && c.Name == "closed" && !k.mended:
		return unix.EACCES
	}
	return nil
}

// After lets it fail after its effect.
func (k *faulty) After(c *kernel.Call) {
	c.Ordered = false
	late := c.Method != kernel.Close || k.fault.late
	if c.Err == nil && k.fails(c.Method.String(), late) {
		if c.Result >= 0 {
			kernel.Linux().Close(c.Result)
		}
		c.Result, c.Err = -1, k.fault.errno
	}
	if c.Result >= 0 {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.open[c.Result] = c.Method.String()
	}
}
