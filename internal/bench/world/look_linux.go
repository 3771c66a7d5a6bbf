package world

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Look reads what is below path on a real file system, in the byte order of the
// paths. It opens every file, and follows no link.
func Look(path string) (t Tree, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	t, err = appendTree(nil, fd, "", make([]byte, maxFile))
	slices.SortFunc(t, func(a, b Node) int { return strings.Compare(a.Path, b.Path) })
	return t, err
}

// maxFile bounds the files, in bytes.
const maxFile = 32 << 10

// appendTree appends what is in the directory fd, and closes it.
func appendTree(t Tree, fd int, prefix string, buf []byte) (Tree, error) {
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
		n := Node{Path: prefix + name}
		inner, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == unix.ELOOP {
			n.Kind = Link
			if length, err := unix.Readlinkat(fd, name, buf); err == nil {
				n.Content = string(buf[:length])
			}
			t = append(t, n)
			continue
		}
		if err != nil {
			return t, &fs.PathError{Op: "open", Path: n.Path, Err: err}
		}
		length, err := unix.Read(inner, buf)
		switch {
		case err == unix.EISDIR:
			n.Kind = Directory
			if t, err = appendTree(append(t, n), inner, n.Path+"/", buf); err != nil {
				return t, err
			}
			continue
		case err != nil:
			n.Kind = Other
		case length == len(buf):
			err = fmt.Errorf("%s is longer than what checks write", n.Path)
		default:
			n.Kind, n.Content, err = File, string(buf[:length]), nil
		}
		unix.Close(inner)
		if n.Kind == 0 {
			return t, err
		}
		t = append(t, n)
	}
	return t, nil
}
