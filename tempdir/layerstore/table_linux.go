package layerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A mounted is one mount of this mount namespace.
type mounted struct {
	id, parent uint64
	device     string // major:minor of the file system, as only the kernel's table has it
	root       string // which path of the file system is mounted
	point      string // where it is mounted, in this process's root
	fstype     string
	source     string
	options    string // of the file system, with the escapes of mountinfo
	opaque     bool   // the kernel does not tell the options
}

// place is a directory of a file system, whatever the names that lead there.
type place struct{ device, path string }

// within reports whether p is outer or lies below it.
func (p place) within(outer place) bool { return p.device == outer.device && below(p.path, outer.path) }

// below reports whether the path is dir or below it, by text.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// place translates a path in this process's root, which must lie on the mount.
func (m *mounted) place(path string) (place, bool) {
	if !below(path, m.point) {
		return place{}, false
	}
	return place{m.device, filepath.Join(m.root, strings.TrimPrefix(path, m.point))}, true
}

// mountsFile is where the kernel has the table as text.
const mountsFile = "/proc/self/mountinfo"

// mountTable returns the mounts of this mount namespace that are reachable from
// this process's root: from /proc, and where there is none from listmount and
// statmount, which Linux 6.8 has. The error matches [ErrMountsUnknown] if neither
// answers; any other is of a table that cannot be read now.
func mountTable() ([]mounted, error) {
	text, err := kernelText(mountsFile)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return listMounts()
	}
	var table []mounted
	for line := range strings.Lines(text) {
		m, err := parseMount(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		table = append(table, m)
	}
	return table, nil
}

// parseMount reads one line of mountinfo. See proc_pid_mountinfo(5).
func parseMount(line string) (m mounted, err error) {
	before, after, ok := strings.Cut(line, " - ")
	head, tail := strings.Split(before, " "), strings.Split(after, " ")
	if !ok || len(head) < 6 || len(tail) < 3 {
		return m, fmt.Errorf("%w: the line %s", ErrMountsUnknown, quote(line))
	}
	m.id, err = strconv.ParseUint(head[0], 10, 64)
	if err == nil {
		m.parent, err = strconv.ParseUint(head[1], 10, 64)
	}
	if err != nil {
		return m, fmt.Errorf("%w: the line %s", ErrMountsUnknown, quote(line))
	}
	m.device, m.root, m.point = head[2], unescape(head[3]), unescape(head[4])
	m.fstype, m.source, m.options = tail[0], unescape(tail[1]), tail[2]
	return m, nil
}

// unescape undoes the octal escapes of the kernel's tables.
func unescape(text string) string {
	var b strings.Builder
	for ; text != ""; text = text[1:] {
		if c, ok := octal(text); ok {
			b.WriteByte(c)
			text = text[3:]
			continue
		}
		b.WriteByte(text[0])
	}
	return b.String()
}

// octal returns the byte that text begins with as an escape, such as \040.
func octal(text string) (byte, bool) {
	if len(text) < 4 || text[0] != '\\' {
		return 0, false
	}
	c, err := strconv.ParseUint(text[1:4], 8, 8)
	return byte(c), err == nil
}

const (
	allMounts    = ^uint64(0) // LSMT_ROOT
	mountsAtOnce = 256        // that one listmount is asked for
	mountText    = 8 << 10    // of one mount, at first

	// What statmount is asked for.
	wantSuper, wantMount, wantRoot, wantPoint, wantType, wantOptions, wantSource = 0x1, 0x2, 0x8, 0x10, 0x20, 0x80, 0x200
	mustHave                                                                     = wantSuper | wantMount | wantRoot | wantPoint | wantType

	// Where the fields are in what it returns.
	statmountMask, statmountMajor, statmountMinor = 8, 16, 20
	statmountIDs                                  = 56
	statmountRoot, statmountPoint, statmountType  = 104, 108, 36
	statmountOptions, statmountSource             = 4, 124
	statmountText                                 = 512
)

// A mountRequest is the argument of listmount and statmount.
type mountRequest struct {
	size  uint32
	_     uint32
	id    uint64
	param uint64
}

// listMounts reads the table by listmount and statmount.
func listMounts() ([]mounted, error) {
	var table []mounted
	ids := make([]uint64, mountsAtOnce)
	last := uint64(0)
	for {
		request := mountRequest{size: 24, id: allMounts, param: last}
		var n uintptr
		err := kernel.Again(func() error {
			var errno unix.Errno
			n, _, errno = unix.Syscall6(unix.SYS_LISTMOUNT, uintptr(unsafe.Pointer(&request)), uintptr(unsafe.Pointer(&ids[0])), uintptr(len(ids)), 0, 0, 0)
			return errnoError(errno)
		})
		if err != nil {
			return nil, noTable("listmount", err)
		}
		for _, id := range ids[:n] {
			m, err := statMount(id)
			if err == unix.ENOENT {
				continue // unmounted meanwhile
			}
			if err != nil {
				return nil, noTable("statmount", err)
			}
			table = append(table, m)
			last = id
		}
		if int(n) < len(ids) {
			return table, nil
		}
	}
}

// noTable tells a call that is not there, or not for this process, from one that
// failed now.
func noTable(call string, err error) error {
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: there is no %s, and %s: %w", ErrMountsUnknown, mountsFile, call, err)
	}
	return err
}

// statMount describes one mount.
func statMount(id uint64) (m mounted, err error) {
	request := mountRequest{size: 24, id: id, param: mustHave | wantOptions | wantSource}
	buffer := make([]byte, mountText)
	for {
		err = kernel.Again(func() error {
			_, _, errno := unix.Syscall6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(&request)), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0, 0, 0)
			return errnoError(errno)
		})
		if err != unix.EOVERFLOW || len(buffer) > 64<<20 {
			break
		}
		buffer = make([]byte, 2*len(buffer))
	}
	if err != nil {
		return m, err
	}
	number := func(at int) uint32 { return binary.NativeEndian.Uint32(buffer[at:]) }
	text := func(at int) string {
		s := buffer[statmountText+number(at):]
		return string(s[:max(0, bytes.IndexByte(s, 0))])
	}
	mask := binary.NativeEndian.Uint64(buffer[statmountMask:])
	if mask&mustHave != mustHave {
		return m, fmt.Errorf("%w: statmount answers %#x alone", ErrMountsUnknown, mask)
	}
	m = mounted{
		id: uint64(number(statmountIDs)), parent: uint64(number(statmountIDs + 4)),
		device: fmt.Sprintf("%d:%d", number(statmountMajor), number(statmountMinor)),
		root:   text(statmountRoot), point: text(statmountPoint), fstype: text(statmountType),
		opaque: mask&wantOptions == 0,
	}
	if !m.opaque {
		m.options = text(statmountOptions)
	}
	if mask&wantSource != 0 {
		m.source = text(statmountSource)
	}
	return m, nil
}

func errnoError(errno unix.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// mountOf returns the id, in the table, of the mount that the directory lies on.
// ok is false where the kernel cannot tell.
func mountOf(dir string) (id uint64, ok bool) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var s unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &s) == nil && s.Mask&unix.STATX_MNT_ID != 0 && s.Mnt_id != 0 { // 0: an emulator does not tell
		return s.Mnt_id, true
	}
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd)) // before Linux 5.8
	if err != nil {
		return 0, false
	}
	_, value, _ := strings.Cut(string(text), "mnt_id:")
	value, _, _ = strings.Cut(value, "\n")
	id, err = strconv.ParseUint(strings.TrimSpace(value), 10, 64)
	return id, err == nil
}
