package linearizability

import (
	"sync/atomic"

	"github.com/afterlock/afterlock/internal/kernel"
)

// holds watches what a process does while it has the store lock exclusively: nothing
// may be removed then, because that takes as long as there are files. It is right
// for a process with one client.
type holds struct {
	kernel.Disk
	fd           atomic.Int64 // that has the lock; 0: none
	count, under atomic.Int64 // of locks that were taken, and of removals under them
}

func (h *holds) around(d kernel.Disk) kernel.Disk {
	h.Disk = d
	return h
}

func (h *holds) taken(fd int, r kernel.ByteRange, err error) error {
	if err == nil && r.Offset == 0 && r.Exclusive {
		h.fd.Store(int64(fd))
		h.count.Add(1)
	}
	return err
}

func (h *holds) TakeLock(fd int, r kernel.ByteRange) error {
	return h.taken(fd, r, h.Disk.TakeLock(fd, r))
}

func (h *holds) AwaitLock(fd int, r kernel.ByteRange) error {
	return h.taken(fd, r, h.Disk.AwaitLock(fd, r))
}

func (h *holds) Close(fd int) error {
	h.fd.CompareAndSwap(int64(fd), 0)
	return h.Disk.Close(fd)
}

// call counts a call of the store if it removes something under the lock.
func (h *holds) call(name string) {
	if (name == removal || name == kernel.RemoveDirectory.String()) && h.fd.Load() != 0 {
		h.under.Add(1)
	}
}

// removal is the call that removes a file in a tree.
var removal = kernel.RemoveEntry.String()
