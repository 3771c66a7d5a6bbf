package main

import (
	"errors"
	"fmt"

	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	tarball "go.podman.io/storage/pkg/archive"
)

func init() {
	// A pull that fails while its own process shuts the store down.
	commands["failed-pull-in-shutdown"] = withStore(0, func(store storage.Store, _ []string) (string, error) {
		_, err := store.PrepareStagedLayer(nil, failingPull{store})
		if !errors.Is(err, errFailedPull) {
			return "", fmt.Errorf("not the pull's own error: %w", err)
		}
		return "the pull failed, as it should", nil
	})
}

var errFailedPull = errors.New("the pull failed")

// A failingPull is a pull by which nothing comes.
type failingPull struct{ store storage.Store }

func (p failingPull) ApplyDiff(string, *tarball.TarOptions, *graphdriver.DifferOptions) (graphdriver.DriverWithDifferOutput, error) {
	_, err := p.store.Shutdown(false)
	return graphdriver.DriverWithDifferOutput{}, errors.Join(errFailedPull, err)
}

func (failingPull) Close() error { return nil }
