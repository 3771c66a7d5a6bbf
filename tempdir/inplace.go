//go:build linux

package tempdir

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// Remove removes name, which is directly in the root and none of an instance's,
// where it is: for what cannot be staged, because the disk is full or because it
// lies behind another mount. Open a Root on its directory for that.
//
// It takes the same care as [Dir.Close] (rule 9), and what it leaves is reported
// the same way, as a [*LeftoverError]; but there is no lock, no entry and nobody
// to finish after a crash. Excluding others, and finishing, is for the caller.
//
// Errors match [ErrVictimGone], [ErrForeign] (name is an instance's),
// [ErrLeftover] or [ErrClosed].
func (r *Root) Remove(ctx context.Context, name string) error {
	const op = "remove"
	if name == "" || name == "." || name == ".." || strings.ContainsRune(name, '/') {
		return &Error{Op: op, Path: name, Err: unix.EINVAL}
	}
	if _, _, ok := parseName(name, true); ok {
		return &Error{Op: op, Path: r.join(name), Kind: ErrForeign}
	}
	if err := r.acquire(op); err != nil {
		return err
	}
	defer r.release()
	a, err := r.kernel.StatName(r.fd, name)
	if err == nil && a.Mode == fs.ModeDir {
		found, err := r.removeTree(ctx, op, name)
		if err == nil && !found {
			return &Error{Op: op, Path: r.join(name), Kind: ErrVictimGone, Err: unix.ENOENT}
		}
		return err
	}
	if err == nil {
		err = r.kernel.RemoveEntry(r.fd, name)
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return &Error{Op: op, Path: r.join(name), Kind: ErrVictimGone, Err: err}
	case err != nil:
		v := &removal{root: r, kernel: r.kernel, op: op, name: name}
		return v.explain(-1, name, err)
	}
	return nil
}
