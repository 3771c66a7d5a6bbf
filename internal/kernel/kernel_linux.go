package kernel

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linuxKernel is the default [Kernel]: the running kernel.
//
// Every call is repeated after EINTR. Where the first try may have taken effect
// (link, mkdir, rename on a network file system), the second says EEXIST or
// ENOENT, and the callers treat those as what they are everywhere: not ours.
type linuxKernel struct{}

// Linux returns the default [Kernel], for others to wrap.
func Linux() Kernel { return linuxKernel{} }

// Again repeats a call that a signal cut off.
func Again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// againFD is Again for calls that return a descriptor.
func againFD(call func() (int, error)) (int, error) {
	for {
		if fd, err := call(); err != unix.EINTR {
			return fd, err
		}
	}
}

func (linuxKernel) OpenRoot(path string) (root int, ordered bool, err error) {
	root, err = openRoot(path)
	if err != nil {
		return -1, false, err
	}
	var info unix.Statfs_t
	if Again(func() error { return unix.Fstatfs(root, &info) }) != nil {
		return root, false, nil // refused, by a sandbox say: not known to be ordered
	}
	return root, ordersRenames(uint32(info.Type)), nil // 32 bits, signed on some architectures
}

// ordersRenames reports whether file systems of the type make renames durable before
// any later unlink.
func ordersRenames(magic uint32) bool {
	switch magic {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return true
	}
	return false
}

func (linuxKernel) OpenParent(path string) (int, error) {
	return againFD(func() (int, error) {
		return unix.Openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
}

func (linuxKernel) OpenUnnamed(root int) (int, error) {
	return againFD(func() (int, error) {
		return unix.Openat(root, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	})
}

func (linuxKernel) CreateLock(root int, name string) (int, error) {
	return againFD(func() (int, error) {
		return unix.Openat(root, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	})
}

func (linuxKernel) OpenLock(root int, name string) (int, error) {
	return openBeneath(root, name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY)
}

func (linuxKernel) TakeLock(fd int) error {
	return Again(func() error {
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	})
}

func (linuxKernel) WriteOwner(fd int, record []byte) error {
	return Again(func() error {
		_, err := unix.Pwrite(fd, record, 0)
		return err
	})
}

func (linuxKernel) LinkLock(fd, root int, name string) error {
	err := Again(func() error {
		return unix.Linkat(unix.AT_FDCWD, procPath(fd), root, name, unix.AT_SYMLINK_FOLLOW)
	})
	if err != nil && err != unix.EEXIST {
		// No /proc here, or no permission to use it, or something else, which this
		// would meet again. It needs CAP_DAC_READ_SEARCH before Linux 6.10, so its
		// own refusal says little.
		other := Again(func() error { return unix.Linkat(fd, "", root, name, unix.AT_EMPTY_PATH) })
		if other == nil || other == unix.EEXIST {
			err = other
		}
	}
	return err
}

// procPath is the path by which calls that take no descriptor reach fd.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

func (linuxKernel) Stat(fd int) (Attributes, error) {
	return attributes(fd, "", unix.AT_EMPTY_PATH)
}

func (linuxKernel) StatName(dir int, name string) (Attributes, error) {
	return attributes(dir, name, unix.AT_SYMLINK_NOFOLLOW)
}

// attributes is statx, or fstatat where there is none (Linux before 4.11) or a
// sandbox refuses it.
func attributes(dir int, name string, flags int) (Attributes, error) {
	var s unix.Statx_t
	err := Again(func() error {
		return unix.Statx(dir, name, flags|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &s)
	})
	if noStatx(err) {
		return olderAttributes(dir, name, flags)
	}
	if err != nil {
		return Attributes{}, err
	}
	return described(&s), nil
}

// described is what statx says; what its masks do not have is not known.
func described(s *unix.Statx_t) Attributes {
	changed := time.Unix(s.Mtime.Sec, int64(s.Mtime.Nsec))
	if ctime := time.Unix(s.Ctime.Sec, int64(s.Ctime.Nsec)); ctime.After(changed) {
		changed = ctime
	}
	mount := s.Mnt_id
	if s.Mask&unix.STATX_MNT_ID == 0 { // it is told without being asked for
		mount = 0
	}
	return Attributes{
		Device:       unix.Mkdev(s.Dev_major, s.Dev_minor),
		Inode:        s.Ino,
		Mount:        mount,
		Links:        s.Nlink,
		UID:          s.Uid,
		Mode:         typeOf(uint32(s.Mode) & unix.S_IFMT >> 12),
		Permissions:  permissions(uint32(s.Mode)),
		Bytes:        int64(s.Blocks) * 512,
		Changed:      changed,
		MountRoot:    s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
		MountUnknown: s.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0,
		Immutable:    s.Attributes&guards != 0,
		FlagsUnknown: s.Attributes_mask&guards != guards,
	}
}

func olderAttributes(dir int, name string, flags int) (Attributes, error) {
	var s unix.Stat_t
	if err := Again(func() error { return unix.Fstatat(dir, name, &s, flags|unix.AT_NO_AUTOMOUNT) }); err != nil {
		return Attributes{}, err
	}
	changed := time.Unix(s.Mtim.Unix())
	if ctime := time.Unix(s.Ctim.Unix()); ctime.After(changed) {
		changed = ctime
	}
	return Attributes{
		Device:       uint64(s.Dev),
		Inode:        uint64(s.Ino),
		Links:        uint32(s.Nlink),
		UID:          s.Uid,
		Mode:         typeOf(s.Mode & unix.S_IFMT >> 12),
		Permissions:  permissions(s.Mode),
		Bytes:        int64(s.Blocks) * 512,
		Changed:      changed,
		MountUnknown: true,
		FlagsUnknown: true,
	}, nil
}

// typeOf translates DT_* numbers, which are the S_IF* numbers shifted.
func typeOf(dt uint32) fs.FileMode {
	switch dt {
	case unix.DT_REG:
		return 0
	case unix.DT_DIR:
		return fs.ModeDir
	case unix.DT_LNK:
		return fs.ModeSymlink
	case unix.DT_FIFO:
		return fs.ModeNamedPipe
	case unix.DT_SOCK:
		return fs.ModeSocket
	case unix.DT_CHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.DT_BLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular
}

func (linuxKernel) RemoveLock(root int, name string) error {
	return Again(func() error { return unix.Unlinkat(root, name, 0) })
}

func (linuxKernel) MakeData(root int, name string) error {
	return Again(func() error { return unix.Mkdirat(root, name, 0o700) })
}

func (linuxKernel) StageDeletion(victim string, root int, entry string) error {
	return moveIn(unix.AT_FDCWD, victim, root, entry)
}

// moveIn renames to a name in our own locked data directory that was never used.
// Where RENAME_NOREPLACE is refused (by file systems with EINVAL or EOPNOTSUPP, by
// a sandbox or an old kernel with ENOSYS or EPERM), a plain rename can at worst replace a file or
// an empty directory there, which is to be removed anyway.
func moveIn(from int, name string, to int, entry string) error {
	err := Again(func() error { return unix.Renameat2(from, name, to, entry, unix.RENAME_NOREPLACE) })
	switch err {
	case unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS, unix.EPERM:
	default:
		return err
	}
	err = Again(func() error { return unix.Renameat(from, name, to, entry) })
	switch err {
	case unix.ENOTEMPTY, unix.ENOTDIR, unix.EISDIR:
		if _, there := attributes(to, entry, unix.AT_SYMLINK_NOFOLLOW); there == nil {
			return unix.EEXIST
		}
	}
	return err
}

func (linuxKernel) Commit(root int, entry, destination string) error {
	return Again(func() error {
		return unix.Renameat2(root, entry, unix.AT_FDCWD, destination, unix.RENAME_NOREPLACE)
	})
}

func (linuxKernel) SyncData(dir int) error {
	return Again(func() error { return unix.Fsync(dir) })
}

func (linuxKernel) SyncAll(dir int) error {
	return Again(func() error { return unix.Syncfs(dir) })
}

func (linuxKernel) RemoveData(root int, name string) error {
	return Again(func() error { return unix.Unlinkat(root, name, unix.AT_REMOVEDIR) })
}

func (linuxKernel) OpenDirectory(dir int, name string) (int, error) {
	return openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
}

// listBytes is how much of a directory one getdents64 reads.
const listBytes = 16 << 10

func (linuxKernel) List(fd int, entries []Entry) ([]Entry, error) {
	var buf [listBytes]byte
	for {
		n := 0
		err := Again(func() (err error) {
			n, err = unix.Getdents(fd, buf[:])
			return err
		})
		if err != nil || n <= 0 {
			return entries, err
		}
		before := len(entries)
		entries = appendEntries(entries, buf[:n])
		if len(entries) > before {
			return entries, nil
		}
		// Only "." and "..": an empty result would say that this is the end.
	}
}

// appendEntries decodes struct linux_dirent64, see getdents64(2).
func appendEntries(entries []Entry, buf []byte) []Entry {
	const (
		lengthAt = unsafe.Offsetof(unix.Dirent{}.Reclen)
		typeAt   = unsafe.Offsetof(unix.Dirent{}.Type)
		inodeAt  = unsafe.Offsetof(unix.Dirent{}.Ino)
		nameAt   = unsafe.Offsetof(unix.Dirent{}.Name)
	)
	text := string(buf) // of which the names are parts: one allocation for all
	for len(buf) > int(nameAt) {
		length := int(binary.NativeEndian.Uint16(buf[lengthAt:]))
		name, _, _ := strings.Cut(text[nameAt:length], "\x00")
		if name != "." && name != ".." {
			entries = append(entries, Entry{
				Name:  name,
				Type:  typeOf(uint32(buf[typeAt])),
				Inode: binary.NativeEndian.Uint64(buf[inodeAt:]),
			})
		}
		buf, text = buf[length:], text[length:]
	}
	return entries
}

func (linuxKernel) RemoveEntry(dir int, name string) error {
	return Again(func() error { return unix.Unlinkat(dir, name, 0) })
}

func (linuxKernel) RemoveDirectory(dir int, name string) error {
	return Again(func() error { return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR) })
}

func (linuxKernel) Hoist(dir int, name string, data int, hoisted string) error {
	return moveIn(dir, name, data, hoisted)
}

// guards are the flags that keep a name from being removed. They have the same
// numbers in FS_IOC_GETFLAGS and in statx.
const guards = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND

// sealed is the flag of a subvolume of btrfs that is read-only, and none of guards.
const sealed = 2

func (linuxKernel) ClearFlags(dir int, name string) (cleared int, err error) {
	err = changeFlags(dir, name, func(flags uint32) uint32 {
		cleared |= int(flags & (guards | sealed))
		return flags &^ (guards | sealed)
	})
	return cleared, err
}

func (linuxKernel) SetFlags(dir int, name string, flags int) error {
	return changeFlags(dir, name, func(old uint32) uint32 { return old | uint32(flags)&(guards|sealed) })
}

// The calls for the flags of a subvolume of btrfs, which have a u64; the highest bits, which
// say in which direction, are not the same on all machines. Anything else answers EINVAL
// or ENOTTY.
const (
	subvolumeGet = unix.FS_IOC_GETFLAGS&^(1<<29-1) | 8<<16 | 0x94<<8 | 25
	subvolumeSet = unix.FS_IOC_SETFLAGS&^(1<<29-1) | 8<<16 | 0x94<<8 | 26
)

func subvolume(fd int, call uint, flags uint64) (uint64, error) {
	err := Again(func() error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(call), uintptr(unsafe.Pointer(&flags))); errno != 0 {
			return errno
		}
		return nil
	})
	return flags, err
}

func changeFlags(dir int, name string, change func(uint32) uint32) error {
	fd, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	before, _ := subvolume(fd, subvolumeGet, 0) // nothing, if it is none
	after := before&^sealed | uint64(change(uint32(before&sealed)))&sealed
	if after < before { // first: nothing else can be changed before
		if _, err := subvolume(fd, subvolumeSet, after); err != nil {
			return err
		}
	}
	var flags uint32
	err = Again(func() (err error) {
		flags, err = unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
		return err
	})
	if err != nil {
		return err
	}
	if changed := change(flags)&^sealed | flags&sealed; changed != flags {
		err = Again(func() error { return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(changed)) })
	}
	if err == nil && after > before {
		_, err = subvolume(fd, subvolumeSet, after)
	}
	return err
}

func (linuxKernel) CommitPlainly(root int, entry, destination string) error {
	return Again(func() error { return unix.Renameat(root, entry, unix.AT_FDCWD, destination) })
}

func (linuxKernel) LinkEntry(root int, entry, destination string) error {
	return Again(func() error { return unix.Linkat(root, entry, unix.AT_FDCWD, destination, 0) })
}

func (linuxKernel) OpenToInspect(root int, name string) (int, error) {
	return openBeneath(root, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
}

func (linuxKernel) LockHolder(fd int) (Holder, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := Again(func() error { return unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock) }); err != nil {
		return Holder{}, err
	}
	// -1: an open file description has it. 0: a process of another pid namespace.
	return Holder{Held: lock.Type != unix.F_UNLCK, PID: int(max(lock.Pid, 0))}, nil
}

func (linuxKernel) ShareLock(fd int) error {
	return Again(func() error {
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	})
}

func (linuxKernel) ReadOwner(fd int) ([]byte, error) {
	record := make([]byte, MaxRecord)
	n := 0
	err := Again(func() (err error) {
		n, err = unix.Pread(fd, record, 0)
		return err
	})
	return record[:max(n, 0)], err
}

// Close is not repeated after EINTR: Linux has closed the descriptor by then.
func (linuxKernel) Close(fd int) error { return unix.Close(fd) }

// Owns: only an owner, and who has its rights, may read without leaving a time. A stat
// does not tell: where an owner has no id, it shows that of nobody.
func (linuxKernel) Owns(dir int, name string) error {
	fd, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOATIME)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// BareErrno strips the operation and path that package os adds.
func BareErrno(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
