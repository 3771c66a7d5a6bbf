//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A layout says where a call has its paths and descriptors.
type layout struct {
	name    string
	paths   []pathArgument
	fd      int // from 1: the argument that is a descriptor; 0: none
	mutates func(arguments *[6]uint64) bool
	kind    stopKind // of most, stopCall
}

// A pathArgument is a path, and the descriptor of the directory it starts from;
// -1 if the call has none.
type pathArgument struct{ dir, path int }

func always(*[6]uint64) bool { return true }

func ifFlags(argument int, flags uint64) func(*[6]uint64) bool {
	return func(a *[6]uint64) bool { return a[argument]&flags != 0 }
}

// makes are the flags of an open that changes files.
const makes = unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY

// layouts are the calls that stop a process: all that change names, contents or
// attributes of files, all that take or drop locks, and of those that only
// look, the ones whose answer the protocol acts on. What the arguments of a
// mapping do to a file is not seen.
//
// mutates is nil for calls that leave the disk as it is; a lock is not on disk.
var layouts = map[uint32]layout{
	unix.SYS_OPENAT:       {name: "openat", paths: []pathArgument{{0, 1}}, mutates: ifFlags(2, makes)},
	unix.SYS_OPENAT2:      {name: "openat2", paths: []pathArgument{{0, 1}}},
	unix.SYS_MKDIRAT:      {name: "mkdirat", paths: []pathArgument{{0, 1}}, mutates: always},
	unix.SYS_MKNODAT:      {name: "mknodat", paths: []pathArgument{{0, 1}}, mutates: always},
	unix.SYS_UNLINKAT:     {name: "unlinkat", paths: []pathArgument{{0, 1}}, mutates: always},
	unix.SYS_RENAMEAT:     {name: "renameat", paths: []pathArgument{{0, 1}, {2, 3}}, mutates: always},
	unix.SYS_RENAMEAT2:    {name: "renameat2", paths: []pathArgument{{0, 1}, {2, 3}}, mutates: always},
	unix.SYS_LINKAT:       {name: "linkat", paths: []pathArgument{{0, 1}, {2, 3}}, mutates: always},
	unix.SYS_SYMLINKAT:    {name: "symlinkat", paths: []pathArgument{{1, 2}}, mutates: always},
	unix.SYS_FCHMODAT:     {name: "fchmodat", paths: []pathArgument{{0, 1}}, mutates: always},
	unix.SYS_FCHMODAT2:    {name: "fchmodat2", paths: []pathArgument{{0, 1}}, mutates: always},
	unix.SYS_FCHOWNAT:     {name: "fchownat", paths: []pathArgument{{0, 1}}, mutates: always},
	unix.SYS_UTIMENSAT:    {name: "utimensat", paths: []pathArgument{{0, 1}}, mutates: always},
	unix.SYS_TRUNCATE:     {name: "truncate", paths: []pathArgument{{-1, 0}}, mutates: always},
	unix.SYS_SETXATTR:     {name: "setxattr", paths: []pathArgument{{-1, 0}}, mutates: always},
	unix.SYS_LSETXATTR:    {name: "lsetxattr", paths: []pathArgument{{-1, 0}}, mutates: always},
	unix.SYS_REMOVEXATTR:  {name: "removexattr", paths: []pathArgument{{-1, 0}}, mutates: always},
	unix.SYS_LREMOVEXATTR: {name: "lremovexattr", paths: []pathArgument{{-1, 0}}, mutates: always},
	unix.SYS_STATX:        {name: "statx", paths: []pathArgument{{0, 1}}},
	unix.SYS_UMOUNT2:      {name: "umount2", paths: []pathArgument{{-1, 0}}, mutates: always},
	unix.SYS_FACCESSAT:    {name: "faccessat", paths: []pathArgument{{0, 1}}},
	sysFstatat:            {name: "newfstatat", paths: []pathArgument{{0, 1}}},
	unix.SYS_FSTAT:        {name: "fstat", fd: 1},
	unix.SYS_FSTATFS:      {name: "fstatfs", fd: 1},
	unix.SYS_GETDENTS64:   {name: "getdents64", fd: 1},
	unix.SYS_FSYNC:        {name: "fsync", fd: 1},
	unix.SYS_SYNCFS:       {name: "syncfs", fd: 1},
	unix.SYS_FDATASYNC:    {name: "fdatasync", fd: 1},
	unix.SYS_FCNTL:        {name: "fcntl", fd: 1},
	unix.SYS_FLOCK:        {name: "flock", fd: 1},
	unix.SYS_CLOSE:        {name: "close", fd: 1},
	unix.SYS_READ:         {name: "read", fd: 1, kind: stopIdle},
	unix.SYS_PREAD64:      {name: "pread64", fd: 1},
	unix.SYS_WRITE:        {name: "write", fd: 1, mutates: always},
	unix.SYS_WRITEV:       {name: "writev", fd: 1, mutates: always},
	unix.SYS_PWRITE64:     {name: "pwrite64", fd: 1, mutates: always},
	unix.SYS_PWRITEV:      {name: "pwritev", fd: 1, mutates: always},
	unix.SYS_PWRITEV2:     {name: "pwritev2", fd: 1, mutates: always},
	unix.SYS_FTRUNCATE:    {name: "ftruncate", fd: 1, mutates: always},
	unix.SYS_FALLOCATE:    {name: "fallocate", fd: 1, mutates: always},
	unix.SYS_FCHMOD:       {name: "fchmod", fd: 1, mutates: always},
	unix.SYS_FCHOWN:       {name: "fchown", fd: 1, mutates: always},
	unix.SYS_FSETXATTR:    {name: "fsetxattr", fd: 1, mutates: always},
	unix.SYS_FREMOVEXATTR: {name: "fremovexattr", fd: 1, mutates: always},
	unix.SYS_IOCTL:        {name: "ioctl", fd: 1, mutates: always},
	unix.SYS_SENDFILE:     {name: "sendfile", fd: 1, mutates: always},
	unix.SYS_SPLICE:       {name: "splice", fd: 3, mutates: always},

	unix.SYS_NAME_TO_HANDLE_AT: {name: "name_to_handle_at", paths: []pathArgument{{0, 1}}},

	unix.SYS_COPY_FILE_RANGE: {name: "copy_file_range", fd: 3, mutates: always},

	// A ring makes calls that no filter sees. It is refused.
	unix.SYS_IO_URING_SETUP: {name: "io_uring_setup", kind: stopRefused},

	unix.SYS_EXIT_GROUP: {name: "exit_group", kind: stopExit},
}

// A call is one system call that a process is about to make.
type call struct {
	layout
	number    uint32
	arguments [6]uint64
	paths     []string // absolute where they could be found out
}

// String shows the call for people: its name and what it is about.
func (c *call) String() string {
	text := c.name
	for _, p := range c.paths {
		text += " " + p
	}
	return text
}

// mutating reports whether the call changes what is on disk if it succeeds.
func (c *call) mutating() bool { return c.mutates != nil && c.mutates(&c.arguments) }

// resolve finds out the paths of the call that tid of the process is stopped at:
// as the supervisor sees them, if the process may have a root or a working
// directory of its own.
func (c *call) resolve(tid int, elsewhere bool) {
	c.paths = c.paths[:0]
	if c.fd > 0 {
		c.paths = append(c.paths, descriptorPath(tid, int32(c.arguments[c.fd-1])))
	}
	for _, p := range c.layout.paths {
		path := readString(tid, uintptr(c.arguments[p.path]))
		if !filepath.IsAbs(path) && p.dir >= 0 && int32(c.arguments[p.dir]) != unix.AT_FDCWD {
			dir := descriptorPath(tid, int32(c.arguments[p.dir]))
			path = strings.TrimSuffix(dir+"/"+path, "/")
		} else if elsewhere && path != "" {
			from := "root"
			if !filepath.IsAbs(path) {
				from = "cwd"
			}
			path = filepath.Join(linkOf(fmt.Sprintf("/proc/%d/%s", tid, from)), path)
		}
		c.paths = append(c.paths, path)
	}
}

// descriptorPath is what /proc says that the descriptor leads to, or "".
func descriptorPath(tid int, fd int32) string {
	return linkOf(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
}

// linkOf is where the link of /proc leads, or "".
func linkOf(link string) string {
	var buf [512]byte
	n, err := unix.Readlink(link, buf[:])
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(buf[:n]), " (deleted)")
}

// maxPath bounds the paths that are read: those of the scenes are short.
const maxPath = 512

// readString reads a string of the stopped process, or "". A page that is not
// there ends the reading.
func readString(tid int, address uintptr) string {
	var buf [maxPath]byte
	pageEnd := 4096 - int(address%4096)
	for _, length := range []int{min(maxPath, pageEnd), maxPath} {
		local := []unix.Iovec{{Base: &buf[0]}}
		local[0].SetLen(length)
		n, err := unix.ProcessVMReadv(tid, local, []unix.RemoteIovec{{Base: address, Len: length}}, 0)
		if err != nil {
			return ""
		}
		for i, b := range buf[:n] {
			if b == 0 {
				return string(buf[:i])
			}
		}
	}
	return ""
}
