package proc

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Descriptors are what the descriptors of a process refer to.
type Descriptors map[string]string

// OpenDescriptors returns those of this process. It needs /proc.
func OpenDescriptors() (Descriptors, error) {
	const dir = "/proc/self/fd"
	// With the first pipe the runtime makes the descriptors of its poller, and
	// keeps them: they must be there before the first look.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	read.Close()
	write.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	open := make(Descriptors, len(entries))
	for _, entry := range entries {
		// The descriptor that ReadDir read through is closed by now.
		if target, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil {
			open[entry.Name()] = target
		}
	}
	return open, nil
}

// Leaked returns, in words, the descriptors that this process has and had not when
// d was taken.
func (d Descriptors) Leaked() ([]string, error) {
	now, err := OpenDescriptors()
	if err != nil {
		return nil, err
	}
	var leaked []string
	for _, fd := range slices.Sorted(maps.Keys(now)) {
		if d[fd] != now[fd] {
			leaked = append(leaked, fmt.Sprintf("descriptor %s of %s", fd, now[fd]))
		}
	}
	return leaked, nil
}
