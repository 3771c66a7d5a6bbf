package powerloss

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Replayer puts a disk into the states that power losses leave, and mounts it. It
// has one image and one device, for one goroutine, and needs a mount name space of
// its own, with which everything ends.
type Replayer struct {
	fs     FileSystem
	dir    string
	log    []Entry
	base   []run
	size   int64
	image  *os.File
	device *os.File
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
		r.device, err = attach(r.image)
	}
	if err != nil {
		r.image.Close()
		return nil, err
	}
	return r, nil
}

// Close frees image and device.
func (r *Replayer) Close() error {
	return errors.Join(r.device.Close(), r.image.Close(), os.Remove(r.image.Name()))
}

// Mount makes what the power loss left and mounts it; the kernel recovers its
// journal. The error is a [*MountError] if it cannot. A power loss that cannot be, because
// something that it loses was durable, is refused by another error.
func (r *Replayer) Mount(c Cut) error {
	if err := r.make(c); err != nil {
		return err
	}
	// What the device has in memory is of the state before.
	if err := unix.IoctlSetInt(int(r.device.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return os.NewSyscallError("BLKFLSBUF", err)
	}
	if err := unix.Mount(r.device.Name(), r.dir, r.fs.kind, unix.MS_NOATIME, r.fs.recover); err != nil {
		return &MountError{err}
	}
	return nil
}

// Unmount unmounts.
func (r *Replayer) Unmount() error { return unmount(r.dir) }

// Dir is where it mounts.
func (r *Replayer) Dir() string { return r.dir }

// make writes the image.
func (r *Replayer) make(c Cut) error {
	if c.At > len(r.log) {
		return fmt.Errorf("the log has %d entries, not %d", len(r.log), c.At)
	}
	if err := r.punch(0, r.size); err != nil {
		return err
	}
	for _, p := range r.base {
		if _, err := r.image.WriteAt(p.data, p.offset); err != nil {
			return err
		}
	}
	lost := c.Lost
	for i, e := range r.log[:c.At] {
		if e.Flush && len(lost) < len(c.Lost) {
			return fmt.Errorf("entry %d cannot be lost: the flush %d made it durable", c.Lost[0], i)
		}
		if len(lost) > 0 && lost[0] == i {
			if e.Size == 0 || e.FUA {
				return fmt.Errorf("entry %d cannot be lost: it is no write, or durable by itself", i)
			}
			lost = lost[1:]
			continue
		}
		var err error
		switch {
		case e.Size == 0:
		case e.Data == nil:
			err = r.punch(e.Offset, e.Size)
		default:
			_, err = r.image.WriteAt(e.Data, e.Offset)
		}
		if err != nil {
			return err
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("entry %d is not before %d, or they are not in order", lost[0], c.At)
	}
	return nil
}

func (r *Replayer) punch(offset, size int64) error {
	return os.NewSyscallError("fallocate", unix.Fallocate(int(r.image.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, offset, size))
}
