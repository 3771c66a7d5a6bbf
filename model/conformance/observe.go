//go:build linux

package conformance

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
)

// This file is the observer: what is on disk, and who has which lock.

// An observation is what is on disk.
type observation struct {
	lock    [idCount]uint64 // inode number of lock-<id>, or 0
	data    [idCount]uint64 // inode number of temp-dir-<id>, or 0
	place   [itemCount]model.Place
	files   [itemCount]uint8
	entry   [itemCount]string // name in the data directory
	foreign []string
}

// observe looks at the disk.
func (w *world) observe() error {
	o := &w.seen
	*o, w.stale = observation{foreign: o.foreign[:0]}, false
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

// refresh looks at the disk if there were steps since the last look.
func (w *world) refresh() error {
	if !w.stale {
		return nil
	}
	return w.observe()
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
