//go:build linux

package tempdir_test

import "golang.org/x/sys/unix"

// Other architectures have it by other names.
func init() { interruptible["newfstatat"] = unix.SYS_NEWFSTATAT }
