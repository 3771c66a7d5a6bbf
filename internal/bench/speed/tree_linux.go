package speed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A shape makes trees of one kind.
type shape struct {
	name  string
	files int
	build func(b *builder) error
}

// inDirectory is how many files a directory of the nested tree has: 100,000 are in 400.
// fewInDirectory is that of the tree of many small directories.
const (
	inDirectory    = 250
	fewInDirectory = 4
)

// Levels, files and sizes of the other trees.
const (
	deepest   = 1000 // paths of all peers end here or soon after
	hugeFiles = 4
	hugeSize  = 64 << 20
	smallTree = 20
)

// shapeOf finds a shape of Shapes, for so many files.
func shapeOf(name string, files int) (shape, error) {
	s := shape{name: name, files: files}
	switch name {
	case "nested", "many":
		each := inDirectory
		if name == "many" {
			each = fewInDirectory
		}
		s.build = func(b *builder) error {
			for i := 0; i < files; i += each {
				b.enter(fmt.Sprintf("d%06d", i/each))
				b.make(i, min(files, i+each))
				b.leave()
			}
			return b.err
		}
	case "flat":
		s.build = func(b *builder) error {
			b.make(0, files)
			return b.err
		}
	case "small":
		s.files = smallTree
		s.build = func(b *builder) error {
			b.enter("d")
			b.make(0, smallTree/2)
			b.enter("e")
			b.make(smallTree/2, smallTree)
			b.leave()
			b.leave()
			return b.err
		}
	case "deep":
		return chain(min(deepest, files), files), nil
	case "huge":
		s.files = hugeFiles
		s.build = func(b *builder) error {
			for i := range hugeFiles {
				b.file(fmt.Sprintf("f%06d", i), hugeSize)
			}
			return b.err
		}
	case "toolchain":
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return s, fmt.Errorf("there is no Go toolchain: %w", err)
		}
		like, err := shapeLike(strings.TrimSpace(string(root)))
		like.name = name
		return like, err
	default:
		return s, fmt.Errorf("no shape %q", name)
	}
	return s, nil
}

// chain is the shape of directories in one another, with files in each.
func chain(levels, files int) shape {
	return shape{"deep", files, func(b *builder) error {
		for i := range levels {
			b.make(i*files/levels, (i+1)*files/levels)
			b.enter("d")
		}
		for range levels {
			b.leave()
		}
		return b.err
	}}
}

// shapeLike is the shape of what is in the directory: names, types and sizes. Files have
// blocks, and nothing is written to them.
func shapeLike(dir string) (shape, error) {
	type item struct {
		depth int // of the directory that it is in
		name  string
		mode  fs.FileMode
		size  int64
	}
	var items []item
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return shape{}, err
	}
	s := shape{name: "like " + dir}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path == dir || err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		if err != nil {
			return nil // a directory that may not be read: it is among the items, and empty
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		rest := path[len(strings.TrimSuffix(dir, "/"))+1:]
		items = append(items, item{strings.Count(rest, "/"), d.Name(), info.Mode().Type(), info.Size()})
		if !d.IsDir() {
			s.files++
		}
		return nil
	})
	s.build = func(b *builder) error {
		for _, i := range items {
			for len(b.fds)-1 > i.depth {
				b.leave()
			}
			switch i.mode {
			case fs.ModeDir:
				b.enter(i.name)
			case 0:
				b.file(i.name, i.size)
			default:
				b.link(i.name)
			}
		}
		for len(b.fds) > 1 {
			b.leave()
		}
		return b.err
	}
	return s, err
}

// A builder makes a tree by descriptors, in the order in which an archive would be
// unpacked. Its first error ends it.
type builder struct {
	fds []int // from the tree down
	err error
}

// tree makes one of the shape at the new path.
func (s *shape) tree(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	b := &builder{fds: []int{fd}}
	err = s.build(b)
	for _, fd := range b.fds {
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("make a tree: %w", err)
	}
	return nil
}

func (b *builder) dir() int { return b.fds[len(b.fds)-1] }

// make makes empty files, numbered from first.
func (b *builder) make(first, end int) {
	for i := first; i < end && b.err == nil; i++ {
		b.err = unix.Mknodat(b.dir(), fmt.Sprintf("f%07d", i), unix.S_IFREG|0o644, 0)
	}
}

func (b *builder) file(name string, size int64) {
	if b.err != nil {
		return
	}
	fd, err := unix.Openat(b.dir(), name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err == nil {
		if size > 0 {
			err = unix.Fallocate(fd, 0, 0, size)
		}
		err = errors.Join(err, unix.Close(fd))
	}
	b.err = err
}

func (b *builder) link(name string) {
	if b.err == nil {
		b.err = unix.Symlinkat("target", b.dir(), name)
	}
}

func (b *builder) enter(name string) {
	if b.err != nil {
		return
	}
	b.err = unix.Mkdirat(b.dir(), name, 0o755)
	if b.err == nil {
		var fd int
		if fd, b.err = unix.Openat(b.dir(), name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0); b.err == nil {
			b.fds = append(b.fds, fd)
		}
	}
}

func (b *builder) leave() {
	if b.err == nil {
		unix.Close(b.dir())
		b.fds = b.fds[:len(b.fds)-1]
	}
}
