package layerstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// Mount counts one more mount of the layer, durably, and returns the directory of
// its files: what to mount, or to use as it is. A layer that is mounted cannot be
// deleted. Counts are those of one boot: mounts do not outlive it.
//
// The mounting itself is the caller's; a process that dies leaves its count, as
// it may leave its mounts, and somebody has to call [Store.Unmount] for it.
func (s *Store) Mount(ctx context.Context, id string) (path string, err error) {
	err = s.update(ctx, "mount", id, func(r *record) (err error) {
		if path, err = s.filesOf(r); err != nil {
			return err
		}
		r.Mounts = s.mounts(r) + 1
		r.Boot = s.boot
		return nil
	})
	if err != nil {
		return "", err
	}
	return path, nil
}

// Unmount counts one mount less. A layer that is not mounted is an [ErrNotMounted].
func (s *Store) Unmount(ctx context.Context, id string) error {
	const op = "unmount"
	return s.update(ctx, op, id, func(r *record) error {
		count := s.mounts(r)
		if count == 0 {
			return &Error{Op: op, Layer: id, Effect: NoEffect, Kind: ErrNotMounted}
		}
		if r.Mounts, r.Boot = count-1, s.boot; r.Mounts == 0 {
			r.Boot = ""
		}
		return nil
	})
}

// mounts returns how often the layer is mounted in this boot, or in one that
// nobody can tell from it.
func (s *Store) mounts(r *record) int {
	if r.Boot != s.boot && r.Boot != "" && s.boot != "" {
		return 0
	}
	return r.Mounts
}

// bootFile is where the kernel says which boot this is.
const bootFile = "/proc/sys/kernel/random/boot_id"

// kernelText reads a file of /proc; "" where there is no /proc, or none for this
// user. Any other failure is not of those that last: taken for "", it would hide
// the mounts of others.
func kernelText(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENOTDIR) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), kernel.BareErrno(err)
}

// oneDevice reports whether two paths are on file systems of one device; known is
// false if that cannot be found out.
func oneDevice(a, b string) (same, known bool) {
	var s, t unix.Stat_t
	if unix.Stat(a, &s) != nil || unix.Stat(b, &t) != nil {
		return false, false
	}
	return s.Dev == t.Dev, true
}
