package stress

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
)

// A scratch is the directory that a stage works in. If the parent is killed it
// stays behind.
type scratch struct {
	path       string
	root       string // the root directory, in path
	fileSystem string
}

// openScratch makes the scratch directory, with an empty root that the library
// can open.
func openScratch(c Config) (*scratch, error) {
	path, err := os.MkdirTemp(c.Dir, "afterlock-verify-")
	if err != nil {
		return nil, environment(err)
	}
	s := &scratch{path: path, root: filepath.Join(path, "root")}
	root, err := tempdir.Open(s.root, tempdir.Make(0o700))
	if err == nil {
		err = root.Close()
	}
	if err == nil {
		s.fileSystem, err = FileSystem(path)
	}
	if err != nil {
		return nil, s.remove(environment(err))
	}
	return s, nil
}

// remove removes the scratch directory. It returns err, or its own error.
func (s *scratch) remove(err error) error {
	if failed := os.RemoveAll(s.path); failed != nil && err == nil {
		return environment(failed)
	}
	return err
}

// FileSystem names the type of the file system of path as mount(8) does, or
// gives its number. statfs.
func FileSystem(path string) (string, error) {
	var info unix.Statfs_t
	if err := unix.Statfs(path, &info); err != nil {
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

// environment marks an error of the preparations as one that says nothing about
// the library. The context's errors and errors.ErrUnsupported stay what they are.
func environment(err error) error {
	for _, other := range []error{context.Canceled, context.DeadlineExceeded, errors.ErrUnsupported} {
		if errors.Is(err, other) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrEnvironment, err)
}
