package compat

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/afterlock/afterlock/tempdir"
)

// clearFlags clears the flags that keep name from being removed, where a system has
// any; tests put one in its place that does something else.
var clearFlags = systemClearFlags

// removeTree removes the directory path with everything in it, entry by entry
// below open directories. It follows no link and stays on the file system of
// path; it goes on after failures, and the error is a [*tempdir.LeftoverError].
// A path that does not exist is success.
func removeTree(op, path string) error {
	v := &portableRemoval{left: tempdir.LeftoverError{Op: op, Path: path}}
	parent, err := os.OpenRoot(filepath.Dir(path))
	if err == nil {
		defer parent.Close()
		var info fs.FileInfo
		if info, err = parent.Lstat("."); err == nil {
			v.device = device(info)
			// Renames are durable before the first unlink, where a directory
			// can be synced; upstream does not try.
			data, _ := os.Open(path) // if that fails, what follows does
			_ = data.Sync()
			_ = data.Close()
			v.remove(parent, filepath.Base(path), path)
		}
	}
	v.fail(path, nil, err)
	if v.left.Failed > 0 {
		return &v.left
	}
	return nil
}

type portableRemoval struct {
	device  uint64 // of the root
	left    tempdir.LeftoverError
	removed int // names that are gone
}

// fail counts a name that cannot be removed. That it is gone is success.
func (v *portableRemoval) fail(path string, kind, err error) {
	if err == nil && kind == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	v.left.Failed++
	if len(v.left.Reasons) < 16 {
		v.left.Reasons = append(v.left.Reasons, failure(v.left.Op, path, kind, err))
	}
}

// remove removes name in dir; path is for errors.
func (v *portableRemoval) remove(dir *os.Root, name, path string) {
	before := v.left.Failed
	info, err := dir.Lstat(name)
	if err == nil && device(info) != v.device {
		v.fail(path, tempdir.ErrMountPoint, nil)
		return
	}
	if err == nil && info.IsDir() {
		v.empty(dir, name, path, info)
	}
	if v.left.Failed > before {
		return // it is not empty
	}
	if err == nil {
		err = dir.Remove(name)
	}
	if errors.Is(err, fs.ErrPermission) && clearFlags(dir, name, info) {
		err = dir.Remove(name)
	}
	if v.fail(path, nil, err); v.left.Failed == before {
		v.removed++
	}
}

// empty removes what is in the directory name, which is info. It lists again
// until nothing is left, or something cannot be removed.
func (v *portableRemoval) empty(dir *os.Root, name, path string, info fs.FileInfo) {
	clearFlags(dir, name, info)
	if info.Mode().Perm()&0o700 != 0o700 {
		_ = dir.Chmod(name, 0o700) // if that fails, what needs it will
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		v.fail(path, nil, err)
		return
	}
	defer sub.Close()
	if opened, err := sub.Lstat("."); err != nil || !os.SameFile(info, opened) {
		v.fail(path, tempdir.ErrForeign, err) // replaced since it was looked at
		return
	}
	for {
		left, removed := v.left, v.removed
		file, err := sub.Open(".")
		if err != nil {
			v.fail(path, nil, err)
			return
		}
		var entries []fs.DirEntry
		for err == nil {
			entries, err = file.ReadDir(1000)
			for _, entry := range entries {
				v.remove(sub, entry.Name(), filepath.Join(path, entry.Name()))
			}
		}
		file.Close()
		if err != io.EOF {
			v.fail(path, nil, err)
			return
		}
		if v.removed == removed {
			return
		}
		v.left = left // what cannot be removed is met again
	}
}
