package powerloss

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// roleDisk is the process that serves one disk: IMAGE LOG TARGET.
const roleDisk = "powerloss-disk"

// Files of the served disk.
const (
	diskName = "disk"
	markName = "mark"
)

// MarkBegin is the mark from which on power may be lost.
const MarkBegin = "begin"

// Record runs a program on the image, mounted at dir, and returns all that reached
// the disk. The program writes marks. What happened before it is durable. The image is
// changed. Beside the image is a directory "fuse", where the disk is served.
func Record(f FileSystem, image, dir string, program func(mark func(text string) error) error) (log []Entry, err error) {
	fuse := filepath.Join(filepath.Dir(image), "fuse")
	logged := image + ".log"
	server := proc.New(roleDisk, image, logged, fuse)
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer server.Kill()
	if line, err := server.Line(); err != nil || line != "mounted" {
		_ = server.Wait()
		return nil, &Unavailable{"power loss", "FUSE does not work here: " + server.Said()}
	}
	defer os.Remove(logged)
	err = func() (err error) {
		disk, err := os.OpenFile(filepath.Join(fuse, diskName), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer disk.Close()
		marks, err := os.OpenFile(filepath.Join(fuse, markName), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer marks.Close()
		device, err := attach(disk)
		if err != nil {
			return err
		}
		defer device.Close()
		mark := func(text string) error {
			_, err := marks.Write([]byte(text))
			return err
		}
		return mounted(device.Name(), dir, f.kind, f.record, func() error {
			if err := syncAll(dir); err != nil {
				return err
			}
			if err := mark(MarkBegin); err != nil {
				return err
			}
			return errors.Join(program(mark), mark(markEnd))
		})
	}()
	if failed := unix.Unmount(fuse, 0); failed != nil {
		_ = unix.Unmount(fuse, unix.MNT_DETACH)
	}
	server.Shut()
	if failed := server.Wait(); err == nil && failed != nil {
		err = fmt.Errorf("the disk that is recorded: %w", failed)
	}
	if err != nil {
		return nil, err
	}
	file, err := os.Open(logged)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if log, err = ReadLog(file); err != nil {
		return nil, err
	}
	for i, e := range log {
		if e.Mark == markEnd { // then it was unmounted
			return log[:i+1], nil
		}
	}
	return nil, errors.New("the log of the recorded disk has no end")
}

// markEnd is the mark after which nothing happened but the end.
const markEnd = "end"

// syncAll makes everything on the file system of dir durable.
func syncAll(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return os.NewSyscallError("syncfs", unix.Syncfs(fd))
}
