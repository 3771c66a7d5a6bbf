//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A node is one name in a tree.
type node struct {
	path    string // below the tree's directory
	kind    byte   // 'd' directory, 'f' file, 'l' symbolic link, '?' anything else
	content string // of a file, or where a link leads
}

// A tree is what is in a directory, in the byte order of the paths, so that a
// directory comes before what is in it.
type tree []node

// capture reads the tree below path.
func capture(path string) (t tree, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	t, err = appendTree(nil, fd, "", make([]byte, maxFile))
	slices.SortFunc(t, func(a, b node) int { return strings.Compare(a.path, b.path) })
	return t, err
}

// maxFile bounds the files of scenes, in bytes.
const maxFile = 32 << 10

// appendTree appends what is in the directory fd, and closes it.
func appendTree(t tree, fd int, prefix string, buf []byte) (tree, error) {
	defer unix.Close(fd)
	var names []string
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil {
			return t, &fs.PathError{Op: "list", Path: prefix, Err: err}
		}
		if n <= 0 {
			break
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
	for _, name := range names {
		n := node{path: prefix + name}
		inner, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == unix.ELOOP {
			n.kind = 'l'
			if length, err := unix.Readlinkat(fd, name, buf); err == nil {
				n.content = string(buf[:length])
			}
			t = append(t, n)
			continue
		}
		if err != nil {
			return t, &fs.PathError{Op: "open", Path: n.path, Err: err}
		}
		length, err := unix.Read(inner, buf)
		switch {
		case err == unix.EISDIR:
			n.kind = 'd'
			if t, err = appendTree(append(t, n), inner, n.path+"/", buf); err != nil {
				return t, err
			}
			continue
		case err != nil:
			n.kind = '?'
		case length == len(buf):
			err = fmt.Errorf("%s is too long to be of a scene", n.path)
		default:
			n.kind, n.content, err = 'f', string(buf[:length]), nil
		}
		unix.Close(inner)
		if n.kind == 0 {
			return t, err
		}
		t = append(t, n)
	}
	return t, nil
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
		switch n.kind {
		case 'd':
			err = unix.Mkdirat(dir, n.path, 0o700)
		case 'l':
			err = unix.Symlinkat(n.content, dir, n.path)
		default:
			var fd int
			fd, err = unix.Openat(dir, n.path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
			if err == nil {
				if n.content != "" {
					_, err = unix.Write(fd, []byte(n.content))
				}
				unix.Close(fd)
			}
		}
		if err != nil {
			return &fs.PathError{Op: "build", Path: path + "/" + n.path, Err: err}
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
		if n.kind == 'd' {
			flags = unix.AT_REMOVEDIR
		}
		if err := unix.Unlinkat(dir, n.path, flags); err != nil {
			return &fs.PathError{Op: "raze", Path: path + "/" + n.path, Err: err}
		}
	}
	return nil
}

// difference returns what only t has, and what only other has. A node that
// changed is in both.
func (t tree) difference(other tree) (gone, fresh tree) {
	for len(t) > 0 || len(other) > 0 {
		switch {
		case len(other) == 0 || len(t) > 0 && t[0].path < other[0].path:
			gone, t = append(gone, t[0]), t[1:]
		case len(t) == 0 || other[0].path < t[0].path:
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
	for _, n := range t {
		if rest, cut := strings.CutPrefix(n.path, dir+"/"); cut {
			inner = append(inner, node{rest, n.kind, n.content})
		} else if n.path == dir {
			ok = n.kind == 'd'
		}
	}
	return inner, ok
}

// text is the tree as a text, the same for two trees that differ only in the ids
// of their instances and in what the lock files say about their owners or, of a
// layer store, in names and times that are drawn anew each time.
func (t tree) text() string {
	var lines []string
	instances := make(map[string]string) // by directory and id: all its lines
	for _, n := range t {
		dir, id, rest, ok := splitInstance(n.path)
		if !ok {
			lines = append(lines, fmt.Sprintf("%s %c %q", n.path, n.kind, n.canonical()))
			continue
		}
		if !strings.HasPrefix(rest, "temp-dir-") {
			n.content = ""
		}
		instances[dir+"\x00"+id] += fmt.Sprintf("%s%s %c %q;", dir, rest, n.kind, n.content)
	}
	for _, line := range instances {
		lines = append(lines, line)
	}
	if slices.ContainsFunc(t, func(n node) bool { return n.path == storeDir }) {
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
