package worlds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How large the shapes are.
const (
	depth = 150
	width = 600

	maxInodes = 4000 // that a full volume has
)

// behind is where the shapes with a mount have it.
const behind = "m"

// plant makes what is to be deleted, of the world's shape and owner. What keeps
// somebody from looking at it comes with obstruct.
func (s *site) plant(at string) error {
	p := planter{s: s, at: at}
	switch s.value(shape) {
	case "file":
		p.do(".", func(path string) error { return os.WriteFile(path, []byte("file"), 0o600) })
		return p.end()
	case "symlink":
		p.do(".", func(path string) error { return os.Symlink(filepath.Join(s.dir, "canary"), path) })
		return p.end()
	case "subvolumes":
		p.do(".", func(path string) error {
			return refused("make a subvolume", subvolume(filepath.Dir(path), filepath.Base(path)))
		})
	default:
		p.dir(".")
	}
	p.file("f")
	p.dir("d")
	p.file("d/f")
	p.do("link", func(path string) error { return os.Symlink("../../canary/d", path) })
	switch s.value(shape) {
	case "closed":
		for _, name := range []string{"0300", "0555", "0000"} {
			p.dir(name)
			p.file(name + "/f")
		}
	case "foreign":
		p.dir("x")
		p.file("x/f")
		by := stranger
		if s.is(user, "namespace") {
			by = subordinate + 5
		}
		for _, name := range []string{"x/f", "x"} {
			p.do(name, func(path string) error {
				return errors.Join(os.Chmod(path, 0o700), os.Lchown(path, by, by))
			})
		}
	case "mounts", "livefuse", "deadfuse":
		p.dir(behind)
	case "deep":
		p.dir("deep" + strings.Repeat("/d", depth))
	case "wide":
		for i := range width {
			p.file(fmt.Sprint("w", i))
		}
	case "hardlinks":
		p.do("h", func(path string) error {
			return refused("link", os.Link(filepath.Join(s.dir, "canary", "f"), path))
		})
	case "names":
		for _, name := range []string{"\xff\xfe", "new\nline", "-rf", " ", strings.Repeat("x", 255), "lock-" + staleID, "temp-dir-" + staleID} {
			p.file(name)
		}
	case "special":
		p.do("fifo", func(path string) error { return unix.Mkfifo(path, 0o600) })
		p.do("socket", func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) })
	case "whiteouts":
		p.do("wh", func(path string) error { return refused("mknod", unix.Mknod(path, unix.S_IFCHR, 0)) })
		p.do("null", func(path string) error {
			return refused("mknod", unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		})
	case "subvolumes":
		p.do("sub", func(path string) error { return subvolume(filepath.Dir(path), filepath.Base(path)) })
		p.file("sub/f")
	case "acl":
		p.do("d", func(path string) error { return refused("set an ACL", setACL(path)) })
	}
	p.end()
	if s.is(shape, "closed") {
		for name, mode := range map[string]os.FileMode{"0300": 0o300, "0555": 0o555, "0000": 0, ".": 0o555} {
			p.do(name, func(path string) error { return os.Chmod(path, mode) })
		}
	}
	return p.err
}

// end keeps what was made.
func (p *planter) end() error {
	if p.err == nil {
		p.s.before, p.err = look(p.at)
	}
	return p.err
}

// A planter makes names below at, until one cannot be made.
type planter struct {
	s   *site
	at  string
	err error
}

func (p *planter) do(name string, make func(path string) error) {
	if p.err == nil {
		path := filepath.Join(p.at, name)
		if p.err = make(path); p.err == nil && name != "x" && name != "x/f" && name != "h" {
			p.err = p.s.own(path)
		}
	}
}

// dir makes a directory, and those on the way to it.
func (p *planter) dir(name string) {
	p.do(name, func(path string) error {
		err := os.MkdirAll(path, 0o755)
		for at := path; err == nil && len(at) > len(p.at); at = filepath.Dir(at) {
			err = p.s.own(at)
		}
		return err
	})
}

func (p *planter) file(name string) {
	p.do(name, func(path string) error { return os.WriteFile(path, []byte("content of "+name), 0o644) })
}

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
	if s.is(fileSystem, "readonly") {
		if err := s.mount(s.dir, s.dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		if err := unix.Mount("", s.dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return refused("remount", err)
		}
	}
	at := filepath.Join(s.victim, behind)
	switch s.value(shape) {
	case "mounts":
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
		path := fmt.Sprintf("/proc/self/fd/%d/.", dir.Fd())
		if s.outside[path], err = look(path); err != nil {
			return err
		}
	case "livefuse":
		output, err := exec.Command("bindfs", filepath.Join(s.dir, "canary"), at).CombinedOutput()
		if err != nil {
			return refused("bindfs "+string(output), err)
		}
	case "deadfuse":
		if err := refused("mount fuse", deadFUSE(at)); err != nil {
			return err
		}
	case "immutable":
		if err := refused("set a flag", setFlag(filepath.Join(s.victim, "d", "f"), unix.STATX_ATTR_IMMUTABLE)); err != nil {
			return err
		}
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
	for _, at := range mountsBelow(s.dir) {
		if !keep[at] && filepath.Base(at) == behind && at != filepath.Join(s.store, behind) {
			_ = unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	}
	clearFlags(s.store)
	_ = os.RemoveAll(filepath.Join(s.dir, "full"))
}

// fill takes all blocks, or all inodes, of the site's volume.
func (s *site) fill() error {
	dir := filepath.Join(s.dir, "full")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	inodes := s.is(space, "noinodes")
	var free unix.Statfs_t
	if err := unix.Statfs(dir, &free); err != nil {
		return err
	}
	if inodes && (free.Files == 0 || free.Ffree > maxInodes) {
		return refused("take all inodes, which are made when they are needed", unix.EOVERFLOW)
	}
	for n := 0; ; n++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			if inodes && !errors.Is(err, unix.ENOSPC) {
				return err
			}
			return nil
		}
		wrote := 0
		for size := 1 << 20; !inodes && size > 0; size /= 4 {
			for unix.Fallocate(int(f.Fd()), 0, int64(wrote), int64(size)) == nil {
				wrote += size
			}
		}
		for size := 1 << 16; !inodes && size > 0; size /= 16 {
			for {
				n, err := f.WriteAt(make([]byte, size), int64(wrote))
				if wrote += n; err != nil {
					_ = f.Sync() // what had no block of its own gets one now
					break
				}
			}
		}
		f.Close()
		if !inodes && wrote == 0 {
			return nil
		}
	}
}

// deadFUSE mounts a file system whose server is gone: every call there fails.
func deadFUSE(at string) error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Mount("dead", at, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd))
}

// subvolume makes one of btrfs.
func subvolume(dir, name string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	var arguments struct {
		fd   int64
		name [4088]byte
	}
	copy(arguments.name[:], name)
	return ioctl(f, 0x5000940e, unsafe.Pointer(&arguments)) // BTRFS_IOC_SUBVOL_CREATE
}

// setProject gives the directory a project id that what is made in it inherits.
func setProject(path string, id uint32) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var x struct {
		flags, extent, extents, project, cow uint32
		_                                    [8]byte
	}
	if err := ioctl(f, 0x801c581f, unsafe.Pointer(&x)); err != nil { // FS_IOC_FSGETXATTR
		return err
	}
	x.project = id
	x.flags |= 0x200                                // FS_XFLAG_PROJINHERIT
	return ioctl(f, 0x401c5820, unsafe.Pointer(&x)) // FS_IOC_FSSETXATTR
}

func ioctl(f *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

func setFlag(path string, flag int) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, old&^unix.STATX_ATTR_IMMUTABLE|flag)
}

// clearFlags makes what is below dir removable.
func clearFlags(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var x unix.Statx_t
			if unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &x) == nil && x.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 {
				_ = setFlag(path, 0)
			}
		}
		return nil
	})
}

// setACL gives another user all rights, as setfacl does.
func setACL(path string) error {
	entry := func(tag, permissions uint16, id uint32) []byte {
		b := binary.LittleEndian.AppendUint16(nil, tag)
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(b, permissions), id)
	}
	text := []byte{2, 0, 0, 0}
	for _, e := range [][]byte{entry(1, 7, ^uint32(0)), entry(2, 7, stranger), entry(4, 5, ^uint32(0)), entry(0x10, 7, ^uint32(0)), entry(0x20, 5, ^uint32(0))} {
		text = append(text, e...)
	}
	return errors.Join(unix.Setxattr(path, "system.posix_acl_access", text, 0), unix.Setxattr(path, "system.posix_acl_default", text, 0))
}

// mountsBelow lists what this process sees mounted at dir and below, in the order of
// mounting.
func mountsBelow(dir string) (found []string) {
	table, _ := os.ReadFile("/proc/self/mountinfo")
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(table)) {
		at := unescape.Replace(strings.Fields(line)[4])
		if at == dir || strings.HasPrefix(at, dir+"/") {
			found = append(found, at)
		}
	}
	return found
}

// A tree is what is below a directory, by path: type, and content or destination.
type tree map[string]string

// look describes what is at and below the path, which need not be there. It does
// not look behind mounts that a shape has.
func look(path string) (seen tree, err error) {
	seen = tree{}
	err = filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(path, at)
		if errors.Is(err, fs.ErrNotExist) && (e == nil || name != ".") {
			return nil // by now
		}
		if filepath.Base(at) == behind {
			seen[name] = "d"
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil // gone by now
		}
		what := info.Mode().Type().String()
		switch {
		case strings.HasPrefix(e.Name(), "lock-"): // to close it would drop a lock of this process
		case info.Mode().IsRegular():
			content, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			what += string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(at)
			what += to
		case info.Mode()&fs.ModeDevice != 0:
			what += fmt.Sprint(info.Sys().(*syscall.Stat_t).Rdev)
		}
		seen[name] = what
		return nil
	})
	return seen, err
}

// modes are the permissions of what is at and below the path, as far as they can be seen.
func modes(path string) tree {
	seen := tree{}
	_ = filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		if e == nil || filepath.Base(at) == behind {
			return nil
		}
		if info, err := e.Info(); err == nil {
			name, _ := filepath.Rel(path, at)
			seen[name] = info.Mode().String()
		}
		return nil
	})
	return seen
}

// differs says how b differs from a, or nothing.
func differs(a, b tree) string {
	for name, what := range a {
		switch got, ok := b[name]; {
		case !ok:
			return fmt.Sprintf("%q is missing", name)
		case got != what:
			return fmt.Sprintf("%q is %q, not %q", name, short(got), short(what))
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			return fmt.Sprintf("%q is new", name)
		}
	}
	return ""
}

func short(text string) string {
	if len(text) > 40 {
		return text[:40] + "..."
	}
	return text
}
