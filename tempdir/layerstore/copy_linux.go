package layerstore

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyTree copies the directory from, without following symbolic links below it.
func (b *builder) copyTree(from string) error {
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return fs.WalkDir(source.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		a, err := source.Lstat(name)
		if err != nil {
			return err
		}
		size := int64(0)
		if a.Mode().IsRegular() {
			size = a.Size()
		}
		if err := b.count(name, size); err != nil {
			return err
		}
		return b.copyEntry(source, name, a)
	})
}

// ownerOf returns the owner to give to a copy: none but root can give any.
func ownerOf(a fs.FileInfo) owner {
	if s, ok := a.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return owner{int(s.Uid), int(s.Gid)}
	}
	return keep
}

// modeBits are the bits of a mode that a layer keeps.
const modeBits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

func (b *builder) copyEntry(source *os.Root, name string, a fs.FileInfo) error {
	o := ownerOf(a)
	mode := a.Mode() & modeBits
	switch a.Mode().Type() {
	case 0:
		f, err := source.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return b.makeFile(name, f, a.Size(), mode, o, a.ModTime())
	case fs.ModeDir:
		return b.makeDir(directory{name, mode, o, a.ModTime()})
	case fs.ModeSymlink:
		target, err := source.Readlink(name)
		if err != nil {
			return err
		}
		return b.makeSymlink(name, target, o)
	case fs.ModeNamedPipe:
		return b.makeNode(name, unix.S_IFIFO|uint32(mode.Perm()), o)
	}
	return refused(name, "its type is %s", a.Mode().Type())
}
