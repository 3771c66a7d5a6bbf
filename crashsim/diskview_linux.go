package crashsim

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// DiskView is the view of a disk in memory, from "/". Nothing may be running on
// it meanwhile.
func DiskView(d *disk.Disk) View { return diskView{d} }

type diskView struct{ disk *disk.Disk }

func (v diskView) find(path string) int32 {
	n := v.disk.Root()
	if path == "." {
		return n
	}
	for path != "" && n >= 0 {
		var name string
		name, path, _ = strings.Cut(path, "/")
		if !v.disk.IsDir(n) {
			return -1
		}
		n = v.disk.Find(n, name)
	}
	return n
}

func (v diskView) List(dir string, visit func(name string, kind fs.FileMode)) error {
	n := v.find(dir)
	switch {
	case n < 0:
		return unix.ENOENT
	case !v.disk.IsDir(n):
		return unix.ENOTDIR
	}
	v.disk.Each(n, func(name string, node int32) {
		kind := fs.FileMode(0)
		if v.disk.IsDir(node) {
			kind = fs.ModeDir
		}
		visit(name, kind)
	})
	return nil
}

func (v diskView) Read(path string) ([]byte, error) {
	if n := v.find(path); n >= 0 {
		return v.disk.Content(n), nil
	}
	return nil, unix.ENOENT
}
