//go:build linux

package conformance

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	remote  bool       // of a forked process, which observes nothing
	victims model.Item // the first of them; the others come before

	homes     [itemCount]string
	itemNames [itemCount]string

	// What stands for what.
	ids    [idCount]string    // the text of an id, once it is taken
	trees  [itemCount]tree    // by Item
	inodes [inodeCount]opened // by Inode of the model
	datas  [idCount]opened    // data directories

	seen   observation
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

// An observation is what is on disk.
type observation struct {
	lock    [idCount]uint64 // inode number of lock-<id>, or 0
	data    [idCount]uint64 // inode number of temp-dir-<id>, or 0
	place   [itemCount]model.Place
	files   [itemCount]uint8
	entry   [itemCount]string // name in the data directory
	foreign []string
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

// observe looks at the disk.
func (w *world) observe() error {
	o := &w.seen
	*o = observation{foreign: o.foreign[:0]}
	err := w.list(w.rootFd, func(name []byte, inode uint64) {
		if text, ok := strings.CutPrefix(string(name), lockPrefix); ok {
			if i := w.idOf(text); i != 0 {
				o.lock[i] = inode
				return
			}
		}
		if text, ok := strings.CutPrefix(string(name), dataPrefix); ok {
			if i := w.idOf(text); i != 0 {
				o.data[i] = inode
				return
			}
		}
		o.foreign = append(o.foreign, "root/"+string(name))
	})
	if err != nil {
		return err
	}
	for i := 1; i < idCount; i++ {
		if o.data[i] != 0 {
			if err := w.observeData(model.ID(i)); err != nil {
				return err
			}
		}
	}
	err = w.list(w.homeFd, func(name []byte, inode uint64) {
		for x := 1; x < itemCount; x++ {
			if w.trees[x].inode == inode && w.trees[x].mount == "" && w.itemNames[x] == string(name) {
				o.place[x] = model.Home
				return
			}
		}
		for x := 1; x < itemCount; x++ {
			if w.trees[x].mount != "" && w.itemNames[x] == string(name) {
				return // seen where it is mounted
			}
		}
		o.foreign = append(o.foreign, "home/"+string(name))
	})
	if err != nil {
		return err
	}
	for x := 1; x < itemCount; x++ {
		if err := w.observeTree(model.Item(x)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) observeData(i model.ID) error {
	o, at := &w.seen, &w.datas[i]
	if at.inode != o.data[i] {
		at.close()
		name := dataPrefix + w.ids[i]
		fd, err := unix.Openat(w.rootFd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: name, Err: err}
		}
		*at = opened{inode: o.data[i], fd: fd}
	}
	return w.list(at.fd, func(name []byte, inode uint64) {
		for x := 1; x < itemCount; x++ {
			t := &w.trees[x]
			if t.mount == "" && t.inode == inode && w.isEntry(model.Item(x), string(name)) || t.mount != "" && filepath.Base(t.mount) == string(name) {
				o.place[x], o.entry[x] = model.Inside(i), string(name)
				return
			}
		}
		o.foreign = append(o.foreign, dataPrefix+"…/"+string(name))
	})
}

// isEntry says whether a staged tree may have this name: a number, and for
// people what it was.
func (w *world) isEntry(x model.Item, name string) bool {
	number, hint, _ := strings.Cut(name, "-")
	_, err := strconv.ParseUint(number, 10, 64)
	return err == nil && (hint == w.itemNames[x] || hint == "addition" && !w.isVictim(x))
}

// observeTree counts the files of a tree, wherever it is.
func (w *world) observeTree(x model.Item) error {
	t, o := &w.trees[x], &w.seen
	if t.inode == 0 {
		return nil // model.Absent, and no files
	}
	if t.dead {
		o.place[x] = model.PlaceGone
		return nil
	}
	err := w.list(t.fd, func(name []byte, _ uint64) {
		if len(name) != 1 || name[0] < '1' || int(name[0]) > '0'+w.files {
			o.foreign = append(o.foreign, w.itemNames[x]+"/"+string(name))
		}
		o.files[x]++
	})
	if o.place[x] == model.Absent {
		o.place[x] = model.PlaceGone
	}
	if err == unix.ENOENT { // tmpfs and ext4 say so of a directory that was removed
		t.dead, err = o.place[x] == model.PlaceGone, nil
	}
	return err
}

// list calls visit for every name in a directory.
func (w *world) list(fd int, visit func(name []byte, inode uint64)) error {
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return err
	}
	for { // until there are no more: a signal that is pending cuts an answer short
		n, err := unix.Getdents(fd, w.buffer)
		if n <= 0 || err != nil {
			return err
		}
		for rest := w.buffer[:n]; len(rest) > 0; {
			inode := binary.NativeEndian.Uint64(rest)
			length := binary.NativeEndian.Uint16(rest[16:])
			name := rest[19:length]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			if string(name) != "." && string(name) != ".." {
				visit(name, inode)
			}
			rest = rest[length:]
		}
	}
}

// locked says whether somebody holds the lock of what stands for inode n, and
// by is the process id of the holder if it is a POSIX lock, otherwise -1.
func (w *world) locked(n model.Inode) (held bool, by int, err error) {
	return lockedFor(w.inodes[n].fd)
}

// lockedFor says whether another open file description than that of fd holds
// the lock of its file. fcntl with F_OFD_GETLK.
func lockedFor(fd int) (held bool, by int, err error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock); err != nil {
		return false, 0, fmt.Errorf("fcntl F_OFD_GETLK: %w", err)
	}
	return lock.Type != unix.F_UNLCK, int(lock.Pid), nil
}

// links is how many names the file has that stands for inode n.
func (w *world) links(n model.Inode) (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(w.inodes[n].fd, &stat); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return uint64(stat.Nlink), nil
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
