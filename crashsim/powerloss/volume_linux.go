package powerloss

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A FileSystem says how a file system of one kind is made and mounted: small, with
// fixed identifiers, and so that it writes only when it has to.
type FileSystem struct {
	Name    string
	kind    string
	mib     int64
	make    []string // command, without the image
	record  string   // mount options when a program runs
	recover string   // mount options after a power loss
}

const fixedID = "5ca1ab1e-0000-4000-8000-00000000dead"

var fileSystems = []FileSystem{
	{"ext4", "ext4", 16, ext4(), "data=ordered,commit=300", "data=ordered"},
	{"xfs", "xfs", 300, []string{"mkfs.xfs", "-q", "-m", "uuid=" + fixedID}, "nouuid", "nouuid"},
	{"btrfs", "btrfs", 120, []string{"mkfs.btrfs", "-q", "-n", "4096"}, "commit=300,nodiscard", "nodiscard"},
	{"ext4-journal", "ext4", 16, ext4(), "data=journal,commit=300", "data=journal"},
	{"ext4-writeback", "ext4", 16, ext4(), "data=writeback,commit=300", "data=writeback"},
	{"ext4-nobarrier", "ext4", 16, ext4(), "data=ordered,commit=300,barrier=0", "data=ordered"},
}

func ext4() []string {
	return []string{"mkfs.ext4", "-q", "-F", "-b", "1024", "-N", "512", "-J", "size=1", "-m", "0", "-U", fixedID,
		"-E", "lazy_itable_init=0,lazy_journal_init=0,hash_seed=" + fixedID}
}

// Kind is the type that mount(2) knows, and RecordOptions are its options while a program runs.
func (f FileSystem) Kind() string          { return f.kind }
func (f FileSystem) RecordOptions() string { return f.record }

// atom is how many bytes it takes for granted that the disk writes whole or not at all: those
// of its super block, which is in one place. If that is torn, it cannot be mounted.
func (f FileSystem) atom() int64 {
	switch f.kind {
	case "btrfs":
		return 4096
	case "ext4":
		return 1024
	}
	return sector
}

// Names are those that [FileSystemOf] knows.
func Names() (names []string) {
	for _, f := range fileSystems {
		names = append(names, f.Name)
	}
	return names
}

// FileSystemOf is the file system of the name.
func FileSystemOf(name string) (FileSystem, error) {
	for _, f := range fileSystems {
		if f.Name == name {
			return f, nil
		}
	}
	return FileSystem{}, fmt.Errorf("no file system %q; there are: %s", name, strings.Join(Names(), ", "))
}

// An Unavailable file system cannot be had here. It matches errors.ErrUnsupported.
type Unavailable struct{ What, Why string }

func (u *Unavailable) Error() string        { return u.What + ": " + u.Why }
func (u *Unavailable) Is(target error) bool { return target == errors.ErrUnsupported }

// Available says why there is no such file system here: an [*Unavailable], or nil. The
// kernel may load a module for it.
func (f FileSystem) Available() error {
	if os.Geteuid() != 0 {
		return &Unavailable{f.Name, "mounting needs root"}
	}
	for _, path := range []string{"/dev/fuse", "/dev/loop-control"} {
		device, err := os.OpenFile(path, os.O_RDWR, 0) // a container may have the name alone
		if err != nil {
			return &Unavailable{f.Name, err.Error()}
		}
		device.Close()
	}
	if _, err := exec.LookPath(f.make[0]); err != nil {
		return &Unavailable{f.Name, f.make[0] + " is not installed"}
	}
	// Without a disk nothing is mounted; whether there is such a file system, and whether
	// this user may mount it, which root of a user name space may not, the kernel asks before.
	switch err := unix.Mount("", "/", f.kind, 0, ""); err {
	case unix.ENODEV:
		return &Unavailable{f.Name, "this kernel has none"}
	case unix.EPERM, unix.EACCES:
		return &Unavailable{f.Name, "mounting is refused: " + err.Error()}
	}
	return nil
}

// Make makes an empty file system in the file at path, with holes where it is zero: some
// write zeroes to all of their journal.
func (f FileSystem) Make(path string) error {
	full := path + ".full"
	defer os.Remove(full)
	file, err := os.OpenFile(full, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(f.mib<<20), file.Close()); err != nil {
		return err
	}
	output, err := exec.Command(f.make[0], append(f.make[1:], full)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", f.make[0], err, output)
	}
	return copyImage(full, path)
}

// attach makes a block device of the file. The device is there until the result and
// everything that is mounted from it is closed.
func attach(file *os.File) (device *os.File, err error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 100 { // others take free devices, too
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, os.NewSyscallError("LOOP_CTL_GET_FREE", err)
		}
		device, err := os.OpenFile(loopPath(n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd())}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return device, nil
		}
		device.Close()
		if err != unix.EBUSY {
			return nil, os.NewSyscallError("LOOP_CONFIGURE", err)
		}
	}
	return nil, errors.New("every free loop device was taken by somebody else")
}

// forget makes the kernel have nothing of the device in memory, after it was unmounted.
// BLKFLSBUF would leave alone what is just being read, ahead of its use; a change of the
// size of blocks waits for that, and for the end of what was mounted.
func forget(device *os.File) error {
	for _, size := range []int{4096, 1024} { // ext4 would change to the second
		err := patiently(func() error { return unix.IoctlSetPointerInt(int(device.Fd()), unix.BLKBSZSET, size) })
		if err != nil {
			return os.NewSyscallError("BLKBSZSET", err)
		}
	}
	return nil
}

func loopPath(n int) string {
	path := "/dev/loop" + strconv.Itoa(n)
	if _, err := os.Stat(path); err != nil {
		// In a container nobody makes the nodes of new devices.
		_ = unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(7, uint32(n))))
	}
	return path
}

// mountImage mounts the image at dir, calls f, and unmounts.
func (f FileSystem) mountImage(image, dir string, do func() error) error {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	device, err := attach(file)
	if err != nil {
		return err
	}
	defer device.Close()
	return mounted(device.Name(), dir, f.kind, f.record, do)
}

// mounted mounts for the time of do.
func mounted(source, dir, kind, options string, do func() error) error {
	if err := unix.Mount(source, dir, kind, unix.MS_NOATIME, options); err != nil {
		return &os.PathError{Op: "mount " + kind, Path: source, Err: err}
	}
	err := do()
	if failed := unmount(dir); failed != nil {
		err = errors.Join(err, failed)
		_ = unix.Unmount(dir, unix.MNT_DETACH)
	}
	return err
}

// busyPatience is how long a mount may be busy: a process that another worker is just
// starting has all that was open here until it executes its program.
const busyPatience = 5 * time.Second

// patiently does it until it is not busy.
func patiently(do func() error) error {
	err := do()
	for deadline := time.Now().Add(busyPatience); err == unix.EBUSY && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // nothing tells when a mount stops being busy
		err = do()
	}
	return err
}

// unmount unmounts.
func unmount(dir string) error {
	if err := patiently(func() error { return unix.Unmount(dir, 0) }); err != nil {
		return &os.PathError{Op: "unmount", Path: dir, Err: err}
	}
	return nil
}

// copyImage copies a sparse file.
func copyImage(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer target.Close()
	pages, size, err := pagesOf(source)
	if err != nil {
		return err
	}
	for _, p := range pages {
		if _, err := target.WriteAt(p.data, p.offset); err != nil {
			return err
		}
	}
	return target.Truncate(size)
}

// A run is what is in a part of an image that is not zero.
type run struct {
	offset int64
	data   []byte
}

const pageSize = 4096

var zeroes = make([]byte, pageSize)

// A part of a file is from an offset to another, in whole pages.
type part struct{ begin, end int64 }

// parts are those that are not holes.
func parts(file *os.File) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		var p part
		for {
			var err error
			if p.begin, err = unix.Seek(int(file.Fd()), p.end, unix.SEEK_DATA); err == unix.ENXIO {
				return
			}
			if err == nil {
				p.end, err = unix.Seek(int(file.Fd()), p.begin, unix.SEEK_HOLE)
			}
			p.begin -= p.begin % pageSize // blocks may be smaller
			p.end = (p.end + pageSize - 1) / pageSize * pageSize
			if !yield(p, os.NewSyscallError("lseek", err)) || err != nil {
				return
			}
		}
	}
}

// pagesOf reads what is not zero.
func pagesOf(file *os.File) (runs []run, size int64, err error) {
	if size, err = file.Seek(0, io.SeekEnd); err != nil {
		return nil, 0, err
	}
	page := make([]byte, pageSize)
	for part, err := range parts(file) {
		if err != nil {
			return nil, 0, err
		}
		for at := part.begin; at < part.end; at += pageSize {
			if _, err := file.ReadAt(page, at); err != nil && err != io.EOF {
				return nil, 0, err
			}
			if bytes.Equal(page, zeroes) {
				continue
			}
			if last := len(runs) - 1; last >= 0 && runs[last].offset+int64(len(runs[last].data)) == at {
				runs[last].data = append(runs[last].data, page...)
			} else {
				runs = append(runs, run{at, append([]byte(nil), page...)})
			}
		}
	}
	return runs, size, nil
}

// Workshop makes the mounts of this process its own, which needs a mount name space of
// its own, and mounts a memory file system at dir, which exists. All that it and its
// processes mount ends with them. The error is an [*Unavailable] if mounting is refused.
func Workshop(dir string) error {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil && os.Getpid() == 1 { // and what /proc says has to be of this name space
		err = unix.Mount("proc", "/proc", "proc", 0, "")
	}
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700")
	}
	if err != nil {
		return &Unavailable{"power loss", "mounting is refused: " + err.Error()}
	}
	return nil
}
