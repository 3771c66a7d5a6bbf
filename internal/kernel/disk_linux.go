package kernel

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// LinuxDisk returns the Disk of the running kernel.
func LinuxDisk() Disk { return linuxDisk{} }

type linuxDisk struct{}

func open(path string, flags int, perm uint32) (fd int, err error) {
	err = Again(func() (err error) {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, perm)
		return err
	})
	return fd, err
}

func (linuxDisk) MakeDirectory(path string, perm uint32) error {
	return Again(func() error { return unix.Mkdir(path, perm) })
}

func (linuxDisk) Remove(path string) error {
	err := Again(func() error { return unix.Unlink(path) })
	if err == unix.EISDIR {
		err = Again(func() error { return unix.Rmdir(path) })
	}
	return err
}

func (linuxDisk) OpenLock(path string, create bool) (int, error) {
	flags := unix.O_RDWR
	if create {
		flags |= unix.O_CREAT
	}
	fd, err := open(path, flags, 0o600)
	if err == nil && create {
		var s unix.Stat_t
		if unix.Fstat(fd, &s) == nil && s.Size == 0 {
			overwriteInPlace(fd)
		}
	}
	return fd, err
}

func (linuxDisk) OpenLockToRead(path string) (int, error) {
	return open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
}

func (linuxDisk) ReadOnly(path string) (bool, error) {
	var s unix.Statfs_t
	err := Again(func() error { return unix.Statfs(path, &s) })
	return s.Flags&unix.ST_RDONLY != 0, err
}

func (linuxDisk) TakeLock(fd int, r ByteRange) error  { return lock(fd, unix.F_OFD_SETLK, r) }
func (linuxDisk) AwaitLock(fd int, r ByteRange) error { return lock(fd, unix.F_OFD_SETLKW, r) }

func (linuxDisk) TestLock(fd int, r ByteRange) (bool, error) {
	l := r.flock()
	err := Again(func() error { return unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, l) })
	return l.Type != unix.F_UNLCK, err
}

func lock(fd, command int, r ByteRange) error {
	return Again(func() error { return unix.FcntlFlock(uintptr(fd), command, r.flock()) })
}

func (r ByteRange) flock() *unix.Flock_t {
	l := &unix.Flock_t{Type: unix.F_RDLCK, Start: r.Offset, Len: 1}
	if r.Exclusive {
		l.Type = unix.F_WRLCK
	}
	return l
}

func (linuxDisk) Links(fd int) (uint64, error) {
	s, err := describe(fd)
	return uint64(s.Nlink), err
}

// describe describes the file; one that is mounted over the store's own is EXDEV,
// where the kernel tells (Linux 5.8).
func describe(fd int) (s unix.Statx_t, err error) {
	err = Again(func() error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_TYPE|unix.STATX_NLINK|unix.STATX_SIZE, &s)
	})
	if noStatx(err) {
		var old unix.Stat_t
		err = Again(func() error { return unix.Fstat(fd, &old) })
		s.Mode, s.Nlink, s.Size = uint16(old.Mode), uint32(old.Nlink), uint64(old.Size)
	}
	if err == nil && s.Attributes&s.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		err = unix.EXDEV
	}
	return s, err
}

// noStatx reports whether a failed statx is to be made again as a stat: by kernels
// before 4.11, and in sandboxes that do not know it. EACCES may be an answer about
// the path; then the stat says it, too.
func noStatx(err error) bool { return err == unix.ENOSYS || err == unix.EPERM || err == unix.EACCES }

func (linuxDisk) ReadToken(fd int) (t Token, err error) {
	err = Again(func() error {
		_, err := unix.Pread(fd, t[:], 0) // short: nobody saved yet
		return err
	})
	return t, err
}

func (linuxDisk) WriteToken(fd int, t Token) error {
	return Again(func() error {
		_, err := unix.Pwrite(fd, t[:], 0)
		return err
	})
}

func (linuxDisk) StatMetadata(path string) (Version, error) {
	var s unix.Statx_t
	err := Again(func() error {
		return unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_SIZE|unix.STATX_MTIME, &s)
	})
	if noStatx(err) {
		var old unix.Stat_t
		err = Again(func() error { return unix.Lstat(path, &old) })
		return Version{Inode: old.Ino, Size: old.Size, Changed: old.Mtim.Nano()}, err
	}
	return Version{Inode: s.Ino, Size: int64(s.Size), Changed: s.Mtime.Sec*1e9 + int64(s.Mtime.Nsec)}, err
}

// maxMetadata bounds what is read into memory, in bytes: a million layers.
const maxMetadata = 1 << 30

func (linuxDisk) ReadMetadata(path string) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var s unix.Stat_t
	if err := Again(func() error { return unix.Fstat(fd, &s) }); err != nil {
		return nil, err
	}
	if s.Size > maxMetadata {
		return nil, unix.EFBIG
	}
	data := make([]byte, s.Size)
	for done := 0; done < len(data); {
		n := 0
		err := Again(func() (err error) {
			n, err = unix.Pread(fd, data[done:], int64(done))
			return err
		})
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return data[:done], nil
		}
		done += n
	}
	return data, nil
}

func (d linuxDisk) WriteSpare(path string, data []byte) (int, error) {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return -1, err
	}
	s, err := describe(fd)
	switch {
	case err != nil:
	case s.Mode&unix.S_IFMT != unix.S_IFREG:
		err = unix.EINVAL
	case s.Nlink > 1: // a backup made of hard links has it too, and must keep what it says
		unix.Close(fd)
		if err := Again(func() error { return unix.Unlink(path) }); err != nil {
			return -1, err
		}
		return d.WriteSpare(path, data)
	case s.Size == 0:
		overwriteInPlace(fd)
	case s.Size > uint64(len(data)):
		data = append(bytes.Clone(data), bytes.Repeat([]byte{' '}, int(s.Size)-len(data))...)
	}
	for done := 0; err == nil && done < len(data); {
		n := 0
		err = Again(func() (err error) {
			n, err = unix.Pwrite(fd, data[done:], int64(done))
			return err
		})
		done += n
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// overwriteInPlace makes later writes over the empty file fd use the blocks that
// it has by then. btrfs takes new ones otherwise, which a full disk has not, and
// packs short files into its trees; the others do neither.
func overwriteInPlace(fd int) {
	var s unix.Statfs_t
	if unix.Fstatfs(fd, &s) != nil || uint32(s.Type) != unix.BTRFS_SUPER_MAGIC {
		return
	}
	const nocow = 0x00800000 // FS_NOCOW_FL in linux/fs.h
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err == nil && unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags|nocow)) == nil {
		unix.Ftruncate(fd, Block)
	}
}

func (linuxDisk) SyncSpare(fd int) error { return Again(func() error { return unix.Fsync(fd) }) }

func (linuxDisk) Replace(spare, path string) error {
	err := Again(func() error {
		return unix.Renameat2(unix.AT_FDCWD, spare, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	})
	if err == nil {
		return nil
	}
	var s unix.Stat_t
	if Again(func() error { return unix.Lstat(path, &s) }) == unix.ENOENT { // nothing there yet, whatever it said
		return Again(func() error { return unix.Rename(spare, path) })
	}
	return err
}

func (linuxDisk) Writable(path string) error {
	fd, err := open(path, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	s, err := describe(fd)
	if err == nil && s.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.EINVAL
	}
	return err
}

func (linuxDisk) SyncDirectory(path string) error {
	return WithDescriptor(path, func(fd int) error {
		err := unix.Fsync(fd)
		if err == unix.EINVAL {
			return nil // nothing to make durable on this file system
		}
		return err
	})
}

func (linuxDisk) SyncContent(path string) error { return WithDescriptor(path, unix.Syncfs) }

// WithDescriptor calls call with the directory. A link is followed, as by every path
// below it: an administrator may have moved the layers to another disk.
func WithDescriptor(path string, call func(fd int) error) (err error) {
	fd := -1
	err = Again(func() error {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return Again(func() error { return call(fd) })
}

func (linuxDisk) Close(fd int) error { return unix.Close(fd) }
