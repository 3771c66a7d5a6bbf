//go:build linux

package tempdir

import (
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
)

// Closing any descriptor of a file drops all POSIX locks that the process has on
// it (rule 15). Upstream's owners hold such locks, and one may live in this very
// process: another copy of containers/storage. A descriptor of a lock file that
// such an owner holds is therefore parked: kept open until that lock is gone.
//
// This is the one thing that is process-wide here, because POSIX locks are. It
// holds at most one descriptor for each lock file, except after a race.
//
// Without MixedFleet nothing of upstream's is opened: its decimal ids are foreign
// names, and [Root.TryLock] is for names that only this package locks.
var parked struct {
	sync.Mutex
	files []parkedFile
}

type parkedFile struct {
	kernel kernel.Kernel
	fd     int
	file   kernel.Attributes // whose inode cannot be reused: fd holds it
}

// letGo closes the descriptor of a lock file whose lock this process does not
// hold by it; or parks it, if this process holds that lock otherwise, or nobody
// can say.
func (r *Root) letGo(fd int) {
	if r.options.mixed {
		file, statErr := r.kernel.Stat(fd) // looked at again by withParked if this fails
		holder, err := r.kernel.LockHolder(fd)
		// A lock on a file without a name guards nothing.
		if (err != nil || holder.PID == os.Getpid()) && (statErr != nil || file.Links > 0) {
			parked.Lock()
			defer parked.Unlock()
			sweep()
			parked.files = append(parked.files, parkedFile{r.kernel, fd, file})
			return
		}
	}
	r.kernel.Close(fd)
}

// sweep closes the parked descriptors whose files nobody holds any more. It does
// so with a lock on them, so that no POSIX lock of this process can be there.
func sweep() {
	parked.files = slices.DeleteFunc(parked.files, func(p parkedFile) bool {
		switch p.kernel.ShareLock(p.fd) {
		case nil:
		case unix.EBADF:
			return true // somebody has closed what is not theirs; the number may be another file's soon
		default:
			return false
		}
		p.kernel.Close(p.fd)
		return true
	})
}

// sweepParked is sweep, for operations that look at many lock files.
func (r *Root) sweepParked() {
	if r.options.mixed {
		parked.Lock()
		defer parked.Unlock()
		sweep()
	}
}

// withParked calls look with the parked descriptor of the file called name, if
// there is one.
func (r *Root) withParked(name string, look func(k kernel.Kernel, fd int)) bool {
	if !r.options.mixed {
		return false
	}
	parked.Lock()
	defer parked.Unlock()
	if len(parked.files) == 0 {
		return false
	}
	file, err := r.kernel.StatName(r.fd, name)
	if err != nil {
		return false // opening it will say the same
	}
	i := -1
	for n := range parked.files {
		p := &parked.files[n]
		if p.file.Inode == 0 {
			p.file, _ = p.kernel.Stat(p.fd)
		}
		if p.file.Same(file) {
			i = n
		}
	}
	if i >= 0 {
		look(parked.files[i].kernel, parked.files[i].fd)
	}
	return i >= 0
}

// heldHere reports whether this process holds the lock of the lock file by POSIX,
// as far as a parked descriptor tells: then the file must not be opened again.
func (r *Root) heldHere(name string) (held bool, err error) {
	r.withParked(name, func(k kernel.Kernel, fd int) {
		var holder kernel.Holder
		holder, err = k.LockHolder(fd)
		held = holder.PID == os.Getpid()
	})
	return held, err
}
