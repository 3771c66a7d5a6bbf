package compat

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// How old something has to be before recovery takes it for a leftover, where
// an unfixed process in the right place could still be using it; see
// [tempdir.MixedFleet].
const (
	lockGrace = time.Minute
	dataGrace = 24 * time.Hour
)

// A root is a directory with instances. There are two kinds: package tempdir's
// on Linux, and portableRoot elsewhere.
type root interface {
	Create() (instance, error)
	CreateLock(name string) (lock, error)
	TryLock(name string) (lock, error)
	Recover() (tempdir.Report, error)
	Close() error // what was made in it keeps working
}

type (
	instance interface {
		StageDeletion(path string) error
		StageAddition() (addition, error)
		Close() error
	}
	addition interface {
		Path() string
		Commit(destination string) error
	}
	lock interface{ Delete() error }
)

// portably is set where package tempdir does not work, and by tests.
var portably = runtime.GOOS != "linux"

// openRoot opens the root, which may be a symbolic link to a directory. With
// make it is made, with permissions 0700, if it does not exist.
func openRoot(path string, make bool) (root, error) {
	open := openLinux
	if portably {
		open = openPortable
	}
	opened, err := open(path, make)
	// A store's configuration may name its directories by symbolic links, which
	// package tempdir does not follow. Locks belong to inodes, so it does not
	// matter which name a process used.
	if errors.Is(err, syscall.ENOTDIR) {
		if resolved, evalErr := filepath.EvalSymlinks(path); evalErr == nil && resolved != filepath.Clean(path) {
			return open(resolved, make)
		}
	}
	return opened, err
}

// calls makes all system calls of package tempdir: the running kernel, unless
// tests put another in its place.
var calls kernel.Kernel

func openLinux(path string, make bool) (root, error) {
	options := []tempdir.Option{
		kernel.With[tempdir.Option](calls), tempdir.MixedFleet(lockGrace, dataGrace),
		tempdir.DetachMounts(), tempdir.AllowOthers(),
	}
	if make {
		options = append(options, tempdir.Make(0o700))
	}
	opened, err := tempdir.Open(path, options...)
	if err != nil {
		return nil, err
	}
	return linuxRoot{opened}, nil
}

// linuxRoot and linuxDir give package tempdir's types the interfaces above.
type (
	linuxRoot struct{ *tempdir.Root }
	linuxDir  struct{ *tempdir.Dir }
)

func (r linuxRoot) Create() (instance, error) {
	dir, err := r.Root.Create()
	if err != nil {
		return nil, err
	}
	return linuxDir{dir}, nil
}

func (r linuxRoot) CreateLock(name string) (lock, error) {
	l, err := r.Root.CreateLock(name)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (r linuxRoot) TryLock(name string) (lock, error) {
	l, err := r.Root.TryLock(name)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (r linuxRoot) Recover() (tempdir.Report, error) { return r.Root.Recover(context.Background()) }

func (d linuxDir) StageAddition() (addition, error) {
	a, err := d.Dir.StageAddition()
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (d linuxDir) Close() error { return d.Dir.Close(context.Background()) }
