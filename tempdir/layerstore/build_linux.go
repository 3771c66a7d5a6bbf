package layerstore

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A builder fills the empty directory of a new layer. Everything goes through an
// os.Root, so that no name and no link, whatever the content, leads out of it.
type builder struct {
	ctx       context.Context
	root      *os.Root
	limits    Limits
	whiteouts bool // keep them for an overlay, instead of removing what they name
	bytes     int64
	entries   int64
	dirs      []directory // their modes and times come last: filling changes both
}

type directory struct {
	name  string
	mode  fs.FileMode
	owner owner
	time  time.Time
}

type owner struct{ uid, gid int }

// keep is the owner of what the caller makes.
var keep = owner{-1, -1}

func newBuilder(ctx context.Context, path string, limits Limits, whiteouts bool) (*builder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &builder{ctx: ctx, root: root, limits: limits, whiteouts: whiteouts}, nil
}

func (b *builder) close() { b.root.Close() }

// fill puts the content into the directory.
func (b *builder) fill(c Content) (err error) {
	switch {
	case c.stream != nil:
		err = b.unpack(tar.NewReader(c.stream))
	case c.directory != "":
		err = b.copyTree(c.directory)
	}
	if err != nil {
		return err
	}
	return b.finish()
}

// inherit copies the files of a parent, which count for no limit.
func (b *builder) inherit(from string) error {
	limits := b.limits
	b.limits = Limits{math.MaxInt64, math.MaxInt64}
	err := b.copyTree(from)
	b.limits, b.bytes, b.entries = limits, 0, 0
	return err
}

// count counts an entry against the limits.
func (b *builder) count(name string, size int64) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	b.entries++
	if size < 0 || size > b.limits.Bytes-b.bytes {
		return fmt.Errorf("%w: with entry %s it has more than %d bytes", ErrTooLarge, quote(name), b.limits.Bytes)
	}
	if b.bytes += size; b.entries > b.limits.Entries {
		return fmt.Errorf("%w: with entry %s it has more than %d entries", ErrTooLarge, quote(name), b.limits.Entries)
	}
	return nil
}

// room makes room for name: its parents exist, and nothing has the name, except
// that a directory may stay one.
func (b *builder) room(name string, isDir bool) (exists bool, err error) {
	if name == "." {
		return true, nil
	}
	a, err := b.root.Lstat(name)
	switch {
	case err == nil && isDir && a.IsDir():
		return true, nil
	case err == nil:
		return false, b.root.RemoveAll(name)
	case errors.Is(err, fs.ErrNotExist):
		return false, b.parents(path.Dir(name))
	}
	return false, err
}

// parents makes the directory with its parents, if it does not exist. It looks
// first: a MkdirAll that cannot look says that the directory exists, as an error.
func (b *builder) parents(dir string) error {
	if dir == "." {
		return nil
	}
	_, err := b.root.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return b.root.MkdirAll(dir, 0o755)
	}
	return err
}

// makeDir makes a directory, or keeps the one that is there.
func (b *builder) makeDir(d directory) error {
	exists, err := b.room(d.name, true)
	if err == nil && !exists {
		err = b.root.Mkdir(d.name, 0o700)
	}
	if err == nil {
		b.dirs = append(b.dirs, d)
	}
	return err
}

// makeFile makes a regular file of what r has.
func (b *builder) makeFile(name string, r io.Reader, size int64, mode fs.FileMode, o owner, modified time.Time) error {
	if _, err := b.room(name, false); err != nil {
		return err
	}
	f, err := b.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, reader{b.ctx, r}, size)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && o != keep {
		err = f.Chown(o.uid, o.gid)
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		b.root.Chtimes(name, modified, modified) // times that the file system cannot keep are not worth a failure
	}
	return err
}

func (b *builder) makeSymlink(name, target string, o owner) error {
	if _, err := b.room(name, false); err != nil {
		return err
	}
	err := b.root.Symlink(target, name)
	if err == nil && o != keep {
		err = b.root.Lchown(name, o.uid, o.gid)
	}
	return err
}

// makeNode makes a FIFO, or the device 0/0 of a whiteout.
func (b *builder) makeNode(name string, mode uint32, o owner) error {
	if _, err := b.room(name, false); err != nil {
		return err
	}
	parent, err := b.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer parent.Close()
	err = unix.Mknodat(int(parent.Fd()), path.Base(name), mode, 0)
	if err == nil && o != keep {
		err = b.root.Lchown(name, o.uid, o.gid)
	}
	return err
}

// finish gives the directories their modes and times, the deepest first, since a mode may
// close a directory. Of several entries for one directory the last one counts.
func (b *builder) finish() error {
	slices.Reverse(b.dirs)
	slices.SortStableFunc(b.dirs, func(x, y directory) int { return depth(y.name) - depth(x.name) })
	done := map[[2]uint64]bool{} // by device and inode: a name may lead through a link
	for _, d := range b.dirs {
		a, err := b.root.Lstat(d.name)
		var errno syscall.Errno
		if errors.As(err, &errno) && errno != unix.ENOENT && errno != unix.ENOTDIR && errno != unix.ELOOP {
			return err // nobody knows whether it is there
		}
		if err != nil || !a.IsDir() {
			continue // a later entry replaced it, or what leads to it
		}
		stat := a.Sys().(*syscall.Stat_t)
		inode := [2]uint64{uint64(stat.Dev), stat.Ino}
		if done[inode] {
			continue // a later entry says what it is to be
		}
		done[inode] = true
		if d.owner != keep {
			if err := b.root.Lchown(d.name, d.owner.uid, d.owner.gid); err != nil {
				return err
			}
		}
		f, err := b.root.Open(d.name) // by name it takes Linux 6.6, or /proc
		if err == nil {
			err = errors.Join(f.Chmod(d.mode), f.Close())
		}
		if err != nil {
			return err
		}
		b.root.Chtimes(d.name, d.time, d.time)
	}
	b.dirs = nil
	return nil
}

// depth is how many directories are above name in the layer.
func depth(name string) int {
	if name == "." {
		return -1
	}
	return strings.Count(name, "/")
}

// A reader reads until the context is done.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// refused is an error about an entry that may not be in a layer.
func refused(name, format string, arguments ...any) error {
	return fmt.Errorf("%w: entry %s: %s", ErrBadContent, quote(name), fmt.Sprintf(format, arguments...))
}
