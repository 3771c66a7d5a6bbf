package worlds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
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
	for n := 0; inodes; n++ {
		err := unix.Mknod(filepath.Join(dir, fmt.Sprint(n)), unix.S_IFREG|0o600, 0)
		if errors.Is(err, unix.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
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

// A tree is what is below a directory, by path.
type tree map[string]seen

// A seen is everything that can be seen of one name.
type seen struct {
	Type       string
	Mode       os.FileMode
	UID, GID   uint32
	Modified   int64  // ns
	Content    string // of a file or a link, or the number of a device
	Attributes string // the extended ones
}

// look describes what is at and below the path, which need not be there. It does
// not look behind mounts that a shape has.
func look(path string) (all tree, err error) {
	all = tree{}
	err = filepath.WalkDir(path, func(at string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(path, at)
		if errors.Is(err, fs.ErrNotExist) && (e == nil || name != ".") {
			return nil // by now
		}
		if errors.Is(err, unix.ENOTCONN) {
			all[name] = seen{Type: "a dead mount"}
			return nil
		}
		if filepath.Base(at) == behind {
			all[name] = seen{Type: "a mount"}
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil // gone by now
		}
		stat := info.Sys().(*syscall.Stat_t)
		one := seen{
			Type: info.Mode().Type().String()[:1], Mode: info.Mode() &^ fs.ModeType, UID: stat.Uid, GID: stat.Gid,
			Modified: info.ModTime().UnixNano(), Attributes: attributes(at),
		}
		switch {
		case strings.HasPrefix(e.Name(), "lock-"): // to close it would drop a lock of this process
		case info.Mode().IsRegular():
			content, err := os.ReadFile(at)
			if err != nil && !errors.Is(err, fs.ErrPermission) { // whose owner may not read it either
				return err
			}
			one.Content = string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			one.Content, _ = os.Readlink(at)
		case info.Mode()&fs.ModeDevice != 0:
			one.Content = fmt.Sprint(stat.Rdev)
		}
		all[name] = one
		return nil
	})
	return all, err
}

// attributes are the extended ones, as text.
func attributes(path string) string {
	names := make([]byte, 1000)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		return ""
	}
	var all []string
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		value := make([]byte, 1000)
		if n, err := unix.Lgetxattr(path, name, value); err == nil && name != "" {
			all = append(all, fmt.Sprintf("%s=%q", name, value[:n]))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// with returns the tree with another state of one name.
func (t tree) with(name string, change func(*seen)) tree {
	t = maps.Clone(t)
	if one, ok := t[name]; ok {
		change(&one)
		t[name] = one
	}
	return t
}

// bare is the tree without what a copy does not have, or has by chance.
func (t tree) bare() tree {
	all := tree{}
	for name, one := range t {
		one.UID, one.GID, one.Modified, one.Attributes = 0, 0, 0, ""
		all[name] = one
	}
	return all
}

// differs says how b differs from a, or nothing.
func differs(a, b tree) string {
	for name, what := range a {
		switch got, ok := b[name]; {
		case !ok:
			return fmt.Sprintf("%q is missing", name)
		case got != what:
			return fmt.Sprintf("%q is %s, not %s", name, got, what)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			return fmt.Sprintf("%q is new", name)
		}
	}
	return ""
}

func (s seen) String() string {
	content := s.Content
	if len(content) > 40 {
		content = content[:40] + "..."
	}
	return fmt.Sprintf("%s%v %d:%d %v %q %s", s.Type, s.Mode, s.UID, s.GID, time.Unix(0, s.Modified).UTC(), content, s.Attributes)
}
