// Package scratch makes directories to work in that do not outlive their process
// for long: one that is killed leaves its directory, and the next run removes it.
// It is package tempdir that does it. A scratch directory is an addition of an
// instance, in a root of the user's, which goes when it is empty.
package scratch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/afterlock/afterlock/tempdir"
)

// A Dir is a scratch directory.
type Dir struct {
	path     string
	root     *tempdir.Root // nil: a plain directory
	instance *tempdir.Dir
}

// attempts bounds how often another run may remove the empty root in the moment
// between its opening and the making of an instance.
const attempts = 1000

// Open makes a scratch directory in the existing directory dir, and removes those
// there whose processes are dead. Where that is not possible, because the file
// system has no such locks or the root's name belongs to somebody else, it makes a
// plain directory, which a process that is killed leaves for good.
//
// What a dead run has left and cannot be removed stays, and is no error: the next
// run tries again.
func Open(ctx context.Context, dir string) (*Dir, error) {
	if _, err := os.Stat(dir); err != nil { // the library would make it
		return nil, err
	}
	if d, err := openInstance(ctx, dir); err == nil || ctx.Err() != nil {
		return d, errors.Join(err, ctx.Err())
	}
	path, err := os.MkdirTemp(dir, "afterlock-scratch-")
	if err != nil {
		return nil, err
	}
	return &Dir{path: path}, nil
}

// rootName is that of the root in the directory that the user chose.
func rootName() string { return fmt.Sprintf(".afterlock-scratch-%d", os.Geteuid()) }

func openInstance(ctx context.Context, dir string) (*Dir, error) {
	at := filepath.Join(dir, rootName())
	if info, err := os.Lstat(at); err == nil && !Mine(info) {
		return nil, fmt.Errorf("%s is somebody else's", at)
	}
	var err error
	for range attempts {
		d := &Dir{}
		if d.root, err = tempdir.Open(at, tempdir.Make(0o700), tempdir.Purpose("scratch directory")); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		if d.instance, err = d.root.Create(); err == nil {
			_, _ = d.root.Recover(ctx) // those of dead runs
			var addition *tempdir.Addition
			if addition, err = d.instance.StageAddition(); err == nil {
				d.path = addition.Path()
				err = os.Mkdir(d.path, 0o700)
			}
		}
		if err == nil && ctx.Err() == nil {
			return d, nil
		}
		_ = d.Close()
		if !errors.Is(err, tempdir.ErrRootGone) && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, ctx.Err())
		}
	}
	return nil, err
}

// Path is the directory: empty at first, for this process alone.
func (d *Dir) Path() string { return d.path }

// Close removes the directory. If that fails, the next run tries again.
func (d *Dir) Close() error {
	if d.root == nil {
		return os.RemoveAll(d.path)
	}
	var err error
	if d.instance != nil {
		err = d.instance.Close(context.Background())
	}
	err = errors.Join(err, d.root.Close())
	_ = syscall.Rmdir(d.root.Path()) // fails if another run works there
	return err
}
