//go:build linux

package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
)

// Names on disk, written out: an oracle that takes them from the library would
// not notice a change.
const (
	lockPrefix = "lock-"
	dataPrefix = "temp-dir-"
)

// A world is a root on a real file system, the trees beside it, and the lock
// files that processes have open, as an observer sees them. It sees through
// descriptors and listings of its own, and keeps no lock.
type world struct {
	dir     string // scratch: root, home and outside are in it
	rootFd  int
	homeFd  int
	tmpFile bool
	files   int
	victims model.Item // the first of them; the others come before

	homes     [itemCount]string
	itemNames [itemCount]string

	// What stands for what.
	ids    [idCount]string    // the text of an id, once it is taken
	trees  [itemCount]tree    // by Item
	inodes [inodeCount]opened // by Inode of the model
	datas  [idCount]opened    // data directories

	seen   observation
	stale  bool            // there were steps since
	before [idCount]uint64 // data directories at the last comparison
	buffer []byte
}

const (
	itemCount  = len(model.State{}.Place)
	idCount    = len(model.State{}.Lock)
	inodeCount = len(model.State{}.Holder)
	procCount  = len(model.State{}.PC)
)

// A tree is the observer's own descriptor of a tree's directory, which follows
// it wherever it is moved.
type tree struct {
	fd    int // -1: not made yet
	inode uint64
	mount string // where it is mounted, or ""
	dead  bool   // removed: it has no files, and never will
}

// An opened is the inode that stands for a number of the model, and the
// observer's own open file description of it, which asks for locks.
type opened struct {
	inode uint64 // 0: none
	fd    int
}

func newWorld(dir string, c *model.Config, items []string) (*world, error) {
	w := &world{dir: dir, tmpFile: c.TmpFile, files: c.Files, victims: model.Item(1 + len(c.Addition) + len(c.Mounted)), rootFd: -1, homeFd: -1, buffer: make([]byte, 8192)}
	for x, name := range items {
		w.itemNames[x+1] = name
		w.homes[x+1] = filepath.Join(dir, "home", name)
	}
	for _, name := range []string{"root", "home"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	// The name by which another process knows the root (rule 8).
	if err := os.Symlink(".", filepath.Join(dir, "other")); err != nil {
		return nil, err
	}
	var err error
	if w.rootFd, err = openPath(filepath.Join(dir, "root")); err != nil {
		return nil, err
	}
	if w.homeFd, err = openPath(filepath.Join(dir, "home")); err != nil {
		return nil, err
	}
	return w, nil
}

// rootPath is the root by one of its names.
func (w *world) rootPath(name int) string {
	if name == 0 {
		return filepath.Join(w.dir, "root")
	}
	return filepath.Join(w.dir, strings.Repeat("other/", name)+"root")
}

func openPath(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// close gives the observer's descriptors up.
func (w *world) close() {
	w.forget()
	_ = unix.Close(w.rootFd)
	_ = unix.Close(w.homeFd)
}

// forget gives up what stands for anything, but for the trees that are kept.
func (w *world) forget(keep ...model.Item) {
	for x := range w.trees {
		if t := &w.trees[x]; t.inode != 0 && !slices.Contains(keep, model.Item(x)) {
			_ = unix.Close(t.fd)
			*t = tree{}
		}
	}
	for n := range w.inodes {
		w.release(model.Inode(n))
	}
	for i := range w.datas {
		w.datas[i].close()
	}
	w.ids, w.before = [idCount]string{}, [idCount]uint64{}
}

// release gives up what stands for an inode of the model.
func (w *world) release(n model.Inode) { w.inodes[n].close() }

func (o *opened) close() {
	if o.inode != 0 {
		_ = unix.Close(o.fd)
		*o = opened{}
	}
}

// follow opens the tree for observation.
func (w *world) follow(x model.Item, path string) error {
	fd, err := openPath(path)
	if err != nil {
		return err
	}
	w.trees[x] = tree{fd: fd, inode: w.inodeOf(fd)}
	return nil
}

func (w *world) inodeOf(fd int) uint64 {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return 0
	}
	return stat.Ino
}

// isVictim tells victims from additions and mounted trees.
func (w *world) isVictim(x model.Item) bool { return x >= w.victims }

func (w *world) itemOf(fd int) model.Item {
	inode := w.inodeOf(fd)
	for x := range w.trees {
		if w.trees[x].inode == inode && inode != 0 {
			return model.Item(x)
		}
	}
	return 0
}

// entryName is the name that a tree has in the data directory.
func (w *world) entryName(x model.Item) string { return w.seen.entry[x] }

// idOf is the number of an id in the model, or 0.
func (w *world) idOf(text string) model.ID {
	for i := 1; i < idCount; i++ {
		if w.ids[i] == text && text != "" {
			return model.ID(i)
		}
	}
	return 0
}

// clear empties root and home, and returns the victims that stay at home because
// they are whole: making them anew would cost more than a walk.
func (w *world) clear() (kept []model.Item, err error) {
	var names []string
	add := func(name []byte, _ uint64) { names = append(names, string(name)) }
	if err := w.list(w.rootFd, add); err != nil {
		return nil, err
	}
	if err := w.remove("root", w.rootFd, names); err != nil {
		return nil, err
	}
	names = names[:0]
	if err := w.list(w.homeFd, add); err != nil {
		return nil, err
	}
	for x := model.Item(1); int(x) < itemCount; x++ {
		at := slices.Index(names, w.itemNames[x])
		if at < 0 || !w.isVictim(x) || w.trees[x].inode == 0 {
			continue
		}
		var stat unix.Stat_t
		if err := unix.Fstatat(w.homeFd, names[at], &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil || stat.Ino != w.trees[x].inode {
			continue
		}
		files := 0
		if err := w.list(w.trees[x].fd, func([]byte, uint64) { files++ }); err == nil && files == w.files {
			kept, names = append(kept, x), slices.Delete(names, at, at+1)
		}
	}
	return kept, w.remove("home", w.homeFd, names)
}

// remove removes names from one of the observer's directories.
func (w *world) remove(directory string, fd int, names []string) error {
	for _, name := range names {
		err := unix.Unlinkat(fd, name, 0)
		if err == unix.EISDIR {
			err = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
		}
		if err != nil {
			if err := os.RemoveAll(filepath.Join(w.dir, directory, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// watch makes the file at a path stand for inode n.
func (w *world) watch(n model.Inode, path string) error {
	w.release(n)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	w.inodes[n] = opened{inode: w.inodeOf(fd), fd: fd}
	return nil
}

// number is the inode of the model that a file stands for, or None.
func (w *world) number(inode uint64) model.Inode {
	for n := range w.inodes {
		if w.inodes[n].inode == inode && inode != 0 {
			return model.Inode(n)
		}
	}
	return model.None
}
