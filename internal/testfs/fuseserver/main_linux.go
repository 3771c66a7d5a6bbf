//go:build !386 && !arm && !mips && !mipsle

// Fuseserver shows one directory at another, until its standard input ends:
//
//	fuseserver BACKING TARGET [interrupted]
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

func main() {
	if err := serveFuse(os.Args[1], os.Args[2], len(os.Args) > 3); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
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
	fmt.Println("mounted")
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
