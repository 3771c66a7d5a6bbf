package layerstore

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// A Store is a handle on one layer store. It holds two descriptors, one more for
// an image store, no lock and no goroutine. Its methods may be called concurrently; two
// Stores for one directory, in one process or two, exclude each other alike.
type Store struct {
	path    string // without symbolic links
	options options
	disk    kernel.Disk
	kernel  kernel.Kernel
	home    *graph
	images  *graph // nil: no image store
	boot    string // of the kernel

	made []string // by Open, until it has succeeded

	cache  atomic.Pointer[snapshot]
	synced atomic.Pointer[kernel.Token] // of the last save that is known to be durable
	closed atomic.Bool
	line   line // of deletions

	mu     sync.Mutex
	lock   int           // descriptor of the lock file, to look at the token; -1: closed
	rested *kernel.Token // of metadata in which nothing was flagged, see MaybeDirty
}

// A graph is a graph root: a directory with layers, and a root beside them.
type graph struct {
	path    string
	root    *tempdir.Root // nil: there is none, and nobody can make one
	ordered bool          // moving a layer away is durable before a later save is
}

// Open opens the layer store in the directory path, and recovers what crashed
// processes left in it, for 50 ms and without the store lock: nobody's first command
// has to pay for a large layer that somebody else deleted, and each does a part of it,
// where all are short. After that it makes no further call, but a call that the kernel
// holds up cannot be called back: on a frozen file system (fsfreeze) it waits for the
// thaw. [Store.Maintain] or a [Store.Recover] does the rest. A failure to recover is
// no failure to open: ask Recover for it.
//
// On a file system that is mounted read-only a store can be read, and nothing else:
// readers need no permission to write to it, and not even its lock file and its
// root. What would be recovered stays then; [Store.Recover] says so.
//
// An Open that fails leaves nothing of what it made. Without [Make] it makes nothing, and the store must exist. Damaged metadata
// is an [ErrCorrupt], that of a newer version an [ErrNewerVersion]. What cannot be
// read now, the metadata or which boot this is, is an errno with its path,
// and no metadata was written.
func Open(path string, opts ...Option) (*Store, error) {
	s := &Store{lock: -1}
	s.options = options{driver: VFS, limits: DefaultLimits}
	for _, option := range opts {
		option(&s.options)
	}
	s.disk, s.kernel = s.options.disk, s.options.kernel
	if s.disk == nil {
		s.disk = kernel.LinuxDisk()
	}
	if s.kernel == nil {
		s.kernel = kernel.Linux()
	}
	if err := s.open(path); err != nil {
		s.Close()
		s.unmake()
		return nil, err
	}
	s.made = nil
	if !s.options.noRecover {
		slice, cancel := context.WithTimeout(context.Background(), openSlice)
		defer cancel()
		s.look(slice, true)
	}
	return s, nil
}

func (s *Store) open(path string) error {
	const op = "open store"
	failure := func(path string, err error) error {
		return &Error{Op: op, Path: path, Effect: NoEffect, Err: err}
	}
	var err error
	if s.boot, err = kernelText(bootFile); err != nil {
		return failure(bootFile, err)
	}
	if s.home, err = s.openGraph(path); err != nil {
		return failure(path, err)
	}
	s.path = s.home.path
	if s.options.images != "" {
		if s.images, err = s.openGraph(s.options.images); err != nil {
			return failure(s.options.images, err)
		}
		// Two file systems do not order anything between them.
		same, _ := oneDevice(s.images.path, s.path)
		s.images.ordered = s.images.ordered && same
	}
	if s.options.make != 0 {
		s.lock, err = s.disk.OpenLock(s.file(lockFile), true)
	}
	if s.options.make == 0 || err == unix.EROFS {
		s.lock, err = s.openLock(false)
	}
	if err != nil {
		return failure(s.file(lockFile), err)
	}
	if s.options.make != 0 {
		if err := s.initialize(op); err != nil {
			return err
		}
	}
	return s.shared(context.Background(), op, "", func(*metadata) error { return nil })
}

// openGraph opens one graph root.
func (s *Store) openGraph(path string) (*graph, error) {
	if s.options.make != 0 {
		made, err := s.makeDirectory(path, s.options.make)
		s.made = append(s.made, made...)
		if err != nil {
			return nil, err
		}
	}
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, kernel.BareErrno(err)
	}
	options := append([]tempdir.Option{kernel.With[tempdir.Option](s.kernel), tempdir.Purpose("layer store")}, s.options.roots...)
	if s.options.make != 0 {
		made, err := s.makeDirectory(filepath.Join(path, rootName), 0o700)
		s.made = append(s.made, made...)
		if err != nil && err != unix.EROFS {
			return nil, err
		}
	}
	root, err := tempdir.Open(filepath.Join(path, rootName), options...)
	if errors.Is(err, unix.ENOENT) {
		if readOnly, failed := s.disk.ReadOnly(path); failed == nil && readOnly {
			return &graph{path: path}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return &graph{path: path, root: root, ordered: root.Ordered()}, nil
}

// makeDirectory makes the directory, with its parents, if it does not exist. It
// returns what it made.
func (s *Store) makeDirectory(path string, perm fs.FileMode) (made []string, err error) {
	err = s.disk.MakeDirectory(path, uint32(perm))
	if parent := filepath.Dir(path); err == unix.ENOENT && parent != path {
		if made, err = s.makeDirectory(parent, perm); err == nil {
			err = s.disk.MakeDirectory(path, uint32(perm))
		}
	}
	switch err {
	case nil:
		return append(made, path), nil
	case unix.EEXIST:
		return made, nil
	}
	return made, err
}

// unmake removes what an Open made that failed before there was metadata. Who
// waits for the lock sees that its file is gone; directories go if nobody has put
// anything there.
func (s *Store) unmake() {
	if s.path != "" && s.options.make != 0 {
		if fd, err := s.disk.OpenLock(s.file(lockFile), false); err == nil {
			err := s.disk.TakeLock(fd, kernel.ByteRange{Offset: storeByte, Exclusive: true})
			var token kernel.Token
			if err == nil {
				token, err = s.disk.ReadToken(fd)
			}
			if there, failed := s.hasMetadata(""); err == nil && failed == nil && !there && token.Mark() != markSpare {
				s.disk.Remove(s.file(spareFile))
				s.disk.Remove(s.file(lockFile))
			}
			s.disk.Close(fd)
		}
	}
	for _, made := range slices.Backward(s.made) {
		s.disk.Remove(made)
	}
}

// initialize saves metadata without layers, if there is none. Twice, so that the
// spare exists before the disk can be full.
func (s *Store) initialize(op string) error {
	if there, err := s.hasMetadata(op); there || err != nil {
		return err
	}
	h, err := s.takeLock(context.Background(), true)
	if err != nil {
		return &Error{Op: op, Path: s.file(lockFile), Effect: NoEffect, Err: err}
	}
	defer h.drop()
	if there, err := s.hasMetadata(op); there || err != nil {
		return err // somebody else did
	}
	if h.token, err = s.disk.ReadToken(h.fd); err != nil {
		return &Error{Op: op, Path: s.file(lockFile), Effect: NoEffect, Err: err}
	}
	if h.token.Mark() == markSpare {
		return nil // the metadata is the spare
	}
	for range 2 {
		if err := s.save(op, h, &metadata{Version: formatVersion}); err != nil {
			return err
		}
	}
	return nil
}

// hasMetadata reports whether there is metadata, damaged or not. Anything but a
// clear no is an error: what initialize writes would replace it.
func (s *Store) hasMetadata(op string) (bool, error) {
	_, err := s.disk.StatMetadata(s.file(metadataFile))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOENT):
		return false, nil
	}
	return false, &Error{Op: op, Path: s.file(metadataFile), Effect: NoEffect, Err: err}
}

// Close gives the handle up. It neither waits for operations nor ends them, and
// touches nothing on disk: what other handles and processes have staged is theirs.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return &Error{Op: "close store", Path: s.path, Effect: NoEffect, Kind: ErrClosed}
	}
	s.mu.Lock()
	if s.lock >= 0 {
		s.disk.Close(s.lock)
		s.lock = -1
	}
	s.mu.Unlock()
	for _, g := range s.roots() {
		g.root.Close()
	}
	return nil
}

// graphs returns the graph roots that this handle has.
func (s *Store) graphs() []*graph {
	return slices.DeleteFunc([]*graph{s.home, s.images}, func(g *graph) bool { return g == nil })
}

// roots returns those that have a root.
func (s *Store) roots() []*graph {
	return slices.DeleteFunc(s.graphs(), func(g *graph) bool { return g.root == nil })
}

// graphOf returns the graph root of the layer, or nil.
func (s *Store) graphOf(r *record) *graph {
	if r.Image {
		return s.images
	}
	return s.home
}
