package worlds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	case "subvolumes", "sealed":
		p.do(".", func(path string) error {
			return refused("make a subvolume", subvolume(filepath.Dir(path), filepath.Base(path)))
		})
	default:
		p.dir(".")
	}
	p.file("f")
	p.mode("f", 0o755|os.ModeSetuid)
	p.file("secret")
	p.mode("secret", 0)
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
	case "sealed":
		p.do("sub", func(path string) error { return subvolume(filepath.Dir(path), filepath.Base(path)) })
		p.file("sub/f")
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
	if s.is(shape, "closed") {
		for name, mode := range map[string]os.FileMode{"0300": 0o300, "0555": 0o555, "0000": 0, ".": 0o555} {
			p.mode(name, mode)
		}
	}
	if !s.is(place, "beside") { // trees of images are such
		p.mode(".", 0o555)
	}
	return p.end()
}

// end keeps what was made.
func (p *planter) end() error {
	if p.err == nil {
		p.s.before, p.err = look(p.at)
	}
	return p.err
}

// mode changes the mode of what was made, and its times.
func (p *planter) mode(name string, mode os.FileMode) {
	if path := filepath.Join(p.at, name); p.err == nil {
		p.err = errors.Join(os.Chmod(path, mode), os.Chtimes(path, longAgo, longAgo))
	}
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

// seal makes a subvolume read-only, or writable again.
func seal(f *os.File, readOnly bool) error {
	flags := uint64(0)
	if readOnly {
		flags = 2 // BTRFS_SUBVOL_RDONLY
	}
	return ioctl(f, 0x4008941a, unsafe.Pointer(&flags)) // BTRFS_IOC_SUBVOL_SETFLAGS
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

// flagIsSet reports whether what is at the path is immutable.
func flagIsSet(path string) bool {
	var x unix.Statx_t
	return unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &x) == nil && x.Attributes&unix.STATX_ATTR_IMMUTABLE != 0
}

// clearFlags makes what is below dir removable.
func clearFlags(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (e.Type().IsRegular() || e.IsDir()) {
			if flagIsSet(path) {
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
