//go:build !386 && !arm && !mips && !mipsle

package testfs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// fuseVariable makes a re-executed test binary serve a file system instead of
// running tests. A process of its own, because one that serves itself can wait
// for itself.
const fuseVariable = "AFTERLOCK_TESTFS_FUSE"

const fuseReady = "mounted"

func init() {
	if mode, ok := os.LookupEnv(fuseVariable); ok {
		if err := serveFuse(os.Args[1], os.Args[2], mode == fuseInterrupted); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// Fuse mounts a file system in user space over an empty directory. It has no
// O_TMPFILE, so that the fallback of those who want it can be tested, and the
// kernel keeps its locks, as it does for most of its kind.
func Fuse(t testing.TB) string {
	t.Helper()
	target := t.TempDir()
	mountFuse(t, target, "whole")
	return target
}

// FuseAt is Fuse that mounts at target. kill ends its server: from then on every
// call there fails with ENOTCONN.
func FuseAt(t testing.TB, target string) (kill func()) {
	t.Helper()
	return mountFuse(t, target, "whole")
}

// FuseInterrupted is Fuse with a server that answers EINTR to every second
// request to open, make, remove or rename something, before it does anything.
func FuseInterrupted(t testing.TB) string {
	t.Helper()
	target := t.TempDir()
	mountFuse(t, target, fuseInterrupted)
	return target
}

const fuseInterrupted = "interrupted"

func mountFuse(t testing.TB, target, mode string) (kill func()) {
	t.Helper()
	needRoot(t)
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("skipped, because there is no FUSE: %v", err)
	}
	backing := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(self, backing, target)
	server.Env = append(os.Environ(), fuseVariable+"="+mode)
	server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		server.Process.Kill()
		server.Wait()
	}
	t.Cleanup(func() {
		unmount(t, target)
		stdin.Close()
		// A test that failed may have left something open: then the server would
		// serve it for ever, and the test would hang instead of failing.
		kill()
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) != fuseReady {
		t.Skipf("skipped, because FUSE does not work here: %s", line)
	}
	return kill
}

// serveFuse shows backing at target until its parent process unmounts it or is
// gone.
func serveFuse(backing, target string, interrupted bool) error {
	var status syscall.Stat_t
	if err := syscall.Stat(backing, &status); err != nil {
		return err
	}
	root := &node{LoopbackNode: fs.LoopbackNode{RootData: &fs.LoopbackRoot{Path: backing, Dev: uint64(status.Dev)}}}
	if interrupted {
		root.requests = new(atomic.Int64)
	}
	root.RootData.RootNode = root
	server, err := fs.Mount(target, root, &fs.Options{
		MountOptions: fuse.MountOptions{
			AllowOther:        true,
			DirectMountStrict: true,
			FsName:            "testfs",
			Name:              "testfs",
			Options:           []string{"default_permissions"},
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(fuseReady)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		syscall.Unmount(target, syscall.MNT_DETACH)
	}()
	server.Wait()
	return nil
}

// A node is a file of the served file system.
type node struct {
	fs.LoopbackNode
	requests *atomic.Int64 // of all nodes, if requests are to be interrupted
}

var (
	_ fs.NodeTmpfiler    = (*node)(nil)
	_ fs.NodeWrapChilder = (*node)(nil)
)

// Tmpfile refuses O_TMPFILE.
func (n *node) Tmpfile(context.Context, uint32, uint32, *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	return nil, nil, 0, syscall.EOPNOTSUPP
}

// WrapChild makes every file below a node, too.
func (n *node) WrapChild(_ context.Context, _ fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{LoopbackNode: fs.LoopbackNode{RootData: n.RootData}, requests: n.requests}
}

// interrupted says whether to answer EINTR now.
func (n *node) interrupted() bool { return n.requests != nil && n.requests.Add(1)%2 == 1 }

// Open may be interrupted.
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if n.interrupted() {
		return nil, 0, syscall.EINTR
	}
	return n.LoopbackNode.Open(ctx, flags)
}

// OpendirHandle may be interrupted.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if n.interrupted() {
		return nil, 0, syscall.EINTR
	}
	return n.LoopbackNode.OpendirHandle(ctx, flags)
}

// Create may be interrupted.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if n.interrupted() {
		return nil, nil, 0, syscall.EINTR
	}
	return n.LoopbackNode.Create(ctx, name, flags, mode, out)
}

// Mkdir may be interrupted.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if n.interrupted() {
		return nil, syscall.EINTR
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

// Rmdir may be interrupted.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	if n.interrupted() {
		return syscall.EINTR
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

// Unlink may be interrupted.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	if n.interrupted() {
		return syscall.EINTR
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

// Rename may be interrupted.
func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if n.interrupted() {
		return syscall.EINTR
	}
	return n.LoopbackNode.Rename(ctx, name, parent, newName, flags)
}
