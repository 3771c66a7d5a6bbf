package worlds

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// obstruct puts in the way what the world has: mounts, flags, a full disk, a
// read-only file system.
func (s *site) obstruct() error {
	canary := filepath.Join(s.dir, "canary")
	var err error
	if s.outside[canary], err = look(canary); err != nil {
		return err
	}
	if s.is(space, "noblocks", "noinodes") {
		if err := s.fill(); err != nil {
			return err
		}
	}
	if s.is(shape, "immutable", "frozen", "pinned", "locked") {
		if err := refused("set a flag", setFlag(s.flagged(), unix.STATX_ATTR_IMMUTABLE)); err != nil {
			return err
		}
	}
	if s.is(fileSystem, "readonly") {
		if err := s.mount(s.dir, s.dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		if err := unix.Mount("", s.dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return refused("remount", err)
		}
	}
	if err := s.occupy(); err != nil {
		return err
	}
	at := filepath.Join(s.victim, behind)
	if s.is(shape, "mounted", "deadvictim") {
		at = s.victim
		if s.under, err = os.Open(at); err != nil {
			return err
		}
		s.held = append(s.held, s.under)
	}
	switch s.value(shape) {
	case "mounts", "mounted":
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=1m,mode=755"); err != nil {
			return refused("mount", err)
		}
		if err := os.WriteFile(filepath.Join(at, "f"), []byte("behind"), 0o644); err != nil {
			return err
		}
		dir, err := os.Open(at) // reaches it wherever it is by then
		if err != nil {
			return err
		}
		s.held = append(s.held, dir)
		if path := byDescriptor(dir); !s.is(company, "writer") {
			s.outside[path], err = look(path)
		}
		return err
	case "livefuse":
		output, err := exec.Command("bindfs", filepath.Join(s.dir, "canary"), at).CombinedOutput()
		if err != nil {
			return refused("bindfs "+string(output), err)
		}
	case "deadfuse", "deadvictim":
		if err := refused("mount fuse", deadFUSE(at)); err != nil {
			return err
		}
	case "sealed":
		if s.sealed, err = os.Open(filepath.Join(s.victim, "sub")); err != nil {
			return err
		}
		if err := refused("make a subvolume read-only", seal(s.sealed, true)); err != nil {
			return err
		}
	}
	return nil
}

// flagged is what is immutable.
func (s *site) flagged() string {
	switch s.value(shape) {
	case "frozen":
		return s.victim
	case "pinned":
		if s.ofStore() && !s.dead {
			return s.home()
		}
		return filepath.Dir(s.victim)
	case "locked": // what has to be written
		if s.ofStore() {
			return filepath.Join(s.store, "ls", "layers.json")
		} else if s.dead {
			return filepath.Join(s.root, "lock-"+staleID)
		}
	}
	return filepath.Join(s.victim, "d", "f")
}

// byDescriptor is a path to what is open, wherever it is.
func byDescriptor(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d/.", f.Fd()) }

// occupy uses the victim, or what is beside it, in another place.
func (s *site) occupy() error {
	canary, at := filepath.Join(s.dir, "canary"), filepath.Join(s.dir, "u")
	dir, name := filepath.Split(s.victim)
	switch s.value(use) {
	case "nobody", "held":
		return nil
	case "whole", "part":
		what := s.victim
		if s.is(use, "part") && !s.is(shape, "file", "symlink") {
			what = filepath.Join(what, "d")
		}
		info, err := os.Lstat(what)
		if err == nil && !info.IsDir() {
			at += "f"
		}
		if err == nil {
			err = refused("bind mount", unix.Mount(what, at, "", unix.MS_BIND, ""))
		}
		if err != nil {
			return err
		}
	default:
		lower := map[string]string{"overlay": s.victim, "relative": name, "unrelated": filepath.Base(canary)}[s.value(use)]
		if s.is(use, "unrelated") {
			if dir = s.dir; s.ofStore() {
				dir, lower = s.home(), strings.TrimPrefix(s.layer("kept"), s.home()+"/")
			}
		}
		mount := exec.Command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+lower+":"+filepath.Join(s.dir, "lowest"), at)
		mount.Dir = dir
		if output, err := mount.CombinedOutput(); err != nil {
			return refused("an overlay of it: "+strings.TrimSpace(string(output)), err)
		}
	}
	if s.is(program, "store-delete", "overlay-delete") && !s.is(use, "unrelated") && !s.is(company, "writer") {
		var err error
		s.used[at], err = look(at)
		return err
	}
	return nil
}

// lift takes away what was in the way, wherever it is by now.
func (s *site) lift() {
	if s.is(fileSystem, "readonly") {
		_ = unix.Mount("", s.dir, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	}
	keep := map[string]bool{}
	for _, at := range s.keep {
		keep[at] = true
	}
	for _, at := range slices.Backward(mountsBelow(s.dir)) {
		if !keep[at] && !strings.HasPrefix(at, filepath.Join(s.dir, "a")+"/") {
			_ = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	}
	clearFlags(s.store)
	if s.sealed != nil {
		_ = seal(s.sealed, false)
	}
	if s.is(rootIs, "exposed") {
		_ = os.Chmod(s.root, 0o700)
	}
	if s.volume != nil {
		_ = os.RemoveAll(filepath.Join(s.dir, "full"))
		_ = s.room()
	}
}

// taker is the n-th file that takes an inode of the volume. Most of them stay from one
// world to the next: they take long to make, on FUSE and where there is no journal.
func (v *volume) taker(n int) string { return filepath.Join(v.dir, "taker", fmt.Sprint(n)) }

// room gives as many inodes back as a world of this shape needs.
func (s *site) room() error {
	var free unix.Statfs_t
	if err := unix.Statfs(s.volume.dir, &free); err != nil {
		return err
	}
	needed := map[string]int{"deep": depth, "wide": width}[s.value(shape)] + 150
	if s.is(place, "lower") {
		needed *= 2
	}
	for ; s.volume.takers > 0 && int(free.Ffree) < needed; free.Ffree++ {
		s.volume.takers--
		if err := os.Remove(s.volume.taker(s.volume.takers)); err != nil {
			return err
		}
	}
	return nil
}

// fill takes all blocks, or all inodes, of the site's volume.
func (s *site) fill() error {
	if s.is(space, "noinodes") {
		return s.volume.takeInodes()
	}
	dir := filepath.Join(s.dir, "full")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for n := 0; ; n++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			return nil
		}
		wrote := 0
		for size := 1 << 20; size > 0; size /= 4 {
			for unix.Fallocate(int(f.Fd()), 0, int64(wrote), int64(size)) == nil {
				wrote += size
			}
		}
		for size := 1 << 16; size > 0; size /= 16 {
			for {
				n, err := f.WriteAt(make([]byte, size), int64(wrote))
				if wrote += n; err != nil {
					_ = f.Sync() // what had no block of its own gets one now
					break
				}
			}
		}
		f.Close()
		if wrote == 0 {
			return nil
		}
	}
}

func (v *volume) takeInodes() error {
	var free unix.Statfs_t
	if err := unix.Statfs(v.dir, &free); err != nil {
		return err
	}
	if free.Files == 0 || free.Ffree > maxInodes {
		return refused("take all inodes, which are made when they are needed", unix.EOVERFLOW)
	}
	err := os.MkdirAll(filepath.Dir(v.taker(0)), 0o700)
	for ; err == nil; v.takers++ {
		if err = unix.Mknod(v.taker(v.takers), unix.S_IFREG|0o600, 0); errors.Is(err, unix.ENOSPC) {
			return nil
		}
	}
	return err
}
