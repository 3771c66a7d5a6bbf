//go:build linux

package disk_test

import (
	"fmt"
	"io/fs"
	"os"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/kernel"
)

// run makes the step on both and returns what both answered.
func (p *pair) run(s step) (simulated, real string) {
	a := p.on(p.processes[s.Process], s, &p.simulated, func(path string) string { return path })
	p.become(true)
	defer p.become(false)
	b := p.on(p.kernel, s, &p.real, p.path)
	return p.canonical(a), p.text(b)
}

// An answer is everything that a call returns, but for descriptors.
type answer struct {
	err        error
	attributes *kernel.Attributes
	more       string
}

func (p *pair) on(k kernel.Kernel, s step, fds *[2][slots]int, path func(string) string) (a answer) {
	fd, fd2 := fds[s.Process][s.Slot], fds[s.Process][s.Slot2]
	name, name2 := s.Name, s.Name2
	if strings.HasPrefix(name, "/") {
		name = path(name)
	}
	process, _ := k.(*disk.Process)
	opened := func(got int, err error) {
		a.err = err
		if err == nil {
			to := &fds[s.Process][s.To]
			if *to != 4000 {
				_ = k.Close(*to)
			}
			delete(p.listed, place{process != nil, s.Process, got})
			*to = got
		}
	}
	if !p.options.Privileged && (s.Call == "immutable" || s.Call == "mount") || s.Call == "mount" && (p.mounted != "" || len(name) > 2000) {
		return answer{}
	}
	switch s.Call {
	case "OpenRoot":
		got, _, err := k.OpenRoot(name)
		opened(got, err)
	case "OpenUnnamed":
		opened(k.OpenUnnamed(fd))
	case "CreateLock":
		opened(k.CreateLock(fd, name))
	case "OpenLock":
		opened(k.OpenLock(fd, name))
	case "OpenDirectory":
		opened(k.OpenDirectory(fd, name))
	case "TakeLock":
		a.err = k.TakeLock(fd)
	case "WriteOwner":
		a.err = k.WriteOwner(fd, []byte("owner "+s.Name[:min(len(s.Name), 3)]))
	case "LinkLock":
		a.err = k.LinkLock(fd, fd2, name)
	case "Stat":
		got, err := k.Stat(fd)
		a.attributes, a.err = &got, err
	case "StatName":
		got, err := k.StatName(fd, name)
		a.attributes, a.err = &got, err
	case "RemoveLock":
		a.err = k.RemoveLock(fd, name)
	case "MakeData":
		a.err = k.MakeData(fd, name)
	case "StageDeletion":
		a.err = k.StageDeletion(name, fd, path(name2))
	case "Commit":
		a.err = k.Commit(fd, name, path(name2))
	case "SyncData":
		a.err = k.SyncData(fd)
	case "RemoveData":
		a.err = k.RemoveData(fd, name)
	case "List":
		entries, err := k.List(fd, nil)
		a.err = err
		// What a listing says of names that came or went since it began is for
		// the file system to choose, so only the first batch is compared: all.
		if at := (place{process != nil, s.Process, fd}); p.listed[at] || err != nil {
			entries = nil
		} else {
			p.listed[at] = true
		}
		var words []string
		for _, e := range entries {
			words = append(words, fmt.Sprintf("%.20s %v", e.Name, e.Type))
		}
		sort.Strings(words)
		a.more = strings.Join(words, ", ")
	case "RemoveEntry":
		a.err = k.RemoveEntry(fd, name)
	case "RemoveDirectory":
		a.err = k.RemoveDirectory(fd, name)
	case "Hoist":
		a.err = k.Hoist(fd, name, fd2, path(name2))
	case "ChangeMode":
		a.err = k.ChangeMode(fd, name, 0o700)
	case "ClearFlags":
		got, err := k.ClearFlags(fd, name)
		a.more, a.err = fmt.Sprint(got), err
	case "OpenToInspect":
		opened(k.OpenToInspect(fd, name))
	case "LockHolder":
		got, err := k.LockHolder(fd)
		a.more, a.err = fmt.Sprint(got), err
	case "ReadOwner":
		got, err := k.ReadOwner(fd)
		a.more, a.err = fmt.Sprintf("%q", got), err
	case "Close":
		a.err = k.Close(fd)
		if a.err == nil {
			fds[s.Process][s.Slot] = 4000
		}
	case "kill":
		if process != nil {
			process.Kill()
			process.Restart(0)
		} else {
			p.closeAll(s.Process)
		}
	case "mount":
		if process != nil {
			a.err = process.Mount(name + "/.") // a directory
		} else if a.err = unix.Mount(name+"/.", name+"/.", "", unix.MS_BIND, ""); a.err == nil {
			p.mounted = name
		}
	default:
		if process != nil {
			a.err = otherSimulated(process, s)
		} else {
			a.err = otherReal(s, path)
		}
	}
	return a
}

func mode(text string) (perm fs.FileMode) {
	_, _ = fmt.Sscanf(text, "%o", &perm)
	return perm
}

func otherSimulated(k *disk.Process, s step) error {
	switch s.Call {
	case "mkdir":
		return k.Mkdir(s.Name)
	case "file":
		return k.Make(s.Name, 0, "content")
	case "fifo":
		return k.Make(s.Name, fs.ModeNamedPipe, "")
	case "socket":
		return k.Make(s.Name, fs.ModeSocket, "")
	case "symlink":
		return k.Make(s.Name, fs.ModeSymlink, s.Name2)
	case "rename":
		return k.Rename(s.Name, s.Name2)
	case "chmod":
		return k.Chmod(s.Name, mode(s.Name2))
	}
	return k.SetImmutable(s.Name, s.Name2 == "set")
}

func otherReal(s step, path func(string) string) error {
	name := path(s.Name)
	switch s.Call {
	case "mkdir":
		return unix.Mkdir(name, 0o700)
	case "file":
		err := unix.Mknod(name, unix.S_IFREG|0o600, 0)
		if err == nil {
			err = os.WriteFile(name, []byte("content"), 0)
		}
		return err
	case "fifo":
		return unix.Mknod(name, unix.S_IFIFO|0o600, 0)
	case "socket":
		return unix.Mknod(name, unix.S_IFSOCK|0o600, 0)
	case "symlink":
		return unix.Symlink(path(s.Name2), name)
	case "rename":
		return unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, path(s.Name2), unix.RENAME_NOREPLACE)
	case "chmod":
		return unix.Chmod(name, uint32(mode(s.Name2)))
	}
	return setImmutable(name, s.Name2 == "set")
}

func setImmutable(path string, immutable bool) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	flags &^= unix.STATX_ATTR_IMMUTABLE
	if immutable {
		flags |= unix.STATX_ATTR_IMMUTABLE
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags)
}

// text is an answer in words. Numbers of inodes and devices mean nothing here.
func (p *pair) text(a answer) string {
	words := []string{"ok"}
	if a.err != nil {
		words[0] = a.err.Error()
		if errno, ok := a.err.(unix.Errno); ok {
			words[0] = unix.ErrnoName(errno)
		}
	} else if a.attributes != nil {
		words = append(words, fmt.Sprintf("%v, %d links, mount %v, immutable %v",
			a.attributes.Mode, a.attributes.Links, a.attributes.MountRoot, a.attributes.Immutable))
	}
	if a.err == nil {
		words = append(words, a.more)
	}
	return strings.Join(words, "; ")
}

// canonical is text, for the disk.
func (p *pair) canonical(a answer) string { return p.text(a) }
