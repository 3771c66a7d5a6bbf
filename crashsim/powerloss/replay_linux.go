package powerloss

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"os"

	"golang.org/x/sys/unix"
)

// A Replayer puts a disk into the states that power losses leave, and mounts it. It
// has one image and one device, for one goroutine, and needs a mount name space of
// its own, with which everything ends. It is fast if the power losses come in their order.
type Replayer struct {
	fs     FileSystem
	dir    string
	log    []Entry
	base   []run
	size   int64
	image  *os.File
	shown  []byte // the image, for reading
	device *os.File
	disk   pages // when the first made entries are on it
	made   int
}

// A MountError says that the kernel does not mount what a power loss left.
type MountError struct{ Err error }

func (e *MountError) Error() string {
	return "the kernel cannot mount what the power loss left: " + e.Err.Error()
}

func (e *MountError) Unwrap() error { return e.Err }

// NewReplayer makes a replayer of the log on the base image. It makes an image at
// dir+".image", and mounts at dir, which exists.
func NewReplayer(fs FileSystem, base *os.File, log []Entry, dir string) (*Replayer, error) {
	r := &Replayer{fs: fs, dir: dir, log: log}
	var err error
	if r.base, r.size, err = pagesOf(base); err != nil {
		return nil, err
	}
	if r.image, err = os.OpenFile(dir+".image", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, err
	}
	if err = r.image.Truncate(r.size); err == nil {
		r.shown, err = unix.Mmap(int(r.image.Fd()), 0, int(r.size), unix.PROT_READ, unix.MAP_SHARED)
	}
	if err == nil {
		r.device, err = attach(r.image)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close frees image and device.
func (r *Replayer) Close() error {
	err := errors.Join(r.image.Close(), os.Remove(r.image.Name()))
	if r.device != nil {
		err = errors.Join(err, r.device.Close())
	}
	if r.shown != nil {
		err = errors.Join(err, unix.Munmap(r.shown))
	}
	return err
}

// Mount makes what the power loss left and mounts it; the kernel recovers its
// journal. The error is a [*MountError] if it cannot. A power loss that cannot be, because
// something that it loses was durable, is refused by another error.
func (r *Replayer) Mount(c Cut) error {
	if _, err := r.make(c); err != nil {
		return err
	}
	return r.mount()
}

// mount mounts the image.
func (r *Replayer) mount() error {
	if r.fs.kind == "ext4" { // which reads through the device's memory, block after block
		for part, err := range parts(r.image) {
			if err == nil {
				err = unix.Fadvise(int(r.device.Fd()), part.begin, part.end-part.begin, unix.FADV_WILLNEED)
			}
			if err != nil {
				return os.NewSyscallError("fadvise", err)
			}
		}
	}
	if err := unix.Mount(r.device.Name(), r.dir, r.fs.kind, unix.MS_NOATIME, r.fs.recover); err != nil {
		if failed := forget(r.device); failed != nil {
			return failed
		}
		return &MountError{err}
	}
	return nil
}

// Unmount unmounts.
func (r *Replayer) Unmount() error {
	if err := unmount(r.dir); err != nil {
		return err
	}
	return forget(r.device)
}

// Dir is where it mounts.
func (r *Replayer) Dir() string { return r.dir }

// make writes the image: what of it is not as it has to be. Images of the same sum are the same.
func (r *Replayer) make(c Cut) (sum uint64, err error) {
	open, err := r.durable(c)
	if err != nil {
		return 0, err
	}
	if open < r.made || r.disk == nil {
		r.made, r.disk = 0, make(pages)
		for _, p := range r.base {
			r.disk.write(p.offset, int64(len(p.data)), p.data)
		}
	}
	for ; r.made < open; r.made++ {
		r.disk.apply(r.log[r.made])
	}
	disk, lost := maps.Clone(r.disk), c.Lost
	for i, e := range r.log[open:c.At] {
		if len(lost) > 0 && lost[0] == open+i {
			lost = lost[1:]
		} else {
			disk.apply(e)
		}
	}
	for _, p := range disk {
		sum += p.sum
	}
	return sum, r.show(disk)
}

// durable is the number of entries of which the power loss loses nothing. A power loss
// that cannot be is refused.
func (r *Replayer) durable(c Cut) (open int, err error) {
	if c.At > len(r.log) {
		return 0, fmt.Errorf("the log has %d entries, not %d", len(r.log), c.At)
	}
	for i, e := range r.log[:c.At] {
		if e.Flush {
			open = i
		}
	}
	for n, i := range c.Lost {
		switch {
		case i >= c.At || n > 0 && c.Lost[n-1] >= i:
			return 0, fmt.Errorf("entry %d is not before %d, or they are not in order", i, c.At)
		case i < open:
			return 0, fmt.Errorf("entry %d cannot be lost: the flush %d made it durable", i, open)
		case r.log[i].Size == 0 || r.log[i].FUA:
			return 0, fmt.Errorf("entry %d cannot be lost: it is no write, or durable by itself", i)
		}
	}
	return open, nil
}

// show makes the image one of the disk.
func (r *Replayer) show(disk pages) error {
	same := make(map[int64]bool, len(disk))
	for part, err := range parts(r.image) {
		if err != nil {
			return err
		}
		hole := part.begin
		for at := part.begin; at <= part.end; at += pageSize {
			page, is := disk[at]
			if !is && at < part.end {
				continue
			}
			if hole < at {
				if err := unix.Fallocate(int(r.image.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, hole, at-hole); err != nil {
					return os.NewSyscallError("fallocate", err)
				}
			}
			hole = at + pageSize
			same[at] = at < part.end && bytes.Equal(page.data, r.shown[at:hole])
		}
	}
	for at, page := range disk {
		if !same[at] {
			if _, err := r.image.WriteAt(page.data, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// pages are what is on a disk and not zero, by offset.
type pages map[int64]page

// A page is never changed: another disk may have it.
type page struct {
	data []byte
	sum  uint64 // of the data and the offset
}

var hashes = maphash.MakeSeed()

// apply does what the entry did.
func (p pages) apply(e Entry) { p.write(e.Offset, e.Size, e.Data) }

// write writes so many bytes of data, or of zeroes if that is nil.
func (p pages) write(offset, size int64, data []byte) {
	for at := offset; at < offset+size; {
		begin := at % pageSize
		end := min(pageSize, begin+offset+size-at)
		first := at - begin
		changed := make([]byte, pageSize, pageSize+8)
		copy(changed, p[first].data)
		if data == nil {
			clear(changed[begin:end])
		} else {
			copy(changed[begin:end], data[at-offset:])
		}
		if bytes.Equal(changed, zeroes) {
			delete(p, first)
		} else {
			p[first] = page{changed, maphash.Bytes(hashes, binary.LittleEndian.AppendUint64(changed, uint64(first)))}
		}
		at += end - begin
	}
}
