// Package testfs makes real file systems for tests: sized, full, read-only,
// without unnamed files, and on top of each other.
//
// Every function mounts below a temporary directory of the test, and unmounts
// when the test ends. A helper process of each mount watches over the test
// process and unmounts if that dies, and loop devices detach by themselves, so
// that a killed test leaves nothing mounted. A test that cannot have what it
// asks for, because of missing privileges, tools or kernel support, is skipped
// with the reason.
package testfs

import "testing"

// An Ext4Options gives the size of an ext4 file system; zero fields are a size
// at which nothing runs out.
type Ext4Options struct {
	MiB    int // at least 4
	Inodes int
}

// A Kind is one sort of file system that a test may run on.
type Kind struct {
	Name string
	// Make mounts a new, empty file system of the kind and returns its root
	// directory, or skips the test.
	Make func(t testing.TB) string
	// Mounted says that Make needs the privilege to mount.
	Mounted bool
}

// Kinds lists every kind. The first is whatever holds the temporary directory,
// and works for everybody.
func Kinds() []Kind {
	return []Kind{
		{Name: "plain", Make: func(t testing.TB) string { return t.TempDir() }},
		{Name: "tmpfs", Make: func(t testing.TB) string { return Tmpfs(t, "") }, Mounted: true},
		{Name: "ext4", Make: func(t testing.TB) string { return Ext4(t, Ext4Options{}) }, Mounted: true},
		{Name: "xfs", Make: Xfs, Mounted: true},
		{Name: "btrfs", Make: Btrfs, Mounted: true},
		{Name: "overlay", Make: Overlay, Mounted: true},
		{Name: "fuse", Make: Fuse, Mounted: true},
	}
}
