package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/afterlock/afterlock/tempdir"
)

// findRoots returns the roots that path stands for: those of a containers/storage
// graph root or image store, or of a store of package layerstore, if path holds
// any, else path itself.
func findRoots(path string) ([]string, error) {
	var roots []string
	for _, pattern := range []string{"*-layers/tmp", "overlay/tempdirs", "vfs/tempdirs", "tempdirs"} {
		// Only the pattern may hold wildcards, not the path.
		found, err := filepath.Glob(filepath.Join(quoteGlob(path), pattern))
		if err != nil {
			return nil, err
		}
		for _, root := range found {
			if info, err := os.Lstat(root); err == nil && info.IsDir() {
				roots = append(roots, root)
			}
		}
	}
	if len(roots) == 0 {
		roots = []string{path}
	}
	return roots, nil
}

// quoteGlob escapes what filepath.Match would take for a wildcard.
func quoteGlob(path string) string {
	var quoted []byte
	for _, c := range []byte(path) {
		switch c {
		case '*', '?', '[', '\\':
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, c)
	}
	return string(quoted)
}

// openRoot opens a root that may belong to a store of containers/storage, whose
// ids then count as instances.
func openRoot(path string, lockGrace, dataGrace time.Duration) (*tempdir.Root, error) {
	return tempdir.Open(path, tempdir.MixedFleet(lockGrace, dataGrace), tempdir.Purpose("afterlock recover"))
}

// The graces of the mixed-fleet rule, unless the user says otherwise.
const (
	lockGrace = time.Minute
	dataGrace = 24 * time.Hour
)
