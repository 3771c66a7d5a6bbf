//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// trusted refuses a root that another user has made beside the victims, as
// anybody can in /tmp: its owner could put what is staged there somewhere else.
// The superuser and the owner of the parent could do that anyway.
func trusted(root, parent string) error {
	at, err := os.Lstat(root)
	if err != nil {
		return err
	}
	above, err := os.Stat(parent)
	if err != nil {
		return err
	}
	owner := ownerOf(at)
	if owner == 0 || owner == os.Geteuid() || owner == ownerOf(above) {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d: not used; choose another root with --root", printable(root), owner)
}

// ownerOf returns the user id, or -1.
func ownerOf(info os.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// removeEmpty removes the root that rm made, if it is empty: it fails if another
// rm works there or if something is left, and both is fine. It removes nothing
// but a directory, whatever has the name by now.
func removeEmpty(root string) { _ = syscall.Rmdir(root) }
