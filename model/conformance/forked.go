//go:build linux

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// A forked runs a process as an operating system process of its own, because
// upstream's locks belong to one: this program once more, with upstream's code
// in it. It says on a pipe what it stands before, and waits for the answer. It is
// killed by SIGKILL. What it has open is seen in /proc.
type forked struct {
	rechecks bool
	where    Where
	present  *proc.Process // nil: it has ended
}

// A job is what a forked process is told first.
type job struct {
	Root     string
	Homes    [itemCount]string
	Files    int
	Creator  bool
	Rechecks bool
}

// A turn lets it go on: to its next operation, or into the call that it stands
// before.
type turn struct {
	Order order
	Errno unix.Errno `json:",omitempty"` // how the call fails
	Free  bool       `json:",omitempty"` // do not stop before calls
}

// turn is that of the process, and the next one is another.
func (p *process) turn() turn {
	t := turn{p.order, p.grant.Errno, p.free}
	p.grant.Errno, p.order.Op = 0, none
	return t
}

func (f *forked) start(p *process) (stop, error) {
	f.present = proc.New(forkedRole)
	f.present.Env = append(f.present.Env, "GOMAXPROCS=1")
	attr := &syscall.SysProcAttr{Cloneflags: f.where.cloneflags()}
	if attr.Cloneflags != 0 && os.Geteuid() != 0 { // who may have such a name space in a user name space only
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	}
	f.present.SysProcAttr = attr
	if err := f.present.Start(); err != nil {
		f.present = nil
		return stop{}, environmentError{err}
	}
	p.pid = f.present.Process.Pid
	if err := f.present.Send(p.job(f.rechecks)); err != nil {
		return stop{}, environmentError{err}
	}
	return f.halted(p)
}

// job is what upstream's code is told that runs the process.
func (p *process) job(rechecks bool) job {
	return job{Root: p.world.rootPath(0), Homes: p.world.homes, Files: p.world.files, Creator: p.creator, Rechecks: rechecks}
}

func (f *forked) resume(p *process) (stop, error) {
	if f.present == nil {
		return stop{}, fmt.Errorf("%s has ended", p.name)
	}
	if err := f.present.Send(p.turn()); err != nil {
		return stop{}, fmt.Errorf("%s does not listen: %w", p.name, err)
	}
	return f.halted(p)
}

// halted waits until the process stands, and looks at what it has open.
func (f *forked) halted(p *process) (at stop, err error) {
	if err := f.present.Receive(&at); err != nil {
		gone := f.present
		f.kill(p)
		return at, fmt.Errorf("%s ends: %w: %s", p.name, err, gone.Said())
	}
	return at, p.look()
}

// look finds the lock file that an operating system process has open.
func (p *process) look() error {
	p.lock = -1
	dir := fmt.Sprintf("/proc/%d/fd", p.pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	prefix := filepath.Join(p.world.rootPath(0), lockPrefix)
	for _, fd := range fds {
		path := dir + "/" + fd.Name()
		target, err := os.Readlink(path)
		if err != nil || !strings.HasPrefix(target, prefix) {
			continue
		}
		if p.lock >= 0 {
			return fmt.Errorf("%s has two lock files open", p.name)
		}
		var stat unix.Stat_t
		if err := unix.Stat(path, &stat); err != nil {
			return &os.PathError{Op: "stat", Path: path, Err: err}
		}
		if p.lock, err = strconv.Atoi(fd.Name()); err != nil {
			return err
		}
		p.inode = stat.Ino
		p.named = strings.TrimSuffix(filepath.Base(target), " (deleted)")
	}
	return nil
}

// kill sends SIGKILL, and waits until the kernel has closed what it had open.
func (f *forked) kill(p *process) {
	if f.present == nil {
		return
	}
	f.present.Kill()
	f.present, p.lock, p.pid = nil, -1, 0
}

// finish lets a forked process go on to where it has nothing open, so that it
// can be used again. It reports false if that cannot be: it is stuck, or gone.
func (p *process) finish() bool {
	p.free = true
	defer func() { p.free = false }()
	for range 10 { // Create, Close and what was cut off between them
		if p.at.Place == atIdle {
			return p.lock < 0
		}
		p.order, p.grant = order{}, grant{}
		if p.at.Place == atLive {
			p.order.Op = opClose
		}
		if p.resume() != nil {
			return false
		}
	}
	return false
}
