//go:build linux

package disk

import (
	"strings"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A Process is one process on the disk: a [kernel.Kernel] with descriptors of
// its own. Its working directory is "/".
type Process struct {
	disk   *Disk
	number int
	fds    []*description // nil: free
}

// A description is an open file description. There is no dup and no fork here,
// so each belongs to one descriptor.
type description struct {
	node     int32
	process  int
	position string // the last name listed
	writable bool
}

// firstFd leaves room for the descriptors that every process has.
const firstFd = 3

var _ kernel.Kernel = (*Process)(nil)

// Process starts a process.
func (d *Disk) Process() *Process {
	p := &Process{disk: d, number: len(d.processes)}
	d.processes = append(d.processes, p)
	return p
}

// Number counts the processes of the disk from 0.
func (p *Process) Number() int { return p.number }

// Kill ends the process: its descriptors are closed and its locks freed. It is a
// new one afterwards.
func (p *Process) Kill() { p.Restart(0) }

// Restart makes the process a new one, with the lowest keep of its descriptors.
func (p *Process) Restart(keep int) {
	for i := keep; i < len(p.fds); i++ {
		if p.fds[i] != nil {
			p.release(i)
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

// opened hands out the lowest free descriptor for a new description.
func (p *Process) opened(n int32, writable bool) int {
	f := &description{node: n, process: p.number, writable: writable}
	p.disk.nodes[n].open++
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

// release closes the i-th description.
func (p *Process) release(i int) {
	f := p.fds[i]
	of := &p.disk.nodes[f.node]
	if of.locker == f {
		of.locker = nil
	}
	of.open--
	p.disk.drop(f.node)
	p.fds[i] = nil
}

// walk returns the node at a path from the descriptor dir: names joined by
// slashes, or ".".
func (p *Process) walk(dir int, path string) (n int32, err error) {
	n = root
	if dir != unix.AT_FDCWD && !strings.HasPrefix(path, "/") {
		f, err := p.fd(dir)
		if err != nil {
			return -1, err
		}
		n = f.node
	}
	for name := range strings.SplitSeq(path, "/") {
		switch {
		case !p.disk.nodes[n].directory:
			return -1, unix.ENOTDIR
		case name == "" || name == ".":
			continue
		}
		if n = p.disk.find(n, name); n < 0 {
			return -1, unix.ENOENT
		}
	}
	return n, nil
}

// parent walks to the directory of the last name of a path.
func (p *Process) parent(dir int, path string) (at Name, err error) {
	above := "."
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		above, path = path[:i+1], path[i+1:]
	}
	at.Name = path
	at.Dir, err = p.walk(dir, above)
	if err == nil && !p.disk.nodes[at.Dir].directory {
		err = unix.ENOTDIR
	}
	return at, err
}

// taken is what has the name, or an error.
func (d *Disk) taken(at Name) (n int32, err error) {
	if n = d.find(at.Dir, at.Name); n < 0 {
		err = unix.ENOENT
	}
	return n, err
}

// vacant is an error unless the name can be made.
func (d *Disk) vacant(at Name) error {
	switch {
	case d.nodes[at.Dir].links == 0: // the directory was removed
		return unix.ENOENT
	case d.find(at.Dir, at.Name) >= 0:
		return unix.EEXIST
	}
	return nil
}
