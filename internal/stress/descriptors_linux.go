package stress

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// openDescriptors returns what the process's descriptors refer to.
func openDescriptors() (map[string]string, error) {
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
	open := make(map[string]string, len(entries))
	for _, entry := range entries {
		// The descriptor that ReadDir read through is closed by now.
		if target, err := os.Readlink(filepath.Join(dir, entry.Name())); err == nil {
			open[entry.Name()] = target
		}
	}
	return open, nil
}

// newDescriptors returns those in after that are not in before, in words.
func newDescriptors(before, after map[string]string) []string {
	var leaked []string
	for _, fd := range slices.Sorted(maps.Keys(after)) {
		if before[fd] != after[fd] {
			leaked = append(leaked, fmt.Sprintf("descriptor %s of %s", fd, after[fd]))
		}
	}
	return leaked
}
