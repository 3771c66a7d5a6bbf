//go:build linux

package layerstore

import (
	"context"

	"github.com/afterlock/afterlock/tempdir"
)

// Look is one look of [Store.Maintain].
func Look(s *Store) (Report, bool, error) { return s.look(context.Background(), false) }

// HomeRoot is the root of the store's own directory.
func HomeRoot(s *Store) *tempdir.Root { return s.home.root }
