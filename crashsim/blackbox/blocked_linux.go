//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// blocked reports whether the call that the process is stopped at would wait for
// a lock. All other processes are stopped too, so it would wait for ever.
func (s *supervisor) blocked(p *process) (bool, error) {
	c := &p.at.call
	if c.number != unix.SYS_FCNTL || uint32(c.arguments[1]) != unix.F_OFD_SETLKW {
		return false, nil
	}
	var lock unix.Flock_t
	size := int(unsafe.Sizeof(lock))
	local := []unix.Iovec{{Base: (*byte)(unsafe.Pointer(&lock))}}
	local[0].SetLen(size)
	if _, err := unix.ProcessVMReadv(p.at.tid, local, []unix.RemoteIovec{{Base: uintptr(c.arguments[2]), Len: size}}, 0); err != nil {
		return false, fmt.Errorf("%s: the lock that it wants: %w", p.name, err)
	}
	path := s.resolve(p.at).paths[0]
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock); err != nil {
		return false, &fs.PathError{Op: "look at the lock of", Path: path, Err: err}
	}
	return lock.Type != unix.F_UNLCK, nil
}
