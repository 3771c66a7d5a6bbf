//go:build linux

package conformance

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
)

// mountOrUnmount mounts an outside tree inside the data directory that the
// place is, or unmounts it. Only root may.
func (w *world) mountOrUnmount(x model.Item, to model.Place) error {
	if to == model.Home {
		return w.unmount(x)
	}
	for i := 1; i < idCount; i++ {
		if to == model.Inside(model.ID(i)) {
			at := filepath.Join(w.rootPath(0), dataPrefix+w.ids[i], "mounted-"+w.itemNames[x])
			if err := os.Mkdir(at, 0o700); err != nil {
				return err
			}
			if err := unix.Mount(w.home(x), at, "", unix.MS_BIND, ""); err != nil {
				return &os.PathError{Op: "mount", Path: at, Err: err}
			}
			w.trees[x].mount = at
			return nil
		}
	}
	return fmt.Errorf("%s is mounted nowhere", w.itemNames[x])
}

// unmount unmounts a tree, and removes the directory that it was mounted on.
func (w *world) unmount(x model.Item) error {
	at := w.trees[x].mount
	if err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW); err != nil {
		return &os.PathError{Op: "umount", Path: at, Err: err}
	}
	w.trees[x].mount = ""
	return os.Remove(at)
}

// isolate makes the directory a mount of its own whose mounts nobody else sees,
// and returns how to undo it.
func isolate(dir string) (undo func() error, err error) {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return nil, &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	undo = func() error {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return &os.PathError{Op: "umount", Path: dir, Err: err}
		}
		return nil
	}
	if err := unix.Mount("", dir, "", unix.MS_PRIVATE, ""); err != nil {
		_ = undo()
		return nil, &os.PathError{Op: "mount", Path: dir, Err: err}
	}
	return undo, nil
}
