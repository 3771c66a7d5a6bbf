//go:build linux

package disk

import (
	"io/fs"
	"os"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// This file is the half of kernel.Kernel that opens, reads and locks.

func (p *Process) OpenRoot(path string) (fd int, ordered bool, err error) {
	if err := p.begin(); err != nil {
		return -1, false, err
	}
	defer p.end()
	at, err := p.walkAt(unix.AT_FDCWD, path, resolve{})
	if err == nil {
		err = p.disk.mayOpenDirectory(at.node)
	}
	if err != nil {
		return -1, false, err
	}
	return p.opened(at, false), p.disk.Ordered, nil
}

func (p *Process) OpenParent(path string) (int, error) {
	if err := p.begin(); err != nil {
		return -1, err
	}
	defer p.end()
	at, err := p.walkAt(unix.AT_FDCWD, path, resolve{follow: true})
	if err == nil && p.disk.nodes[at.node].kind != fs.ModeDir {
		err = unix.ENOTDIR
	}
	if err != nil {
		return -1, err
	}
	return p.opened(at, false), nil
}

func (p *Process) OpenDirectory(dir int, name string) (int, error) {
	if err := p.begin(); err != nil {
		return -1, err
	}
	defer p.end()
	at, err := p.walkAt(dir, name, resolve{beneath: true})
	if err == nil {
		err = p.disk.mayOpenDirectory(at.node)
	}
	if err != nil {
		return -1, err
	}
	return p.opened(at, false), nil
}

// mayOpenDirectory is the end of an open with O_DIRECTORY and O_NOFOLLOW.
func (d *Disk) mayOpenDirectory(n int32) error {
	if d.nodes[n].kind != fs.ModeDir {
		return unix.ENOTDIR
	}
	return d.permit(n, mayRead)
}

func (p *Process) OpenUnnamed(dir int) (int, error) {
	if err := p.begin(); err != nil {
		return -1, err
	}
	defer p.end()
	at, err := p.walkAt(dir, ".", resolve{})
	if err == nil {
		err = p.disk.permit(at.node, mayWrite|mayExec)
	}
	switch {
	case err != nil:
	case p.disk.NoUnnamed:
		err = unix.EOPNOTSUPP
	case p.disk.Ext4 && p.disk.dead(at.node):
		err = unix.EPERM
	}
	if err != nil {
		return -1, err
	}
	n := p.disk.make(0, 0o600)
	p.disk.nodes[n].linkable = true
	return p.opened(place{n, at.mount}, true), nil
}

func (p *Process) CreateLock(dir int, name string) (int, error) {
	if err := p.begin(); err != nil {
		return -1, err
	}
	defer p.end()
	l, err := p.parentAt(dir, name)
	if err != nil {
		return -1, err
	}
	switch {
	case !l.ordinary():
		return -1, unix.EEXIST
	case l.slashes:
		return -1, unix.EISDIR
	}
	switch n, err := p.disk.exists(l); {
	case err != nil:
		return -1, err
	case n >= 0:
		return -1, unix.EEXIST
	}
	if err := p.disk.mayCreate(l.dir.node); err != nil {
		return -1, err
	}
	n := p.disk.make(0, 0o600)
	p.link(n, Name{l.dir.node, l.name})
	return p.opened(place{n, l.dir.mount}, true), nil
}

func (p *Process) OpenLock(dir int, name string) (int, error) {
	if err := p.begin(); err != nil {
		return -1, err
	}
	defer p.end()
	at, err := p.walkAt(dir, name, resolve{beneath: true})
	if err != nil {
		return -1, err
	}
	of := &p.disk.nodes[at.node]
	switch of.kind {
	case fs.ModeSymlink:
		return -1, unix.ELOOP
	case fs.ModeDir:
		return -1, unix.EISDIR
	}
	want := fs.FileMode(mayRead | mayWrite)
	if of.kind == 0 || !of.immutable {
		err = p.disk.permit(at.node, want)
	}
	if err != nil {
		return -1, err
	}
	if of.kind == fs.ModeSocket {
		return -1, unix.ENXIO
	}
	return p.opened(at, true), nil
}

func (p *Process) TakeLock(fd int) error { return p.lock(fd, true) }

// ShareLock takes the lock like TakeLock: who asks for it closes fd next.
func (p *Process) ShareLock(fd int) error { return p.lock(fd, false) }

func (p *Process) lock(fd int, writes bool) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
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
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	f, err := p.fd(fd)
	switch {
	case err != nil:
		return err
	case !f.writable:
		return unix.EBADF
	}
	of := &p.disk.nodes[f.node]
	switch {
	case of.kind != 0:
		return unix.ESPIPE
	case of.immutable && p.disk.Ext4:
		return unix.EPERM
	}
	if len(record) > len(of.data) {
		of.data = append(of.data[:0:0], record...)
	} else {
		of.data = append(append(of.data[:0:0], record...), of.data[len(record):]...)
	}
	return nil
}

func (p *Process) Stat(fd int) (kernel.Attributes, error) {
	if err := p.begin(); err != nil {
		return kernel.Attributes{}, err
	}
	defer p.end()
	f, err := p.fd(fd)
	if err != nil {
		return kernel.Attributes{}, err
	}
	return p.disk.attributes(f.place), nil
}

func (p *Process) StatName(dir int, name string) (kernel.Attributes, error) {
	if err := p.begin(); err != nil {
		return kernel.Attributes{}, err
	}
	defer p.end()
	at, err := p.walkAt(dir, name, resolve{})
	if err != nil {
		return kernel.Attributes{}, err
	}
	return p.disk.attributes(at), nil
}

// device is the device number of every node, and mount what leads to all of them.
const device, mount = 1, 1

// epoch is when everything was changed last: time stands still on the disk.
var epoch = time.Unix(0, 0)

func (d *Disk) attributes(at place) kernel.Attributes {
	of := &d.nodes[at.node]
	return kernel.Attributes{
		Device: device, Inode: uint64(of.number), Mount: mount, Links: uint32(of.links), Mode: of.kind, Permissions: of.perm,
		Bytes: int64(len(of.data)), Changed: epoch,
		UID:       uint32(os.Geteuid()), // every inode is this user's
		MountRoot: at.node == at.mount, Immutable: of.immutable,
	}
}

func (p *Process) List(fd int, entries []kernel.Entry) ([]kernel.Entry, error) {
	if err := p.begin(); err != nil {
		return entries, err
	}
	defer p.end()
	f, err := p.fd(fd)
	if err != nil {
		return entries, err
	}
	of := &p.disk.nodes[f.node]
	switch {
	case of.kind != fs.ModeDir:
		return entries, unix.ENOTDIR
	case p.disk.dead(f.node):
		return entries, unix.ENOENT
	}
	n := 0
	for _, e := range of.entries {
		if e.name <= f.position {
			continue
		}
		if p.disk.Batch > 0 && n == p.disk.Batch {
			break
		}
		n++
		entries = append(entries, kernel.Entry{Name: e.name, Type: p.disk.nodes[e.node].kind})
		f.position = e.name
	}
	return entries, nil
}

func (p *Process) SyncData(fd int) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	f, err := p.fd(fd)
	switch {
	case err != nil:
		return err
	case p.disk.nodes[f.node].kind&fs.ModeNamedPipe != 0:
		return unix.EINVAL
	}
	p.sync(f.node)
	return nil
}

func (p *Process) OpenToInspect(dir int, name string) (int, error) {
	if err := p.begin(); err != nil {
		return -1, err
	}
	defer p.end()
	at, err := p.openBeneath(dir, name)
	if err != nil {
		return -1, err
	}
	return p.opened(at, false), nil
}

func (p *Process) LockHolder(fd int) (kernel.Holder, error) {
	if err := p.begin(); err != nil {
		return kernel.Holder{}, err
	}
	defer p.end()
	f, err := p.fd(fd)
	if err != nil {
		return kernel.Holder{}, err
	}
	locker := p.disk.nodes[f.node].locker
	return kernel.Holder{Held: locker != nil && locker != f}, nil
}

func (p *Process) ReadOwner(fd int) ([]byte, error) {
	if err := p.begin(); err != nil {
		return nil, err
	}
	defer p.end()
	f, err := p.fd(fd)
	if err != nil {
		return nil, err
	}
	switch of := &p.disk.nodes[f.node]; of.kind {
	case 0:
		return append([]byte{}, of.data...), nil
	case fs.ModeDir:
		return nil, unix.EISDIR
	default:
		return nil, unix.ESPIPE
	}
}

// openBeneath is an open for reading that is confined to the directory.
func (p *Process) openBeneath(dir int, name string) (place, error) {
	at, err := p.walkAt(dir, name, resolve{beneath: true})
	if err != nil {
		return at, err
	}
	switch p.disk.nodes[at.node].kind {
	case fs.ModeSymlink:
		return at, unix.ELOOP
	case fs.ModeSocket:
		if err := p.disk.permit(at.node, mayRead); err != nil {
			return at, err
		}
		return at, unix.ENXIO
	}
	return at, p.disk.permit(at.node, mayRead)
}

func (p *Process) Close(fd int) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	f, err := p.fd(fd)
	if err != nil {
		return err
	}
	p.release(f)
	p.fds[fd-firstFd] = nil
	return nil
}
