package proc

import (
	"os"

	"golang.org/x/sys/unix"
)

// enough is how much space in memory the tests of a package may need.
const enough = 1 << 30

// memory returns a new directory in memory in which programs can be started and
// that has enough space, which containers often do not give, or "".
func memory() string {
	const shared = "/dev/shm"
	var fs unix.Statfs_t
	if err := unix.Statfs(shared, &fs); err != nil || fs.Flags&unix.ST_NOEXEC != 0 || fs.Bavail*uint64(fs.Bsize) < enough {
		return ""
	}
	dir, err := os.MkdirTemp(shared, "al-")                      // short: sockets are in it
	if err != nil || os.Chmod(dir, 0o777|os.ModeSticky) != nil { // as temporary directories are: other users work in it
		return ""
	}
	return dir
}

// peak is how much memory the largest process that this one has waited for had, in MB.
func peak() int64 {
	var usage unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &usage)
	return int64(usage.Maxrss) >> 10
}
