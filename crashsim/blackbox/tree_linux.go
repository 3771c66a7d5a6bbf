//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// A tree is what is in a directory, in the byte order of the paths.
type (
	tree world.Tree
	node = world.Node
)

// capture observes the directory.
func capture(path string) (tree, error) {
	t, err := world.Look(path)
	return tree(t), err
}

// build makes the tree in the directory path, which must exist.
func (t tree) build(path string) error {
	if len(t) == 0 {
		return nil
	}
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(dir)
	for _, n := range t {
		switch n.Kind {
		case 'd':
			err = unix.Mkdirat(dir, n.Path, 0o700)
		case 'l':
			err = unix.Symlinkat(n.Content, dir, n.Path)
		default:
			var fd int
			fd, err = unix.Openat(dir, n.Path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
			if err == nil {
				if n.Content != "" {
					_, err = unix.Write(fd, []byte(n.Content))
				}
				unix.Close(fd)
			}
		}
		if err != nil {
			return &fs.PathError{Op: "build", Path: path + "/" + n.Path, Err: err}
		}
	}
	return nil
}

// raze removes the tree, as it was captured, from the directory path.
func (t tree) raze(path string) error {
	if len(t) == 0 {
		return nil
	}
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(dir)
	for _, n := range slices.Backward(t) {
		flags := 0
		if n.Kind == 'd' {
			flags = unix.AT_REMOVEDIR
		}
		if err := unix.Unlinkat(dir, n.Path, flags); err != nil {
			return &fs.PathError{Op: "raze", Path: path + "/" + n.Path, Err: err}
		}
	}
	return nil
}

// difference returns what only t has, and what only other has. A node that
// changed is in both.
func (t tree) difference(other tree) (gone, fresh tree) {
	for len(t) > 0 || len(other) > 0 {
		switch {
		case len(other) == 0 || len(t) > 0 && t[0].Path < other[0].Path:
			gone, t = append(gone, t[0]), t[1:]
		case len(t) == 0 || other[0].Path < t[0].Path:
			fresh, other = append(fresh, other[0]), other[1:]
		default:
			if t[0] != other[0] {
				gone, fresh = append(gone, t[0]), append(fresh, other[0])
			}
			t, other = t[1:], other[1:]
		}
	}
	return gone, fresh
}

// below returns what is below the directory, with paths below it. ok reports
// whether the directory exists, as a directory.
func (t tree) below(dir string) (inner tree, ok bool) {
	below, ok := world.Tree(t).Below(dir)
	return tree(below), ok
}

// text is the tree as a text, the same for two trees that differ only in the ids
// of their instances and in what the lock files say about their owners or, of a
// layer store, in names and times that are drawn anew each time.
func (t tree) text() string {
	var lines []string
	instances := make(map[string]string) // by directory and id: all its lines
	for _, n := range t {
		dir, id, rest, ok := splitInstance(n.Path)
		if !ok {
			lines = append(lines, fmt.Sprintf("%s %c %q", n.Path, n.Kind, canonical(&n)))
			continue
		}
		if !strings.HasPrefix(rest, "temp-dir-") {
			n.Content = ""
		}
		instances[dir+"\x00"+id] += fmt.Sprintf("%s%s %c %q;", dir, rest, n.Kind, n.Content)
	}
	for _, line := range instances {
		lines = append(lines, line)
	}
	if slices.ContainsFunc(t, func(n node) bool { return n.Path == storeDir }) {
		for i := range lines {
			lines[i] = forget(lines[i])
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// splitInstance takes the id out of a path of an instance: rest is the path
// below dir without it.
func splitInstance(path string) (dir, id, rest string, ok bool) {
	for _, prefix := range []string{"lock-", "temp-dir-"} {
		at := strings.Index("/"+path, "/"+prefix)
		if at < 0 {
			continue
		}
		dir = path[:at]
		id, rest, _ = strings.Cut(path[at+len(prefix):], "/")
		return dir, id, prefix + "/" + rest, true
	}
	return "", "", "", false
}
