package upstream

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// A lock is a lock file that this process has open, and holds the lock of; of
// whatever file the name led to when it was opened.
type lock struct {
	path string
	fd   int
}

// tryLock opens the lock file of id by name, makes it if it is gone, and takes
// its lock (spec: UpstreamOpenLock, UpstreamTakeLock, and UpstreamStatName if it
// rechecks). The table excludes goroutines, the POSIX lock processes.
func (r *Root) tryLock(id string, recheck bool) (*lock, error) {
	path := r.lockPath(id)
	if !r.options.Process.enter(path) {
		return nil, ErrTaken
	}
	l, err := r.openLocked(path, recheck)
	if err != nil {
		r.options.Process.forget(path)
	}
	return l, err
}

func (p *Process) enter(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[path] {
		return false
	}
	if p.held == nil {
		p.held = make(map[string]bool)
	}
	p.held[path] = true
	return true
}

func (p *Process) forget(path string) {
	p.mu.Lock()
	delete(p.held, path)
	p.mu.Unlock()
}

func (r *Root) openLocked(path string, recheck bool) (*lock, error) {
	fd, err := r.open("UpstreamOpenLock", path, func() (int, error) {
		return unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = r.do("UpstreamTakeLock", path, func() error {
		return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	})
	if err != nil {
		err = ErrTaken // whatever it was
	} else if recheck && !r.isNamed(fd, path) {
		err = ErrTaken
	}
	if err != nil {
		r.close("Close", path, fd)
		return nil, err
	}
	return &lock{path, fd}, nil
}

// isNamed is the repair: does the name lead to the file that fd holds?
func (r *Root) isNamed(fd int, path string) bool {
	var held, named unix.Stat_t
	if r.do("UpstreamStatName", path, func() error { return unix.Fstat(fd, &held) }) != nil {
		return false
	}
	if r.do("", path, func() error { return unix.Fstatat(unix.AT_FDCWD, path, &named, unix.AT_SYMLINK_NOFOLLOW) }) != nil {
		return false
	}
	return held.Dev == named.Dev && held.Ino == named.Ino
}

// unlockAndDelete unlinks the lock file, whatever the name leads to by now, and
// closes it (spec: UpstreamRemoveLock, Close).
func (r *Root) unlockAndDelete(l *lock) error {
	err := r.do("UpstreamRemoveLock", l.path, func() error { return unix.Unlinkat(unix.AT_FDCWD, l.path, 0) })
	r.close("Close", l.path, l.fd)
	r.options.Process.forget(l.path)
	if err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "unlink", Path: l.path, Err: err}
	}
	return nil
}
