//go:build linux

package tempdir_test

import (
	"strings"
	"sync"

	"github.com/afterlock/afterlock/tempdir"
	"golang.org/x/sys/unix"
)

// A tap is a Kernel that records every call of the protocol and lets a test act
// before single ones: another process's steps, or a fault.
type tap struct {
	tempdir.Kernel

	mu    sync.Mutex
	calls []string
	open  map[int]bool // descriptors handed out and not closed
	most  int          // the most that were open at a time
	// before is called before each call with the method's name; a result other
	// than nil is returned in place of the call.
	before func(method, name string) error
}

func newTap() *tap { return &tap{Kernel: tempdir.LinuxKernel(), open: map[int]bool{}} }

// step records the call, without the random id in its name.
func (k *tap) step(method, name string) error {
	k.mu.Lock()
	k.calls = append(k.calls, method)
	before := k.before
	k.mu.Unlock()
	if before != nil {
		return before(method, name)
	}
	return nil
}

func (k *tap) opened(fd int, err error) (int, error) {
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.open[fd] = true
		k.most = max(k.most, len(k.open))
	}
	return fd, err
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

func (k *tap) OpenUnnamed(root int) (int, error) {
	if err := k.step("OpenUnnamed", ""); err != nil {
		return -1, err
	}
	return k.opened(k.Kernel.OpenUnnamed(root))
}

func (k *tap) CreateLock(root int, name string) (int, error) {
	if err := k.step("CreateLock", name); err != nil {
		return -1, err
	}
	return k.opened(k.Kernel.CreateLock(root, name))
}

func (k *tap) OpenLock(root int, name string) (int, error) {
	if err := k.step("OpenLock", name); err != nil {
		return -1, err
	}
	return k.opened(k.Kernel.OpenLock(root, name))
}

func (k *tap) OpenDirectory(dir int, name string) (int, error) {
	if err := k.step("OpenDirectory", name); err != nil {
		return -1, err
	}
	return k.opened(k.Kernel.OpenDirectory(dir, name))
}

func (k *tap) Close(fd int) error {
	if err := k.step("Close", ""); err != nil {
		return err
	}
	k.mu.Lock()
	delete(k.open, fd)
	k.mu.Unlock()
	return k.Kernel.Close(fd)
}

func (k *tap) TakeLock(fd int) error {
	if err := k.step("TakeLock", ""); err != nil {
		return err
	}
	return k.Kernel.TakeLock(fd)
}

func (k *tap) WriteOwner(fd int, record []byte) error {
	if err := k.step("WriteOwner", ""); err != nil {
		return err
	}
	return k.Kernel.WriteOwner(fd, record)
}

func (k *tap) LinkLock(fd, root int, name string) error {
	if err := k.step("LinkLock", name); err != nil {
		return err
	}
	return k.Kernel.LinkLock(fd, root, name)
}

func (k *tap) Stat(fd int) (tempdir.Attributes, error) {
	if err := k.step("Stat", ""); err != nil {
		return tempdir.Attributes{}, err
	}
	return k.Kernel.Stat(fd)
}

func (k *tap) StatName(dir int, name string) (tempdir.Attributes, error) {
	if err := k.step("StatName", name); err != nil {
		return tempdir.Attributes{}, err
	}
	return k.Kernel.StatName(dir, name)
}

func (k *tap) RemoveLock(root int, name string) error {
	if err := k.step("RemoveLock", name); err != nil {
		return err
	}
	return k.Kernel.RemoveLock(root, name)
}

func (k *tap) MakeData(root int, name string) error {
	if err := k.step("MakeData", name); err != nil {
		return err
	}
	return k.Kernel.MakeData(root, name)
}

func (k *tap) StageDeletion(victim string, root int, entry string) error {
	if err := k.step("StageDeletion", victim); err != nil {
		return err
	}
	return k.Kernel.StageDeletion(victim, root, entry)
}

func (k *tap) Commit(root int, entry, destination string) error {
	if err := k.step("Commit", destination); err != nil {
		return err
	}
	return k.Kernel.Commit(root, entry, destination)
}

func (k *tap) SyncData(dir int) error {
	if err := k.step("SyncData", ""); err != nil {
		return err
	}
	return k.Kernel.SyncData(dir)
}

func (k *tap) RemoveData(root int, name string) error {
	if err := k.step("RemoveData", name); err != nil {
		return err
	}
	return k.Kernel.RemoveData(root, name)
}

func (k *tap) List(fd int, entries []tempdir.Entry) ([]tempdir.Entry, error) {
	if err := k.step("List", ""); err != nil {
		return entries, err
	}
	return k.Kernel.List(fd, entries)
}

func (k *tap) RemoveEntry(dir int, name string) error {
	if err := k.step("RemoveEntry", name); err != nil {
		return err
	}
	return k.Kernel.RemoveEntry(dir, name)
}

func (k *tap) RemoveDirectory(dir int, name string) error {
	if err := k.step("RemoveDirectory", name); err != nil {
		return err
	}
	return k.Kernel.RemoveDirectory(dir, name)
}

func (k *tap) Hoist(dir int, name string, data int, hoisted string) error {
	if err := k.step("Hoist", name); err != nil {
		return err
	}
	return k.Kernel.Hoist(dir, name, data, hoisted)
}

func (k *tap) MakeTraversable(dir int, name string) error {
	if err := k.step("MakeTraversable", name); err != nil {
		return err
	}
	return k.Kernel.MakeTraversable(dir, name)
}

func (k *tap) ClearFlags(dir int, name string) error {
	if err := k.step("ClearFlags", name); err != nil {
		return err
	}
	return k.Kernel.ClearFlags(dir, name)
}

// withoutUnnamed makes a tap act like a file system without O_TMPFILE.
func withoutUnnamed(method, _ string) error {
	if method == "OpenUnnamed" {
		return unix.EOPNOTSUPP
	}
	return nil
}
