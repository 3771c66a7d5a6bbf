//go:build unix

package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// ownRoot is the name of the root that rm makes beside its victims. Every user has
// one of his own, so that nobody can stop the others in a directory that all may
// write, such as /tmp.
func ownRoot() string { return oldRoot + "-" + strconv.Itoa(os.Geteuid()) }

// ours refuses a root that is not a directory of this user: its owner could put
// what is staged there somewhere else.
func ours(root string) error {
	info, err := os.Lstat(root)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of this user", printable(root))
	}
	return nil
}

// removeEmpty removes the root that rm made, if it is empty: it fails if another
// rm works there or if something is left, and both is fine. It removes nothing
// but a directory, whatever has the name by now.
func removeEmpty(root string) { _ = syscall.Rmdir(root) }
