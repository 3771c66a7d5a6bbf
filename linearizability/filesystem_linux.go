package linearizability

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fileSystemOf names the type of the file system of path as mount(8) does, or
// gives its number.
func fileSystemOf(path string) (string, error) {
	var info unix.Statfs_t
	if err := unix.Statfs(path, &info); err != nil {
		return "", &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	switch uint32(info.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", nil
	case unix.XFS_SUPER_MAGIC:
		return "xfs", nil
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", nil
	case unix.TMPFS_MAGIC:
		return "tmpfs", nil
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay", nil
	}
	return fmt.Sprintf("file system %#x", uint32(info.Type)), nil
}
