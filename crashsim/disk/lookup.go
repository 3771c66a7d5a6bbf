//go:build linux

package disk

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// A place is a node and the mount through which it was reached: the node of
// the mount point, or -1 for the disk itself.
type place struct{ node, mount int32 }

// resolve says how a lookup is confined; see openat2(2).
type resolve struct {
	beneath bool // RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV
	follow  bool // the last element too, if it is a symbolic link
}

// A last is the last element of a path, with the directory it is in.
type last struct {
	dir     place
	name    string // "." and ".." included; "" for "/" alone
	slashes bool   // it had slashes after it
}

const (
	maxName  = 255
	maxPath  = 4096
	maxLinks = 40
)

const (
	mayExec  = 0o1
	mayWrite = 0o2
	mayRead  = 0o4
)

// permit is inode_permission.
func (d *Disk) permit(n int32, want fs.FileMode) error {
	of := &d.nodes[n]
	if want&mayWrite != 0 && of.immutable {
		return unix.EPERM
	}
	if !d.Privileged && of.perm>>6&want != want {
		return unix.EACCES
	}
	return nil
}

// parent resolves path up to its last element.
func (d *Disk) parent(start place, path string, how resolve) (last, error) {
	links := 0
	return d.parentFrom(start, path, how, &links)
}

func (d *Disk) parentFrom(start place, path string, how resolve, links *int) (last, error) {
	at := start
	switch {
	case path == "":
		return last{}, unix.ENOENT
	case len(path) >= maxPath:
		return last{}, unix.ENAMETOOLONG
	case path[0] == '/':
		if how.beneath {
			return last{}, unix.EXDEV
		}
		at = d.top()
		path = strings.TrimLeft(path, "/")
	}
	for {
		if d.nodes[at.node].kind != fs.ModeDir {
			return last{}, unix.ENOTDIR
		}
		if path == "" {
			return last{dir: at}, nil
		}
		if err := d.permit(at.node, mayExec); err != nil {
			return last{}, err
		}
		name, rest, more := strings.Cut(path, "/")
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return last{at, name, more}, nil
		}
		next, err := d.step(start, at, name, how, true, links)
		if err != nil {
			return last{}, err
		}
		at, path = next, rest
	}
}

// top is where an absolute path begins.
func (d *Disk) top() place {
	if d.nodes[root].mount {
		return place{root, root}
	}
	return place{root, -1}
}

// step goes from a directory to what one name in it refers to.
func (d *Disk) step(start, at place, name string, how resolve, follow bool, links *int) (place, error) {
	switch name {
	case ".":
		return at, nil
	case "..":
		return d.up(start, at, how)
	}
	if d.dead(at.node) {
		return place{}, unix.ENOENT
	}
	if len(name) > maxName {
		return place{}, unix.ENAMETOOLONG
	}
	n := d.find(at.node, name)
	if n < 0 {
		return place{}, unix.ENOENT
	}
	of := &d.nodes[n]
	if of.mount {
		if how.beneath {
			return place{}, unix.EXDEV
		}
		return place{n, n}, nil
	}
	if of.kind != fs.ModeSymlink || !follow {
		return place{n, at.mount}, nil
	}
	if *links++; how.beneath || *links > maxLinks {
		return place{}, unix.ELOOP
	}
	target, err := d.parentFrom(at, of.target, how, links)
	if err != nil {
		return place{}, err
	}
	return d.end(at, target, how, true, links)
}

// up is "..".
func (d *Disk) up(start, at place, how resolve) (place, error) {
	if how.beneath && (at == start || at.node == at.mount) {
		return place{}, unix.EXDEV
	}
	above := d.nodes[at.node].parent
	switch {
	case at.node == root:
		return at, nil
	case at.node == at.mount:
		return place{above, d.mountOf(above)}, nil
	}
	return place{above, at.mount}, nil
}

// mountOf is the innermost mount around a node.
func (d *Disk) mountOf(n int32) int32 {
	for n != root {
		if d.nodes[n].mount {
			return n
		}
		n = d.nodes[n].parent
	}
	return d.top().mount
}

// end resolves the last element.
func (d *Disk) end(start place, l last, how resolve, follow bool, links *int) (place, error) {
	if l.name == "" {
		return l.dir, nil
	}
	if err := d.permit(l.dir.node, mayExec); err != nil {
		return place{}, err
	}
	at, err := d.step(start, l.dir, l.name, how, follow || l.slashes, links)
	if err == nil && l.slashes && d.nodes[at.node].kind != fs.ModeDir {
		return place{}, unix.ENOTDIR
	}
	return at, err
}

// walk resolves the whole path.
func (d *Disk) walk(start place, path string, how resolve) (place, error) {
	links := 0
	l, err := d.parentFrom(start, path, how, &links)
	if err != nil {
		return place{}, err
	}
	return d.end(start, l, how, how.follow, &links)
}

// exists looks the last element up without following anything; -1 if it does
// not exist.
func (d *Disk) exists(l last) (int32, error) {
	if err := d.permit(l.dir.node, mayExec); err != nil {
		return -1, err
	}
	if d.dead(l.dir.node) {
		return -1, unix.ENOENT
	}
	if len(l.name) > maxName {
		return -1, unix.ENAMETOOLONG
	}
	return d.find(l.dir.node, l.name), nil
}

// ordinary reports whether the last element is a name: not ".", ".." or "/".
func (l last) ordinary() bool { return l.name != "" && l.name != "." && l.name != ".." }

// mayCreate is may_create.
func (d *Disk) mayCreate(dir int32) error {
	if d.dead(dir) {
		return unix.ENOENT
	}
	return d.permit(dir, mayWrite|mayExec)
}

// mayDelete is may_delete.
func (d *Disk) mayDelete(dir, n int32, directory bool) error {
	if err := d.permit(dir, mayWrite|mayExec); err != nil {
		return err
	}
	of := &d.nodes[n]
	switch {
	case of.immutable:
		return unix.EPERM
	case directory && of.kind != fs.ModeDir:
		return unix.ENOTDIR
	case !directory && of.kind == fs.ModeDir:
		return unix.EISDIR
	}
	return nil
}
