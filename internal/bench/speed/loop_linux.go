package speed

import (
	"cmp"
	"encoding/binary"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A loop removes a tree as a program in C would that knows nothing but how to: openat,
// getdents64 and unlinkat, made raw, with names as the kernel has written them, on
// threads that do nothing else. It looks at nothing, mends nothing and stops at the
// first error. Its family is the limit that removals are measured against.
type loop struct {
	inodes  bool     // in the order of inode numbers, not as the directory has them
	buffers [][]byte // for listings, of each thread
}

// listing is how many bytes of a directory are read at a time.
const listing = 256 << 10

func newLoop(threads int, inodes bool) *loop {
	l := &loop{inodes: inodes}
	for range threads {
		l.buffers = append(l.buffers, make([]byte, listing))
	}
	return l
}

// A node is a directory that is to be removed.
type node struct {
	parent  *node
	name    []byte // with a NUL
	fd      int
	pending atomic.Int32 // subdirectories that are still there, and one for its own files
}

// A stack is the directories that no thread has begun.
type stack struct {
	mu    sync.Mutex
	grown sync.Cond
	nodes []*node
	busy  int // threads that may push
	err   error
}

func (l *loop) remove(path string) error {
	s := &stack{}
	s.grown.L = &s.mu
	top := &node{fd: unix.AT_FDCWD}
	top.pending.Store(2) // never removed
	s.nodes = []*node{{parent: top, name: append([]byte(path), 0)}}
	var threads sync.WaitGroup
	for _, buffer := range l.buffers {
		threads.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for n := s.next(false); n != nil; n = s.next(true) {
				if err := l.directory(s, n, buffer); err != nil {
					s.fail(err)
					return
				}
			}
		})
	}
	threads.Wait()
	if s.err != nil {
		return &os.PathError{Op: "loop", Path: path, Err: s.err}
	}
	return nil
}

// next takes a directory from the stack, and waits for one while others may push. after
// says that the caller has dealt with one.
func (s *stack) next(after bool) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after {
		s.busy--
	}
	for len(s.nodes) == 0 {
		if s.busy == 0 || s.err != nil {
			s.grown.Broadcast()
			return nil
		}
		s.grown.Wait()
	}
	n := s.nodes[len(s.nodes)-1]
	s.nodes = s.nodes[:len(s.nodes)-1]
	s.busy++
	return n
}

func (s *stack) fail(err error) {
	s.mu.Lock()
	s.busy, s.nodes, s.err = s.busy-1, nil, err
	s.mu.Unlock()
	s.grown.Broadcast()
}

func (s *stack) push(n *node) {
	s.mu.Lock()
	s.nodes = append(s.nodes, n)
	s.mu.Unlock()
	s.grown.Signal()
}

// An entry is one of a directory: where its name is in the listing.
type entry struct {
	inode uint64
	name  int
}

// directory removes what is in the directory and is none, and the directory if there is
// nothing else in it.
func (l *loop) directory(s *stack, n *node, buffer []byte) error {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(n.parent.fd), pointer(n.name, 0), flags, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	n.fd = int(fd)
	n.pending.Store(1)
	var all []entry
	for kept := 0; ; {
		if l.inodes && len(buffer)-kept < listing/2 {
			buffer = append(buffer, make([]byte, len(buffer))...)
		}
		read, _, errno := unix.RawSyscall(unix.SYS_GETDENTS64, fd, pointer(buffer, kept), uintptr(len(buffer)-kept))
		if errno != 0 {
			return errno
		}
		if read == 0 {
			break
		}
		for at, end := kept, kept+int(read); at < end; {
			name := at + 19 // of struct linux_dirent64
			length := int(binary.NativeEndian.Uint16(buffer[at+16:]))
			switch {
			case buffer[name] == '.' && (buffer[name+1] == 0 || buffer[name+1] == '.' && buffer[name+2] == 0):
			case buffer[at+18] == unix.DT_DIR:
				n.pending.Add(1)
				size := slices.Index(buffer[name:], 0)
				s.push(&node{parent: n, name: slices.Clone(buffer[name : name+size+1])})
			case l.inodes:
				all = append(all, entry{binary.NativeEndian.Uint64(buffer[at:]), name})
			default:
				if errno := unlink(fd, buffer, name, 0); errno != 0 {
					return errno
				}
			}
			at += length
		}
		if l.inodes {
			kept += int(read)
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.inode, b.inode) })
	for _, e := range all {
		if errno := unlink(fd, buffer, e.name, 0); errno != 0 {
			return errno
		}
	}
	for n.pending.Add(-1) == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(n.fd), 0, 0)
		if errno := unlink(uintptr(n.parent.fd), n.name, 0, unix.AT_REMOVEDIR); errno != 0 {
			return errno
		}
		n = n.parent
	}
	return nil
}

func unlink(dir uintptr, buffer []byte, name int, flags uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_UNLINKAT, dir, pointer(buffer, name), flags)
	runtime.KeepAlive(buffer)
	return errno
}

func pointer(buffer []byte, at int) uintptr { return uintptr(unsafe.Pointer(&buffer[at])) }
