package compat

import (
	"io/fs"
	"os"

	"github.com/afterlock/afterlock/internal/kernel"
)

// SwapKernel makes all system calls go through k until restore is called.
func SwapKernel(k kernel.Kernel) (restore func()) {
	old := calls
	calls = k
	return func() { calls = old }
}

// ForcePortable makes the package use the code for other systems until restore
// is called.
func ForcePortable() (restore func()) {
	old := portably
	portably = true
	return func() { portably = old }
}

// SystemLock takes the lock of a file as the portable code does.
var SystemLock = systemLock

// SwapLock makes the portable code take its locks with take until restore is called.
func SwapLock(take func(*os.File) error) (restore func()) {
	old := lockFile
	lockFile = take
	return func() { lockFile = old }
}

// PortableCreateLock makes a lock file by the portable code.
func PortableCreateLock(dir, name string) error {
	r, err := openPortable(dir, false)
	if err == nil {
		_, err = r.CreateLock(name)
	}
	return err
}

// SystemClearFlags is what the portable code clears flags with.
var SystemClearFlags = systemClearFlags

// SwapClearFlags makes the portable code clear flags with do until restore is called.
func SwapClearFlags(do func(dir *os.Root, name string, info fs.FileInfo) bool) (restore func()) {
	old := clearFlags
	clearFlags = do
	return func() { clearFlags = old }
}

// Unlocked reports whether nobody holds the mutex of an instance of the portable code.
func (td *TempDir) Unlocked() bool {
	d, is := td.dir.(*portableDir)
	if !is || !d.mu.TryLock() {
		return !is
	}
	d.mu.Unlock()
	return true
}
