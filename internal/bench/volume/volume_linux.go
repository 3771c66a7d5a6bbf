package volume

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Mount makes a file system of so many MiB in the new, sparse file image, by mkfs and
// its arguments, and mounts it at the directory dir by a loop device that goes with the
// mount. The error of a program has what it said.
func Mount(image, dir string, mib int, mkfs ...string) error {
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(int64(mib)<<20), f.Close())
	if err == nil {
		if _, err = exec.Command(mkfs[0], append(mkfs[1:len(mkfs):len(mkfs)], image)...).Output(); err == nil {
			_, err = exec.Command("mount", "-o", "loop", image, dir).Output()
		}
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return err
}
