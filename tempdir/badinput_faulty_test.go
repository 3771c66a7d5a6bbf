//go:build linux

package tempdir_test

import (
	"sync"

	"github.com/afterlock/afterlock/tempdir"
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
	tempdir.Kernel

	mu     sync.Mutex
	armed  bool
	fault  fault
	hits   int
	mended bool
	open   map[int]string // descriptor to the method that opened it
}

func newFaulty(f fault) *faulty {
	return &faulty{Kernel: tempdir.LinuxKernel(), fault: f, open: map[int]string{}}
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

// call makes one call, or lets it fail.
func (k *faulty) call(method string, call func() error) error {
	if k.fails(method, false) {
		return k.fault.errno
	}
	if err := call(); err != nil {
		return err
	}
	if k.fails(method, true) {
		return k.fault.errno
	}
	return nil
}

// callFD is call for methods that return a descriptor.
func (k *faulty) callFD(method string, call func() (int, error)) (fd int, err error) {
	opened := false
	err = k.call(method, func() (err error) {
		fd, err = call()
		opened = err == nil
		return err
	})
	if err != nil {
		if opened {
			k.Kernel.Close(fd)
		}
		return -1, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open[fd] = method
	return fd, nil
}

func (k *faulty) OpenRoot(path string) (int, bool, error) {
	fd, err := k.callFD("OpenRoot", func() (int, error) {
		fd, _, err := k.Kernel.OpenRoot(path)
		return fd, err
	})
	return fd, false, err
}

func (k *faulty) OpenUnnamed(root int) (int, error) {
	return k.callFD("OpenUnnamed", func() (int, error) { return k.Kernel.OpenUnnamed(root) })
}

func (k *faulty) CreateLock(root int, name string) (int, error) {
	return k.callFD("CreateLock", func() (int, error) { return k.Kernel.CreateLock(root, name) })
}

func (k *faulty) OpenLock(root int, name string) (int, error) {
	return k.callFD("OpenLock", func() (int, error) { return k.Kernel.OpenLock(root, name) })
}

func (k *faulty) OpenDirectory(dir int, name string) (int, error) {
	return k.callFD("OpenDirectory", func() (int, error) {
		if name == "closed" && !k.mended {
			return -1, unix.EACCES
		}
		return k.Kernel.OpenDirectory(dir, name)
	})
}

// Close closes in any case, as the kernel does.
func (k *faulty) Close(fd int) error {
	k.mu.Lock()
	delete(k.open, fd)
	k.mu.Unlock()
	err := k.Kernel.Close(fd)
	if k.fails("Close", k.fault.late) {
		return k.fault.errno
	}
	return err
}

func (k *faulty) TakeLock(fd int) error {
	return k.call("TakeLock", func() error { return k.Kernel.TakeLock(fd) })
}

func (k *faulty) WriteOwner(fd int, record []byte) error {
	return k.call("WriteOwner", func() error { return k.Kernel.WriteOwner(fd, record) })
}

func (k *faulty) LinkLock(fd, root int, name string) error {
	return k.call("LinkLock", func() error { return k.Kernel.LinkLock(fd, root, name) })
}

func (k *faulty) Stat(fd int) (a tempdir.Attributes, err error) {
	err = k.call("Stat", func() error { a, err = k.Kernel.Stat(fd); return err })
	return a, err
}

func (k *faulty) StatName(dir int, name string) (a tempdir.Attributes, err error) {
	err = k.call("StatName", func() error { a, err = k.Kernel.StatName(dir, name); return err })
	return a, err
}

func (k *faulty) RemoveLock(root int, name string) error {
	return k.call("RemoveLock", func() error { return k.Kernel.RemoveLock(root, name) })
}

func (k *faulty) MakeData(root int, name string) error {
	return k.call("MakeData", func() error { return k.Kernel.MakeData(root, name) })
}

func (k *faulty) StageDeletion(victim string, root int, entry string) error {
	return k.call("StageDeletion", func() error { return k.Kernel.StageDeletion(victim, root, entry) })
}

func (k *faulty) Commit(root int, entry, destination string) error {
	return k.call("Commit", func() error { return k.Kernel.Commit(root, entry, destination) })
}

func (k *faulty) SyncData(dir int) error {
	return k.call("SyncData", func() error { return k.Kernel.SyncData(dir) })
}

func (k *faulty) RemoveData(root int, name string) error {
	return k.call("RemoveData", func() error { return k.Kernel.RemoveData(root, name) })
}

func (k *faulty) List(fd int, entries []tempdir.Entry) (listed []tempdir.Entry, err error) {
	listed = entries
	err = k.call("List", func() error { listed, err = k.Kernel.List(fd, entries); return err })
	return listed, err
}

func (k *faulty) RemoveEntry(dir int, name string) error {
	return k.call("RemoveEntry", func() error { return k.Kernel.RemoveEntry(dir, name) })
}

func (k *faulty) RemoveDirectory(dir int, name string) error {
	return k.call("RemoveDirectory", func() error { return k.Kernel.RemoveDirectory(dir, name) })
}

func (k *faulty) Hoist(dir int, name string, data int, hoisted string) error {
	return k.call("Hoist", func() error { return k.Kernel.Hoist(dir, name, data, hoisted) })
}

func (k *faulty) MakeTraversable(dir int, name string) error {
	return k.call("MakeTraversable", func() error {
		k.mended = true
		return k.Kernel.MakeTraversable(dir, name)
	})
}

func (k *faulty) ClearFlags(dir int, name string) error {
	return k.call("ClearFlags", func() error { return k.Kernel.ClearFlags(dir, name) })
}

func (k *faulty) InspectLock(root int, name string) (seen tempdir.Inspection, err error) {
	err = k.call("InspectLock", func() error { seen, err = k.Kernel.InspectLock(root, name); return err })
	return seen, err
}
