//go:build !386 && !arm && !mips && !mipsle

package powerloss

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

func init() {
	proc.Register(roleDisk, func(arguments []string) { proc.Fail(serveDisk(arguments[0], arguments[1], arguments[2])) })
}

// serveDisk shows a directory with two files, until its input ends, as it does when the parent is gone:
// the disk, whose content is in the image, and a file into which marks are written.
// What is done with them is in the log. Whoever waits for the disk is another process:
// one that serves what it waits for can wait for ever.
func serveDisk(image, log, target string) error {
	s := &server{}
	var err error
	if s.image, err = os.OpenFile(image, os.O_RDWR, 0); err != nil {
		return err
	}
	if s.size, err = s.image.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	to, err := os.OpenFile(log, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if s.log, err = NewLogWriter(to); err != nil {
		return err
	}
	_, err = fs.Mount(target, &top{server: s}, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "powerloss", Name: "powerloss", MaxWrite: 1 << 20},
	})
	if err != nil {
		return err
	}
	if err := proc.Parent.Say("mounted"); err != nil {
		return err
	}
	// The kernel may have the mount for longer: what others have mounted is in their name
	// spaces, too. Nothing of that belongs in the log.
	proc.Parent.Await()
	_ = unix.Unmount(target, unix.MNT_DETACH)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// A server is the state of both files. What comes into the log reached the image, in
// this order.
type server struct {
	mu     sync.Mutex
	image  *os.File
	size   int64
	log    *LogWriter
	failed error // the log is not whole
}

// do does something to the image and writes it to the log.
func (s *server) do(e Entry, change func() error) syscall.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := change()
	if err == nil {
		err = s.log.Append(e)
	}
	if err != nil {
		s.failed = err
		return fs.ToErrno(err)
	}
	return 0
}

// A top is the directory.
type top struct {
	fs.Inode
	server *server
}

// OnAdd makes the files.
func (t *top) OnAdd(ctx context.Context) {
	for name, node := range map[string]fs.InodeEmbedder{diskName: &diskNode{server: t.server}, markName: &markNode{server: t.server}} {
		t.AddChild(name, t.NewPersistentInode(ctx, node, fs.StableAttr{Mode: fuse.S_IFREG}), false)
	}
}

// A diskNode is the file of the disk.
type diskNode struct {
	fs.Inode
	server *server
}

var (
	_ fs.NodeOpener    = (*diskNode)(nil)
	_ fs.NodeGetattrer = (*diskNode)(nil)
	_ fs.NodeReader    = (*diskNode)(nil)
	_ fs.NodeWriter    = (*diskNode)(nil)
	_ fs.NodeFsyncer   = (*diskNode)(nil)
	_ fs.NodeAllocater = (*diskNode)(nil)
	_ fs.NodeOpener    = (*markNode)(nil)
	_ fs.NodeWriter    = (*markNode)(nil)
)

// Open makes the kernel keep nothing back.
func (n *diskNode) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

// Getattr says how large it is.
func (n *diskNode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = fuse.S_IFREG|0o600, uint64(n.server.size)
	return 0
}

// Read reads the image.
func (n *diskNode) Read(_ context.Context, _ fs.FileHandle, to []byte, offset int64) (fuse.ReadResult, syscall.Errno) {
	length, err := n.server.image.ReadAt(to, offset)
	if err != nil && err != io.EOF {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(to[:length]), 0
}

// Write is a write.
func (n *diskNode) Write(_ context.Context, _ fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	return uint32(len(data)), n.server.do(Entry{Offset: offset, Size: int64(len(data)), Data: data}, func() error {
		_, err := n.server.image.WriteAt(data, offset)
		return err
	})
}

// Fsync is a flush.
func (n *diskNode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.server.do(Entry{Flush: true}, func() error { return nil })
}

// Allocate is a discard, or a write of zeroes.
func (n *diskNode) Allocate(_ context.Context, _ fs.FileHandle, offset, size uint64, mode uint32) syscall.Errno {
	if mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) == 0 {
		return syscall.EOPNOTSUPP
	}
	return n.server.do(Entry{Offset: int64(offset), Size: int64(size)}, func() error {
		return unix.Fallocate(int(n.server.image.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(offset), int64(size))
	})
}

// A markNode is the file for marks.
type markNode struct {
	fs.Inode
	server *server
}

// Open makes the kernel keep nothing back.
func (n *markNode) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_DIRECT_IO, 0
}

// Write is a mark.
func (n *markNode) Write(_ context.Context, _ fs.FileHandle, data []byte, _ int64) (uint32, syscall.Errno) {
	return uint32(len(data)), n.server.do(Entry{Mark: strings.TrimSpace(string(data))}, func() error { return nil })
}
