//go:build linux

package disk

import (
	"os"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// This file is the half of kernel.Kernel that opens, reads and locks.

func (p *Process) OpenRoot(path string) (fd int, ordered bool, err error) {
	fd, err = p.OpenDirectory(unix.AT_FDCWD, path)
	return fd, p.disk.Ordered, err
}

func (p *Process) OpenParent(path string) (int, error) {
	return p.OpenDirectory(unix.AT_FDCWD, path)
}

func (p *Process) OpenDirectory(dir int, name string) (int, error) {
	n, err := p.walk(dir, name)
	if err == nil && !p.disk.nodes[n].directory {
		err = unix.ENOTDIR
	}
	if err != nil {
		return -1, err
	}
	return p.opened(n, false), nil
}

func (p *Process) OpenUnnamed(dir int) (int, error) {
	_, err := p.walk(dir, ".")
	if err == nil && p.disk.NoUnnamed {
		err = unix.EOPNOTSUPP
	}
	if err != nil {
		return -1, err
	}
	n := p.disk.make(false)
	p.disk.nodes[n].linkable = true
	return p.opened(n, true), nil
}

func (p *Process) CreateLock(dir int, name string) (int, error) {
	n, err := p.make(dir, name, false)
	if err != nil {
		return -1, err
	}
	return p.opened(n, true), nil
}

func (p *Process) OpenLock(dir int, name string) (int, error) {
	n, err := p.walk(dir, name)
	if err == nil && p.disk.nodes[n].directory {
		err = unix.EISDIR
	}
	if err != nil {
		return -1, err
	}
	return p.opened(n, true), nil
}

func (p *Process) TakeLock(fd int) error { return p.lock(fd, true) }

// ShareLock takes the lock like TakeLock: who asks for it closes fd next.
func (p *Process) ShareLock(fd int) error { return p.lock(fd, false) }

func (p *Process) lock(fd int, writes bool) error {
	f, err := p.fd(fd)
	if err != nil {
		return err
	}
	of := &p.disk.nodes[f.node]
	switch {
	case writes && !f.writable:
		return unix.EBADF
	case of.locker != nil && of.locker != f:
		return unix.EAGAIN
	}
	of.locker = f
	return nil
}

func (p *Process) WriteOwner(fd int, record []byte) error {
	f, err := p.fd(fd)
	if err != nil || !f.writable {
		return unix.EBADF
	}
	of := &p.disk.nodes[f.node]
	rest := of.data[min(len(record), len(of.data)):]
	of.data = append(append(make([]byte, 0, len(record)+len(rest)), record...), rest...) // the former is another tree's, too
	return nil
}

func (p *Process) Stat(fd int) (kernel.Attributes, error) {
	f, err := p.fd(fd)
	if err != nil {
		return kernel.Attributes{}, err
	}
	return p.disk.attributes(f.node), nil
}

func (p *Process) StatName(dir int, name string) (kernel.Attributes, error) {
	n, err := p.walk(dir, name)
	if err != nil {
		return kernel.Attributes{}, err
	}
	return p.disk.attributes(n), nil
}

// device is the device number of every node, and mount what leads to all of them.
const device, mount = 1, 1

// epoch is when everything was changed last: time stands still on the disk.
var epoch = time.Unix(0, 0)

func (d *Disk) attributes(n int32) kernel.Attributes {
	of := &d.nodes[n]
	return kernel.Attributes{
		Device: device, Inode: uint64(of.number), Mount: mount, Links: uint32(of.links), Mode: of.kind(), Permissions: 0o700,
		Bytes: int64(len(of.data)), Changed: epoch,
		UID: uint32(os.Geteuid()), // every inode is this user's
	}
}

func (p *Process) List(fd int, entries []kernel.Entry) ([]kernel.Entry, error) {
	f, err := p.fd(fd)
	if err != nil {
		return entries, err
	}
	switch of := &p.disk.nodes[f.node]; {
	case !of.directory:
		return entries, unix.ENOTDIR
	case of.links == 0:
		return entries, unix.ENOENT
	}
	n := 0
	for _, e := range p.disk.nodes[f.node].entries {
		if e.name > f.position && (p.disk.Batch == 0 || n < p.disk.Batch) {
			entries = append(entries, kernel.Entry{Name: e.name, Type: p.disk.nodes[e.node].kind()})
			f.position = e.name
			n++
		}
	}
	return entries, nil
}

func (p *Process) SyncData(fd int) error {
	f, err := p.fd(fd)
	if err == nil {
		p.sync(f.node)
	}
	return err
}

func (p *Process) SyncAll(fd int) error {
	_, err := p.fd(fd)
	for n := range p.disk.nodes {
		if of := &p.disk.nodes[n]; err == nil && of.directory && of.links > 0 {
			p.sync(int32(n))
		}
	}
	return err
}

func (p *Process) OpenToInspect(dir int, name string) (int, error) {
	n, err := p.walk(dir, name)
	if err != nil {
		return -1, err
	}
	return p.opened(n, false), nil
}

// Owns: the disk has no users.
func (p *Process) Owns(dir int, name string) error {
	n, err := p.walk(dir, name)
	if err == nil && !p.disk.nodes[n].directory {
		return unix.ENOTDIR
	}
	return err
}

func (p *Process) LockHolder(fd int) (kernel.Holder, error) {
	f, err := p.fd(fd)
	if err != nil {
		return kernel.Holder{}, err
	}
	locker := p.disk.nodes[f.node].locker
	return kernel.Holder{Held: locker != nil && locker != f}, nil
}

func (p *Process) ReadOwner(fd int) ([]byte, error) {
	f, err := p.fd(fd)
	if err != nil {
		return nil, err
	}
	if p.disk.nodes[f.node].directory {
		return nil, unix.EISDIR
	}
	return append([]byte{}, p.disk.nodes[f.node].data...), nil
}

func (p *Process) Close(fd int) error {
	_, err := p.fd(fd)
	if err == nil {
		p.release(fd - firstFd)
	}
	return err
}
