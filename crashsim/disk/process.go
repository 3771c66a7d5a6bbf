//go:build linux

package disk

import (
	"io/fs"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A Process is one process on the disk: a [kernel.Kernel] with descriptors of
// its own. Its working directory is "/".
type Process struct {
	disk   *Disk
	number int
	dead   bool
	fds    []*description // nil: free
}

// A description is an open file description. There is no dup and no fork here,
// so each belongs to one descriptor.
type description struct {
	place
	id       uint64
	process  int
	position string // the last name listed
	writable bool
}

// firstFd leaves room for the descriptors that every process has.
const firstFd = 3

var _ kernel.Kernel = (*Process)(nil)

// Process starts a process.
func (d *Disk) Process() *Process {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &Process{disk: d, number: len(d.processes)}
	d.processes = append(d.processes, p)
	return p
}

// Number counts the processes of the disk from 0.
func (p *Process) Number() int { return p.number }

// Kill ends the process: its descriptors are closed and its locks freed. Calls
// that it makes afterwards change nothing and fail with ESRCH.
func (p *Process) Kill() {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	p.closeFrom(0)
	p.dead = true
}

// Restart makes a killed process a new one, without descriptors. One that is
// alive loses its descriptors but for the lowest keep.
func (p *Process) Restart(keep int) {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	p.closeFrom(keep)
	p.dead = false
}

func (p *Process) closeFrom(i int) {
	for ; i < len(p.fds); i++ {
		if p.fds[i] != nil {
			p.release(p.fds[i])
			p.fds[i] = nil
		}
	}
}

// Open is how many descriptors are open.
func (p *Process) Open() int {
	n := 0
	for _, f := range p.fds {
		if f != nil {
			n++
		}
	}
	return n
}

// begin starts a call.
func (p *Process) begin() error {
	p.disk.mu.Lock()
	if p.dead {
		p.disk.mu.Unlock()
		return unix.ESRCH
	}
	return nil
}

func (p *Process) end() { p.disk.mu.Unlock() }

// opened hands out the lowest free descriptor for a new description.
func (p *Process) opened(at place, writable bool) int {
	d := p.disk
	d.opened++
	f := &description{place: at, id: d.opened, process: p.number, writable: writable}
	d.nodes[at.node].open++
	for i := range p.fds {
		if p.fds[i] == nil {
			p.fds[i] = f
			return firstFd + i
		}
	}
	p.fds = append(p.fds, f)
	return firstFd + len(p.fds) - 1
}

// fd returns the description of a descriptor.
func (p *Process) fd(fd int) (*description, error) {
	if i := fd - firstFd; i >= 0 && i < len(p.fds) && p.fds[i] != nil {
		return p.fds[i], nil
	}
	return nil, unix.EBADF
}

// release closes a description.
func (p *Process) release(f *description) {
	of := &p.disk.nodes[f.node]
	if of.locker == f {
		of.locker = nil
	}
	of.open--
	p.disk.drop(f.node)
}

// start returns where a lookup from the descriptor dir begins. Like the kernel,
// it looks at the descriptor only if the path needs it.
func (p *Process) start(dir int, path string) (place, error) {
	switch {
	case path == "":
		return place{}, unix.ENOENT
	case len(path) >= maxPath:
		return place{}, unix.ENAMETOOLONG
	case dir == unix.AT_FDCWD || path[0] == '/':
		return p.disk.top(), nil
	}
	f, err := p.fd(dir)
	if err != nil {
		return place{}, err
	}
	if p.disk.nodes[f.node].kind != fs.ModeDir {
		return place{}, unix.ENOTDIR
	}
	return f.place, nil
}

// parentAt resolves path from the descriptor dir up to its last element.
func (p *Process) parentAt(dir int, path string) (last, error) {
	start, err := p.start(dir, path)
	if err != nil {
		return last{}, err
	}
	return p.disk.parent(start, path, resolve{})
}

// walkAt resolves path from the descriptor dir.
func (p *Process) walkAt(dir int, path string, how resolve) (place, error) {
	start, err := p.start(dir, path)
	if err != nil {
		return place{}, err
	}
	return p.disk.walk(start, path, how)
}
