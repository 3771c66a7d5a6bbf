package upstream

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// removeData removes the data directory of id with the calls of os.RemoveAll:
// unlink and rmdir by path first, then a walk through descriptors. The walk
// follows a tree that somebody renames out of the instance, and goes on
// removing it there.
func (r *Root) removeData(id string) error {
	path := r.dataPath(id)
	err := r.do("OpenDirectory", path, func() error { return unix.Unlinkat(unix.AT_FDCWD, path, 0) })
	if err == nil || err == unix.ENOENT {
		_ = unix.Unlinkat(unix.AT_FDCWD, path, unix.AT_REMOVEDIR)
		return nil
	}
	err = r.do("RemoveData", path, func() error { return unix.Unlinkat(unix.AT_FDCWD, path, unix.AT_REMOVEDIR) })
	if err == nil || err == unix.ENOENT {
		return nil
	}
	root, err := r.open("", r.path, func() (int, error) {
		return unix.Open(r.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return &fs.PathError{Op: "open", Path: r.path, Err: err}
	}
	err = r.removeFrom(root, path, 0)
	r.close("", r.path, root)
	return err
}

// enter and leave are the actions of opening and of removing a directory at a
// depth: the data directory itself, an entry, and what is below.
func enter(depth int) string {
	if depth == 1 {
		return "OpenEntry"
	}
	return ""
}

func leave(depth int) string {
	if depth == 0 {
		return "RemoveData"
	}
	return "RemoveEntry"
}

// removeFrom removes path, whose last element is in the directory parent, entry
// by entry. The first unlinkat tells files from directories.
func (r *Root) removeFrom(parent int, path string, depth int) error {
	name := filepath.Base(path)
	first := leave(depth)
	if depth < 2 {
		first = "" // a directory in every use of this fixture, so this is a look
	}
	err := r.do(first, path, func() error { return unix.Unlinkat(parent, name, 0) })
	if err == nil || err == unix.ENOENT {
		return nil
	}
	if err != unix.EISDIR && err != unix.EPERM && err != unix.EACCES {
		return &fs.PathError{Op: "unlinkat", Path: path, Err: err}
	}
	for {
		again, err := r.empty(parent, path, depth)
		if err != nil {
			return err
		}
		if !again {
			break
		}
	}
	err = r.do(leave(depth), path, func() error { return unix.Unlinkat(parent, name, unix.AT_REMOVEDIR) })
	if err == nil || err == unix.ENOENT {
		return nil
	}
	return &fs.PathError{Op: "unlinkat", Path: path, Err: err}
}

// batch is how many names os.RemoveAll removes before it lists again.
const batch = 1024

// empty removes what is in the directory at path. It reports true if there may
// be more.
func (r *Root) empty(parent int, path string, depth int) (again bool, err error) {
	fd, err := r.open(enter(depth), path, func() (int, error) {
		return unix.Openat(parent, filepath.Base(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err == unix.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "openat", Path: path, Err: err}
	}
	defer func() { r.close("", path, fd) }()
	names, err := r.readNames(fd, "", path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // removed by somebody else meanwhile
	}
	if err != nil {
		return false, err
	}
	for i, name := range names {
		if i == batch {
			return true, nil
		}
		if failed := r.removeFrom(fd, filepath.Join(path, name), depth+1); failed != nil && err == nil {
			err = failed
		}
	}
	return false, err
}
