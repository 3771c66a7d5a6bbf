package layerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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

// Where the kernel says what it is.
const (
	bootFile   = "/proc/sys/kernel/random/boot_id"
	mountsFile = "/proc/self/mountinfo"
)

// kernelText reads one of these files; "" where there is no /proc, or none for
// this user. Any other failure is not of those that last: who took it for "" would
// not see the mounts of others.
func kernelText(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), bareErrno(err)
}

// checkMounts refuses layers at or below which the kernel has something mounted,
// or which an overlay uses, in this mount namespace. It is made before the store
// lock is taken. A mount that comes later, or that another namespace has, is met
// by the removal, which does not cross it and leaves it to recovery.
//
// A table that cannot be read now refuses as well; where there is none, the counts
// have to do.
func (s *Store) checkMounts(op string, layers []record) error {
	if len(layers) == 0 {
		return nil
	}
	table, err := kernelText(mountsFile)
	if err != nil {
		return &Error{Op: op, Layer: layers[0].ID, Path: mountsFile, Effect: NoEffect, Err: err}
	}
	// The path of a part that is a directory of layers, to the layer.
	owners := map[string]*record{}
	for i := range layers {
		r := &layers[i]
		for _, part := range r.driver().Parts(r.placed()) {
			owners[filepath.Join(s.graphOf(r).path, part)] = r
		}
	}
	used := func(path string) *record {
		for ; len(path) > 1; path = filepath.Dir(path) {
			if r := owners[path]; r != nil {
				return r
			}
		}
		return nil
	}
	for line := range strings.Lines(table) {
		for _, path := range mountPaths(line) {
			if r := used(path); r != nil {
				return &Error{Op: op, Layer: r.ID, Path: path, Effect: NoEffect, Kind: ErrMounted, Err: fmt.Errorf("by the kernel's table")}
			}
		}
	}
	return nil
}

// mountPaths returns the mount point of a line of mountinfo and, of an overlay,
// the absolute paths that it is made of. See proc_pid_mountinfo(5).
func mountPaths(line string) []string {
	before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
	fields := strings.Fields(before)
	if !ok || len(fields) < 5 {
		return nil
	}
	paths := []string{unescape(fields[4])}
	if last := strings.Fields(after); len(last) >= 3 && last[0] == "overlay" {
		for _, option := range strings.Split(last[2], ",") {
			name, value, _ := strings.Cut(option, "=")
			switch name {
			case "lowerdir", "upperdir", "workdir", "lowerdir+", "datadir+":
				for _, path := range strings.Split(unescape(value), ":") {
					if filepath.IsAbs(path) {
						paths = append(paths, filepath.Clean(path))
					}
				}
			}
		}
	}
	return paths
}

// unescape undoes the octal escapes of mountinfo: blank, tab, newline, backslash.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#").Replace(text)
}

// device returns the device of the file system that path is on.
func device(path string) uint64 {
	var s unix.Stat_t
	if unix.Stat(path, &s) != nil {
		return 0
	}
	return s.Dev
}
