package layerstore

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Whiteouts of OCI layers.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
)

// unpack puts the entries of an archive into the directory.
func (b *builder) unpack(archive *tar.Reader) error {
	own := map[string]bool{} // names of this archive, which an opaque whiteout keeps
	for {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			if ctxErr := b.ctx.Err(); ctxErr != nil {
				return ctxErr
			}
			return archiveError(err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		size := int64(0)
		if header.Typeflag == tar.TypeReg {
			size = header.Size
		}
		if err := b.count(header.Name, size); err != nil {
			return err
		}
		name, err := cleanName(header.Name)
		if err != nil {
			return err
		}
		if strings.HasPrefix(path.Base(name), whiteoutPrefix) {
			err = b.whiteout(name, own)
		} else {
			for above := name; above != "." && !own[above]; above = path.Dir(above) {
				own[above] = true
			}
			err = b.unpackEntry(archive, header, name)
		}
		if err != nil {
			return explain(header.Name, err)
		}
	}
}

// archiveError tells a damaged archive from a reader that failed.
func archiveError(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrFieldTooLong) {
		return refusedArchive(err)
	}
	return err
}

func refusedArchive(err error) error { return &contentError{err} }

// A contentError is a damaged archive: an ErrBadContent with the reader's reason.
type contentError struct{ err error }

func (e *contentError) Error() string   { return ErrBadContent.Error() + ": archive: " + e.err.Error() }
func (e *contentError) Unwrap() []error { return []error{ErrBadContent, e.err} }

// cleanName makes the name of an entry one below the layer: "a/b", or ".".
func cleanName(name string) (string, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return "", refused(name, "its name is not one")
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", refused(name, `its name contains ".."`)
		}
	}
	if clean := strings.TrimLeft(path.Clean(name), "/"); clean != "" {
		return clean, nil
	}
	return ".", nil
}

// unpackEntry makes one entry.
func (b *builder) unpackEntry(archive *tar.Reader, header *tar.Header, name string) error {
	if name == "." && header.Typeflag != tar.TypeDir {
		return refused(header.Name, "the layer itself is a directory")
	}
	o := keep
	if os.Geteuid() == 0 {
		if o = (owner{header.Uid, header.Gid}); !isID(o.uid) || !isID(o.gid) {
			return refused(header.Name, "its owner is %d:%d", header.Uid, header.Gid)
		}
	}
	mode := header.FileInfo().Mode() & modeBits
	switch header.Typeflag {
	case tar.TypeReg:
		return b.makeFile(name, archive, header.Size, mode, o, header.ModTime)
	case tar.TypeDir:
		return b.makeDir(directory{name, mode, o, header.ModTime})
	case tar.TypeSymlink:
		return b.makeSymlink(name, header.Linkname, o)
	case tar.TypeLink:
		target, err := cleanName(header.Linkname)
		if err != nil {
			return err
		}
		if target == name {
			return refused(header.Name, "it is a link to itself")
		}
		if _, err := b.room(name, false); err != nil {
			return err
		}
		return b.root.Link(target, name)
	case tar.TypeFifo:
		return b.makeNode(name, unix.S_IFIFO|uint32(mode.Perm()), o)
	}
	return refused(header.Name, "its type is %q", header.Typeflag)
}

// isID reports whether id can own something: -1 would mean nobody.
func isID(id int) bool { return id >= 0 && int64(id) < 1<<32-1 }

// whiteout does what the whiteout name says, or keeps it for an overlay.
func (b *builder) whiteout(name string, own map[string]bool) error {
	dir, base := path.Split(name)
	if dir = path.Clean(dir); base == opaqueName {
		if b.whiteouts {
			return b.makeOpaque(dir, name)
		}
		return b.hideAll(dir, own)
	}
	hidden := strings.TrimPrefix(base, whiteoutPrefix)
	if hidden == "" || hidden == "." || hidden == ".." || strings.HasPrefix(hidden, whiteoutPrefix) {
		return refused(name, "it is not a whiteout")
	}
	target := path.Join(dir, hidden)
	if !b.whiteouts {
		if own[target] {
			return nil // it hides what is below this layer, and this is of it
		}
		return b.root.RemoveAll(target)
	}
	if _, err := b.root.Lstat(target); err == nil {
		return nil // the same: the entry hides what is below by itself
	}
	err := b.makeNode(target, unix.S_IFCHR, keep)
	if errors.Is(err, unix.EPERM) {
		return b.keepWhiteout(name)
	}
	return err
}

// makeOpaque marks a directory as overlay mounts want it, which takes privileges
// and a file system with attributes, or keeps the whiteout.
func (b *builder) makeOpaque(dir, name string) error {
	if _, err := b.room(name, false); err != nil { // makes dir
		return err
	}
	f, err := b.root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if unix.Fsetxattr(int(f.Fd()), "trusted.overlay.opaque", []byte("y"), 0) == nil {
		return nil
	}
	return b.keepWhiteout(name)
}

// keepWhiteout keeps a whiteout as the archive has it.
func (b *builder) keepWhiteout(name string) error {
	if _, err := b.room(name, false); err != nil {
		return err
	}
	f, err := b.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// hideAll removes from dir what is inherited, and keeps what is of this archive.
func (b *builder) hideAll(dir string, own map[string]bool) error {
	f, err := b.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, base := range names {
		if name := path.Join(dir, base); !own[name] {
			if err := b.root.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// explain makes an error of the file system an ErrBadContent, if an entry can be
// the reason; for any other errno the file system itself is at fault.
func explain(name string, err error) error {
	if errors.Is(err, ErrBadContent) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return refusedArchive(err)
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		switch errno {
		case unix.ENOENT, unix.EEXIST, unix.ENOTDIR, unix.EISDIR, unix.ENOTEMPTY, unix.ELOOP, unix.ENAMETOOLONG, unix.EINVAL, unix.EMLINK,
			unix.EPERM: // a hard link to a directory
		default:
			return err
		}
	}
	var failed *fs.PathError
	var linkFailed *os.LinkError
	if errors.As(err, &failed) {
		return refused(name, "%v", failed.Err)
	}
	if errors.As(err, &linkFailed) {
		return refused(name, "%v", linkFailed.Err)
	}
	return err
}
