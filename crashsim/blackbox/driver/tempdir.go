package driver

import (
	"context"

	"github.com/afterlock/afterlock/tempdir"
)

// OpenTempdir opens roots of package tempdir, in which recovery adopts orphans at
// once: one of them leaves nothing.
func OpenTempdir(options ...tempdir.Option) func(path string) (Root, error) {
	options = append([]tempdir.Option{tempdir.OrphanGrace(0)}, options...)
	return func(path string) (Root, error) {
		root, err := tempdir.Open(path, options...)
		if err != nil {
			return nil, err
		}
		return tempdirRoot{root}, nil
	}
}

type tempdirRoot struct{ *tempdir.Root }

func (r tempdirRoot) Create() (Dir, error) {
	dir, err := r.Root.Create()
	if err != nil {
		return nil, err
	}
	return tempdirDir{dir}, nil
}

func (r tempdirRoot) Recover() error {
	_, err := r.Root.Recover(context.Background())
	return err
}

type tempdirDir struct{ *tempdir.Dir }

func (d tempdirDir) StageAddition() (Addition, error) {
	a, err := d.Dir.StageAddition()
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (d tempdirDir) Close() error { return d.Dir.Close(context.Background()) }
