package kernel

import (
	"bytes"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// resolve keeps a lookup inside the directory it starts from (rule 9).
const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// withoutOpenat2 is set once openat2 turned out to be missing (Linux before 5.6)
// or refused by a sandbox. A filter of system calls is never taken away again.
var withoutOpenat2 atomic.Bool

// lacksOpenat2 finds out. Sandboxes refuse with EPERM, EACCES or whatever they
// like, which can be answers about a file as well; but to unknown flags a kernel
// that has the call says EINVAL and nothing else.
func lacksOpenat2() bool {
	_, err := againFD(func() (int, error) { return unix.Openat2(-1, "", &unix.OpenHow{Resolve: 1 << 63}) })
	if err == unix.EINVAL {
		return false
	}
	withoutOpenat2.Store(true)
	return true
}

// openOr is openat2, or slower where there is none.
func openOr(dir int, path string, flags, resolve uint64, slower func(dir int, path string, flags int) (int, error)) (int, error) {
	flags |= unix.O_NOFOLLOW | unix.O_CLOEXEC
	if !withoutOpenat2.Load() {
		fd, err := againFD(func() (int, error) {
			return unix.Openat2(dir, path, &unix.OpenHow{Flags: flags, Resolve: resolve})
		})
		switch err {
		case nil, unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.EMFILE, unix.ENFILE:
			return fd, err // about the name, or about this process
		}
		if !lacksOpenat2() {
			return fd, err
		}
	}
	return slower(dir, path, int(flags))
}

// openBeneath opens one name below dir without following links or crossing mounts.
func openBeneath(dir int, name string, flags uint64) (int, error) {
	return openOr(dir, name, flags, resolve, openLevels)
}

// openRoot opens the directory path. The error is ENOSYS if lookups cannot be
// kept on one mount there.
func openRoot(path string) (int, error) {
	return openOr(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0, func(dir int, path string, flags int) (int, error) {
		fd, err := againFD(func() (int, error) { return unix.Openat(dir, path, flags, 0) })
		if err != nil {
			return -1, err
		}
		if _, err := mountID(fd); err != nil {
			unix.Close(fd)
			return -1, err
		}
		return fd, nil
	})
}

// openLevels is openBeneath without openat2.
func openLevels(dir int, path string, flags int) (int, error) {
	at := dir
	for {
		name, rest, more := strings.Cut(path, "/")
		if name == ".." || name == "" && more {
			return -1, unix.EXDEV
		}
		levelFlags := flags
		if more {
			levelFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		fd, err := openLevel(at, name, levelFlags)
		if at != dir {
			unix.Close(at)
		}
		if err != nil || !more {
			return fd, err
		}
		at, path = fd, rest
	}
}

// openLevel opens one name, which may be ".". What is opened must be on the mount
// of dir, which is found out before and after: before, because opening what lies
// across a mount may have effects or wait for ever; after, because the name may
// lead elsewhere by then. Mounts are compared by their numbers. Devices say
// nothing: a bind mount has the device of its directory.
func openLevel(dir int, name string, flags int) (int, error) {
	mount, err := mountID(dir)
	if err != nil {
		return -1, err
	}
	open := func(flags int) (int, error) {
		fd, err := againFD(func() (int, error) { return unix.Openat(dir, name, flags, 0) })
		if err != nil {
			return -1, err
		}
		at, err := mountID(fd)
		if err == nil && at != mount {
			err = unix.EXDEV
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		return fd, nil
	}
	// Without O_DIRECTORY, which would make a mount on demand.
	path, err := open(unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(path)
	return open(flags)
}

// mountID returns the number of the mount that fd was opened on. The error is
// ENOSYS where nothing tells: openat2 is what is missing then.
func mountID(fd int) (uint64, error) {
	var s unix.Statx_t
	// The mount is known without asking the file system, whose server may be dead.
	const flags = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC
	err := Again(func() error { return unix.Statx(fd, "", flags, unix.STATX_MNT_ID, &s) })
	// Linux 5.8. No mount that has a path has number 0: that is an emulator, such as
	// qemu-user before 8, which passes the mask on and not the number.
	if err == nil && s.Mask&unix.STATX_MNT_ID != 0 && s.Mnt_id != 0 {
		return s.Mnt_id, nil
	}
	id := 0
	err = Again(func() (err error) {
		_, id, err = unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
		return err
	})
	if err == nil {
		return uint64(id), nil
	}
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if _, line, found := bytes.Cut(info, []byte("mnt_id:")); err == nil && found {
		text, _, _ := bytes.Cut(line, []byte("\n"))
		if id, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err == nil {
			return id, nil
		}
	}
	return 0, unix.ENOSYS
}

func (linuxKernel) ChangeMode(dir int, name string, mode fs.FileMode) error {
	// O_PATH needs no permission on the directory itself, and everything below
	// reaches exactly what it opened, whatever has the name by then. By name, a
	// symbolic link could be put there, and something outside be changed.
	open := openBeneath
	if dir == unix.AT_FDCWD {
		open = func(dir int, path string, flags uint64) (int, error) {
			return unix.Openat(dir, path, int(flags)|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		}
	}
	fd, err := againFD(func() (int, error) { return open(dir, name, unix.O_PATH|unix.O_DIRECTORY) })
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	bits := permissionBits(mode)
	for _, change := range []func() error{
		func() error { return unix.Fchmodat(fd, "", bits, unix.AT_EMPTY_PATH) },     // Linux 6.6
		func() error { return unix.Fchmodat(unix.AT_FDCWD, procPath(fd), bits, 0) }, // with /proc
		func() error { return unix.Fchmodat(fd, ".", bits, 0) },                     // with permission to search it
		func() error { return chmodReadable(fd, dir, name, bits) },                  // with permission to read it
	} {
		if err = Again(change); err == nil {
			return nil
		}
	}
	return err
}

// chmodReadable changes the mode of the directory name through a descriptor for
// reading, if that is the directory of fd.
func chmodReadable(fd, dir int, name string, bits uint32) error {
	readable, err := againFD(func() (int, error) {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	defer unix.Close(readable)
	want, _ := attributes(fd, "", unix.AT_EMPTY_PATH)
	got, _ := attributes(readable, "", unix.AT_EMPTY_PATH)
	if got.Links == 0 || !got.Same(want) {
		return unix.ENOENT // what had the name is elsewhere, or nobody can tell
	}
	return Again(func() error { return unix.Fchmod(readable, bits) })
}

// Detach works in the directory dir: umount2 takes a path, and there may be no
// /proc to make one from dir. A thread has a working directory of its own for
// that, and ends with it.
func (linuxKernel) Detach(dir int, name string) error {
	return OnThread(func() error {
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil && dir != unix.AT_FDCWD {
			err = unix.Fchdir(dir)
		}
		if err == nil {
			err = Again(func() error { return unix.Unmount(name, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) })
		}
		return err
	})
}

// OnThread runs do on a thread that ends with it. That is never the first thread: the
// Go runtime keeps it for ever, and what others see of the process, such as its
// working directory, is that thread's.
func OnThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			err := OnThread(do) // on another one, while this is held
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- do() // and never unlocked
	}()
	return <-done
}

// permissionBits are the bits of chmod for a mode, and permissions the reverse.
func permissionBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for bit, flag := range specialBits {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

func permissions(bits uint32) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for bit, flag := range specialBits {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

var specialBits = map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky}
