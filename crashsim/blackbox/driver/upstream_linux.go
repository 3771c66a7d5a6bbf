package driver

import "github.com/afterlock/afterlock/internal/upstream"

// OpenUpstream opens roots of the fixture of containers/storage.
func OpenUpstream(o upstream.Options) func(path string) (Root, error) {
	return func(path string) (Root, error) {
		root, err := upstream.New(path, o)
		if err != nil {
			return nil, err
		}
		return upstreamRoot{root}, nil
	}
}

type upstreamRoot struct{ *upstream.Root }

func (r upstreamRoot) Create() (Dir, error) {
	dir, err := r.Root.Create()
	if err != nil {
		return nil, err
	}
	return upstreamDir{dir}, nil
}

func (upstreamRoot) Close() error { return nil }

type upstreamDir struct{ *upstream.Dir }

func (d upstreamDir) StageAddition() (Addition, error) { return d.Dir.StageAddition(), nil }

func (d upstreamDir) Close() error { return d.Cleanup() }
