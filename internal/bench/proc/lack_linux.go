package proc

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Lack is what a kernel, a sandbox or a user does not have.
type Lack struct {
	// Calls are the system calls that are refused, each with its errno. A key is
	// a call's name or number; "renameat2 4&1" refuses it only where argument 4
	// (they count from 0) has all bits of 1, "fcntl 1=37" where argument 1 is 37.
	Calls map[string]syscall.Errno
	// Proc hides /proc behind an empty directory.
	Proc bool
	// User is who is running, user and group; 0 is who runs the process.
	User int
	// Hidden are attributes that statx does not tell, neither as set nor as known.
	Hidden uint64
}

// Keys of Lack.Calls whose numbers differ between processors.
var (
	Unnamed   = fmt.Sprintf("openat 2&%d", unix.O_TMPFILE)
	Create    = fmt.Sprintf("openat 2&%d", unix.O_CREAT)
	CreateNew = fmt.Sprintf("openat 2&%d", unix.O_CREAT|unix.O_EXCL)
	NoReplace = fmt.Sprintf("renameat2 4&%d", unix.RENAME_NOREPLACE)
	Exchange  = fmt.Sprintf("renameat2 4&%d", unix.RENAME_EXCHANGE)
	TakeLock  = fmt.Sprintf("fcntl 1=%d", unix.F_OFD_SETLK)
	GetLock   = fmt.Sprintf("fcntl 1=%d", unix.F_OFD_GETLK)
)

// Apply takes what l names from this process, for good. With Proc the process has
// to have a mount namespace of its own.
func (l Lack) Apply() error {
	if l.Proc {
		if err := unix.Mount("tmpfs", "/proc", "tmpfs", unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("hide /proc: %w", err)
		}
	}
	if l.User != 0 {
		for _, set := range []func() error{
			func() error { return syscall.Setgroups(nil) },
			func() error { return syscall.Setgid(l.User) },
			func() error { return syscall.Setuid(l.User) },
		} {
			if err := set(); err != nil {
				return fmt.Errorf("become user %d: %w", l.User, err)
			}
		}
		// A process that has changed its user is not dumpable, and /proc/self is
		// root's then: an ordinary user's process is, and reaches it.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("become dumpable: %w", err)
		}
	}
	program, err := l.filter()
	if err != nil || len(program) == 1 {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	head := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_TSYNC)
	if l.Hidden != 0 {
		flags |= unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&head)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if l.Hidden != 0 {
		go l.hide(listener)
	}
	return nil
}

// hide answers to statx in this process as a kernel does that does not know the hidden
// attributes. It makes the call itself, with a bit in the flags that the filter sees and
// the kernel does not, and takes the attributes out of the result.
func (l Lack) hide(listener uintptr) {
	type call struct {
		id       uint64
		_, _     uint32
		_        [16]byte
		argument [6]uint64
	}
	type answer struct {
		id           uint64
		value        int64
		errno, flags int32
	}
	for {
		var c call
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, listener, unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&c))); errno != 0 {
			if errno == unix.EINTR || errno == unix.ENOENT {
				continue
			}
			return
		}
		var s unix.Statx_t
		a := answer{id: c.id}
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(c.argument[0]), uintptr(c.argument[1]), uintptr(c.argument[2]|exempt<<32), uintptr(c.argument[3]), uintptr(unsafe.Pointer(&s)), 0)
		if a.errno = -int32(errno); errno == 0 {
			s.Attributes, s.Attributes_mask = s.Attributes&^l.Hidden, s.Attributes_mask&^l.Hidden
			local := unix.Iovec{Base: (*byte)(unsafe.Pointer(&s))}
			local.SetLen(int(unsafe.Sizeof(s)))
			remote := unix.RemoteIovec{Base: uintptr(c.argument[4]), Len: int(unsafe.Sizeof(s))}
			if _, err := unix.ProcessVMWritev(unix.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0); err != nil {
				a.errno = -int32(unix.EFAULT)
			}
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, listener, unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	}
}

// exempt is the high half of the flags of a statx that the filter lets pass.
const exempt = 1

// filter is the seccomp program, see seccomp(2).
func (l Lack) filter() (program []unix.SockFilter, err error) {
	const (
		load     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		and      = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
		equal    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		answer   = unix.BPF_RET | unix.BPF_K
		argument = 16 // where they begin in struct seccomp_data; the number is at 0
	)
	low := uint32(0) // where the low half of an argument is
	if probe := uint16(1); *(*byte)(unsafe.Pointer(&probe)) == 0 {
		low = 4
	}
	if l.Hidden != 0 {
		if unsafe.Sizeof(uintptr(0)) < 8 {
			return nil, fmt.Errorf("hide attributes of statx: %w", unix.ENOTSUP) // arguments have no high half
		}
		program = append(program,
			unix.SockFilter{Code: load}, unix.SockFilter{Code: equal, K: unix.SYS_STATX, Jf: 3},
			unix.SockFilter{Code: load, K: argument + 8*2 + 4 - low}, unix.SockFilter{Code: equal, K: exempt, Jt: 1},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	for _, key := range slices.Sorted(maps.Keys(l.Calls)) {
		var name string
		var at, mask, value uint32
		var operator rune
		if n, _ := fmt.Sscanf(key, "%s %d%c%v", &name, &at, &operator, &value); n != 1 && n != 4 {
			return nil, fmt.Errorf("not a call: %q", key)
		}
		number, ok := numbers[name]
		if !ok {
			_, err = fmt.Sscan(name, &number)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %q", ErrNoNumber, name)
		}
		refuse := []unix.SockFilter{{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(l.Calls[key])}}
		if operator != 0 {
			mask = value
			if operator == '=' {
				mask = ^uint32(0)
			}
			refuse = append([]unix.SockFilter{
				{Code: load, K: argument + 8*at + low}, {Code: and, K: mask}, {Code: equal, K: value, Jf: 1},
			}, refuse...)
		}
		program = append(program, unix.SockFilter{Code: load}, unix.SockFilter{Code: equal, K: number, Jf: uint8(len(refuse))})
		program = append(program, refuse...)
	}
	return append(program, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW}), nil
}

// ErrNoNumber is of a call that has no name here: a mistake of who lacks it.
var ErrNoNumber = errors.New("no number is known of the call")

// numbers are calls by name.
var numbers = map[string]uint32{
	"close": unix.SYS_CLOSE, "faccessat": unix.SYS_FACCESSAT, "fchdir": unix.SYS_FCHDIR, "fchmod": unix.SYS_FCHMOD, "fchmodat": unix.SYS_FCHMODAT,
	"fchmodat2": unix.SYS_FCHMODAT2, "fchownat": unix.SYS_FCHOWNAT,
	"fcntl": wide(221, 221, 4220, unix.SYS_FCNTL), "fstatfs": wide(269, 267, 4256, unix.SYS_FSTATFS),
	"fsync": unix.SYS_FSYNC, "getdents64": unix.SYS_GETDENTS64, "ioctl": unix.SYS_IOCTL, "linkat": unix.SYS_LINKAT,
	"listmount": unix.SYS_LISTMOUNT, "mkdirat": unix.SYS_MKDIRAT, "mount": unix.SYS_MOUNT,
	"name_to_handle_at": unix.SYS_NAME_TO_HANDLE_AT, "openat": unix.SYS_OPENAT, "openat2": unix.SYS_OPENAT2,
	"pwrite64": unix.SYS_PWRITE64, "readlinkat": unix.SYS_READLINKAT, "renameat2": unix.SYS_RENAMEAT2, "statmount": unix.SYS_STATMOUNT,
	"statx": unix.SYS_STATX, "symlinkat": unix.SYS_SYMLINKAT, "umount2": unix.SYS_UMOUNT2, "unlinkat": unix.SYS_UNLINKAT,
	"unshare": unix.SYS_UNSHARE, "utimensat": unix.SYS_UTIMENSAT, "write": unix.SYS_WRITE,
}

// wide is the number of a call with a variant of its own for 32-bit programs.
func wide(on386, onARM, onMIPS, otherwise uint32) uint32 {
	switch runtime.GOARCH {
	case "386":
		return on386
	case "arm":
		return onARM
	case "mips", "mipsle":
		return onMIPS
	}
	return otherwise
}
