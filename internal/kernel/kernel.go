// Package kernel is the seam: every system call of tempdir, one method a call,
// and those of the layer store's own files; and a hook around each of them, for
// what records traces, schedules, injects failures and stops at crash points.
//
// It is internal because only checks put another kernel in the place of the
// running one, and each new call would break whoever did so outside.
package kernel

import (
	"io/fs"
	"time"
)

// A Kernel makes the system calls of the protocol, one method a call. The
// methods carry the names of the spec's actions, so a method's name is also
// the name of a crash point and of an event in a trace.
//
// The default is the running kernel; [With] puts another in its place:
// a recorder, a scheduler, a fault injector or a file system in memory. A
// Kernel that wraps another can embed it and override single methods.
//
// Descriptors are small integers that mean something only to the Kernel that
// returned them. Methods return bare errnos ([golang.org/x/sys/unix.Errno]);
// the callers add operation and path. A name is one path element below the
// directory dir, or, where the parameter is called entry, "temp-dir-<id>/<n>-<hint>"
// below root. A Kernel must be safe for concurrent use. Where the calls named
// here are missing, others do the same, slower; see "Systems" in the package
// documentation.
type Kernel interface {
	// OpenRoot opens the directory path, which must not be a symbolic link.
	// ordered reports that the file system makes renames durable before any
	// later unlink, so that [Kernel.SyncData] is not needed (rule 11).
	// The error is ENOSYS where lookups cannot be kept on one mount: without
	// openat2 and numbers of mounts. openat2, fstatfs.
	OpenRoot(path string) (root int, ordered bool, err error)

	// OpenParent opens the directory path, links followed, to reach names in it;
	// it needs no permission to read it. openat with O_PATH.
	OpenParent(path string) (dir int, err error)

	// OpenUnnamed creates a file without a name in root's file system.
	// openat with O_TMPFILE.
	OpenUnnamed(root int) (fd int, err error)
	// CreateLock creates name, which must not exist: the fallback where
	// OpenUnnamed is not supported. openat with O_CREAT and O_EXCL.
	CreateLock(root int, name string) (fd int, err error)
	// OpenLock opens name, which must exist and be neither a symbolic link nor a
	// mount point: EXDEV (rule 3: no O_CREAT; rule 9). openat2.
	OpenLock(root int, name string) (fd int, err error)
	// TakeLock takes the exclusive lock of fd's open file description; EAGAIN
	// means that another open file description has it. fcntl with F_OFD_SETLK.
	TakeLock(fd int) error
	// WriteOwner writes the owner record. pwrite.
	WriteOwner(fd int, record []byte) error
	// LinkLock gives the unnamed file fd the name name; EEXIST means that
	// somebody else has it. linkat.
	LinkLock(fd, root int, name string) error
	// Stat describes the inode that fd holds. statx.
	Stat(fd int) (Attributes, error)
	// StatName describes the inode that name refers to now, and does not
	// follow a symbolic link. It is the recheck of rule 2. statx.
	StatName(dir int, name string) (Attributes, error)
	// RemoveLock unlinks the lock file name. unlinkat.
	RemoveLock(root int, name string) error

	// MakeData creates the data directory name. mkdirat.
	MakeData(root int, name string) error
	// StageDeletion renames the path victim to entry, never over an existing name.
	// renameat2 with RENAME_NOREPLACE; where that is refused, renameat, which
	// replaces a file, or an empty directory, that has the name.
	StageDeletion(victim string, root int, entry string) error
	// Commit renames entry to the path destination, never over an existing
	// name. renameat2 with RENAME_NOREPLACE.
	Commit(root int, entry, destination string) error
	// SyncData makes the entries of dir durable. fsync.
	SyncData(dir int) error
	// SyncAll makes everything on dir's file system durable. syncfs.
	SyncAll(dir int) error
	// RemoveData removes the empty data directory name. unlinkat.
	RemoveData(root int, name string) error

	// OpenDirectory opens the directory name and refuses symbolic links and
	// mount points, same-device bind mounts included (rule 9). openat2.
	OpenDirectory(dir int, name string) (fd int, err error)
	// List appends the next entries of the directory fd to entries; it
	// appends none at the end. "." and ".." are left out. getdents64.
	List(fd int, entries []Entry) ([]Entry, error)
	// RemoveEntry unlinks name, which is not a directory. unlinkat.
	RemoveEntry(dir int, name string) error
	// RemoveDirectory removes the empty directory name. unlinkat.
	RemoveDirectory(dir int, name string) error
	// Hoist renames the directory name to hoisted in the directory data, as
	// StageDeletion does: how a deep tree is removed with few descriptors.
	Hoist(dir int, name string, data int, hoisted string) error
	// ChangeMode gives the directory name the mode, with the bits of
	// [Attributes.Permissions], and follows no symbolic link. dir may be
	// unix.AT_FDCWD and name a path; links and mounts are crossed up to its last
	// element then. It needs no /proc. openat2 with O_PATH, fchmodat2, close.
	ChangeMode(dir int, name string, mode fs.FileMode) error
	// ClearFlags clears the immutable and the append-only flag of name, and of the
	// root of a subvolume of btrfs that it is read-only, and returns which of them it
	// had, for SetFlags. openat2, ioctl for a subvolume, ioctl, ioctl, close.
	ClearFlags(dir int, name string) (cleared int, err error)
	// SetFlags sets flags that ClearFlags returned. openat2, ioctl for a subvolume,
	// ioctl, ioctl, close.
	SetFlags(dir int, name string, flags int) error
	// Detach takes the mount at name away from the mount namespace, with
	// everything that is mounted below it; what was mounted is not touched.
	// It needs no /proc. unshare and fchdir of a thread, umount2 with MNT_DETACH
	// and UMOUNT_NOFOLLOW.
	Detach(dir int, name string) error

	// CommitPlainly is Commit where RENAME_NOREPLACE is not supported: it
	// replaces a file, or an empty directory, that has the name. renameat.
	CommitPlainly(root int, entry, destination string) error
	// LinkEntry gives entry, which is not a directory, the path destination too,
	// never over an existing name. linkat.
	LinkEntry(root int, entry, destination string) error

	// OpenToInspect opens the lock file name for reading. It takes no lock and
	// is no part of the protocol; but closing what it opened is a lock operation
	// (rule 15). openat2.
	OpenToInspect(root int, name string) (fd int, err error)
	// LockHolder says whether another open file description than fd's, or a
	// process by POSIX, has a lock on the file. fcntl with F_OFD_GETLK.
	LockHolder(fd int) (Holder, error)
	// ShareLock takes a shared lock of fd's open file description, which may be
	// open for reading only; EAGAIN means that somebody has an exclusive one. With
	// it fd can be closed without taking a lock of this process away (rule 15).
	// fcntl with F_OFD_SETLK.
	ShareLock(fd int) error
	// ReadOwner reads the first bytes of the file: an owner record, or anything.
	// pread.
	ReadOwner(fd int) ([]byte, error)

	// Close closes fd; if fd held a lock, the lock is free afterwards. close.
	Close(fd int) error

	// Owns returns EPERM or EACCES if the caller may not do with the directory name
	// what its owner may: it is another user's, and the caller is not root, or root
	// of a user name space in which that user has no id. It changes nothing. openat2
	// with O_NOATIME, close.
	Owns(dir int, name string) error
}

// MaxRecord bounds an owner record in bytes, when written and when read.
const MaxRecord = 1024

// Attributes are what the protocol asks of an inode.
type Attributes struct {
	Device      uint64      // with Inode, the identity of the inode while it is held open
	Inode       uint64      // reused once the inode has no name and no descriptor (rule 7)
	Mount       uint64      // by which the inode was reached; 0: not known (Linux before 5.8)
	Links       uint32      // 0: the inode has no name
	UID         uint32      // the owner
	Mode        fs.FileMode // type bits only
	Permissions fs.FileMode // permission, set-id and sticky bits only
	Bytes       int64       // allocated on disk
	Changed     time.Time   // the newer of modification and status change
	MountRoot   bool        // a mount point, in the caller's mount namespace
	Immutable   bool        // the immutable or the append-only flag is set

	// The kernel or the file system does not say: the field above is false, and
	// that means nothing (rule 14).
	MountUnknown bool // MountRoot
	FlagsUnknown bool // Immutable
}

// Same reports whether a and b are one inode. It is meaningful only while one
// of them is held by a descriptor.
func (a Attributes) Same(b Attributes) bool {
	return a.Device == b.Device && a.Inode == b.Inode
}

// MayHaveFlags reports whether flags of the inode may have to be cleared, and can
// be: a device is not even opened for that, which could have effects of its own.
func (a Attributes) MayHaveFlags() bool {
	subvolume := a.Inode == subvolumeRoot && a.Mode == fs.ModeDir
	return (a.Immutable || a.FlagsUnknown || subvolume) && (a.Mode == 0 || a.Mode == fs.ModeDir)
}

// subvolumeRoot is the number of the root of every subvolume of btrfs, and of nothing
// else there.
const subvolumeRoot = 256

// An Entry is one name that [Kernel.List] found.
type Entry struct {
	Name string
	// Type holds the type bits, or [fs.ModeIrregular] where the file system
	// does not say.
	Type  fs.FileMode
	Inode uint64 // its number; 0: not known. For the order in which names are removed alone.
}

// A Holder is who has a lock, as [Kernel.LockHolder] sees it.
type Holder struct {
	Held bool
	PID  int // of a POSIX lock (upstream), in the caller's pid namespace; else 0
}
