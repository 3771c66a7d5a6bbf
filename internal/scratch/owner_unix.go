//go:build unix

package scratch

import (
	"os"
	"syscall"
)

// mine reports whether nobody else can have put the directory there.
func mine(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && int(stat.Uid) == os.Geteuid()
}
