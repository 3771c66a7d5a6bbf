package scratch

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// FileSystem names the type of the file system of path as mount(8) does, or
// gives its number. statfs.
func FileSystem(path string) (string, error) {
	var info unix.Statfs_t
	err := unix.Statfs(path, &info)
	for err == unix.EINTR { // by a server in user space
		err = unix.Statfs(path, &info)
	}
	if err != nil {
		return "", &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	names := map[uint32]string{
		unix.EXT4_SUPER_MAGIC:      "ext4",
		unix.XFS_SUPER_MAGIC:       "xfs",
		unix.BTRFS_SUPER_MAGIC:     "btrfs",
		unix.TMPFS_MAGIC:           "tmpfs",
		unix.RAMFS_MAGIC:           "ramfs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlay",
		unix.F2FS_SUPER_MAGIC:      "f2fs",
		unix.FUSE_SUPER_MAGIC:      "fuse",
		unix.NFS_SUPER_MAGIC:       "nfs",
		unix.V9FS_MAGIC:            "9p",
		0x2fc12fc1:                 "zfs",
		0xca451a4e:                 "bcachefs",
	}
	if name, ok := names[uint32(info.Type)]; ok {
		return name, nil
	}
	return fmt.Sprintf("file system %#x", uint32(info.Type)), nil
}

// Mine reports whether nobody else can have put the directory there.
func Mine(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && int(stat.Uid) == os.Geteuid()
}
