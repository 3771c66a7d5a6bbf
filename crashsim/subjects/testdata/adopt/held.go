package lockfile

import (
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

// taken is since when this process has the write lock of a file.
var taken sync.Map

func afterlockTaken(path string) { taken.Store(path, time.Now()) }

// afterlockHeld is called before the lock is given up; its result, after that.
func afterlockHeld(path string) func() {
	since, ok := taken.LoadAndDelete(path)
	return func() {
		if ok {
			fmt.Println("held", filepath.Base(path), time.Since(since.(time.Time)).Nanoseconds())
		}
	}
}
