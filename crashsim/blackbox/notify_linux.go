//go:build amd64 || arm64

package blackbox

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The structures of seccomp_unotify(2), which package unix has no types for.

// notification is struct seccomp_notif.
type notification struct {
	id    uint64
	pid   uint32 // of the thread
	flags uint32
	data  struct {
		number    int32
		arch      uint32
		address   uint64
		arguments [6]uint64
	}
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// Requests that package unix does not name, made like SECCOMP_IOCTL_NOTIF_SEND:
// _IOW('!', number, uint64).
const (
	iocWrite8 = 1<<30 | 8<<16 | uint32(unix.SECCOMP_IOC_MAGIC)<<8

	requestValid    = iocWrite8 | 2 // SECCOMP_IOCTL_NOTIF_ID_VALID
	requestSetFlags = iocWrite8 | 4 // SECCOMP_IOCTL_NOTIF_SET_FLAGS
)

func ioctl(fd int, request uint32, argument unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(argument))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

// receive waits for a stop. ENOENT: the thread died meanwhile.
func receive(listener int) (n notification, err error) {
	err = ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
	return n, err
}

// send answers a stop. ENOENT: the thread is dead.
func send(listener int, r response) error {
	return ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
}

// valid reports whether the stop still waits for its answer, so that what was
// read from its thread was not read from another that got the same number.
func valid(listener int, id uint64) bool {
	return ioctl(listener, requestValid, unsafe.Pointer(&id)) == nil
}

// wakeOnSameCPU asks the kernel to switch between a stop and its supervisor
// without a detour over another processor. Kernels before 6.6 do not know it.
func wakeOnSameCPU(listener int) {
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), uintptr(requestSetFlags), unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
}
