//go:build linux

package layerstore_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Whoever flagged a layer may have been killed before that was durable. Whoever
// finishes it makes it so before anything moves, or power loss would leave the
// record and not the layer (spec: PowerTrustsFlag).
func TestFlagIsDurableBeforeAnythingMoves(t *testing.T) {
	operations := map[string]func(*layerstore.Store) error{
		"recover": func(s *layerstore.Store) error { _, err := s.Recover(background); return err },
		"save":    func(s *layerstore.Store) error { return s.Save(background, "b", label("x")) },
	}
	saves := map[string]struct {
		exchange error
		sync     string // what makes the save durable
	}{
		"exchanged": {nil, "Disk.SyncDirectory"},
		"marked":    {unix.ENOSPC, "Disk.SyncSpare"},
	}
	for saved, how := range saves {
		for name, operation := range operations {
			for _, syncs := range []bool{true, false} {
				t.Run(saved+", "+name+map[bool]string{true: "", false: ", and that cannot be"}[syncs], func(t *testing.T) {
					s, path := newStore(t)
					create(t, s, "a", someFiles(3, "a"))
					create(t, s, "b", layerstore.Empty())

					took := false
					flags := &calls{before: func(_ int64, call string) error {
						switch {
						case call == "Disk.Replace":
							took = true
							return how.exchange
						case took && call == how.sync:
							return errKilled
						}
						return nil
					}}
					_, err := openStore(t, path, append(flags.options(), layerstore.WithoutRecovery())...).Delete(background, "a")
					require.ErrorIs(t, err, errKilled)
					require.Equal(t, layerstore.MayHaveEffect, layerstore.EffectOf(err))
					require.DirExists(t, filepath.Join(path, "vfs/dir/a"))

					var made []string
					finishes := &calls{before: func(_ int64, call string) error {
						made = append(made, call)
						if call == how.sync && !syncs {
							return unix.EIO
						}
						return nil
					}}
					other := openStore(t, path, append(finishes.options(), layerstore.WithoutRecovery())...)
					made = nil
					err = operation(other)
					sync, stage := slices.Index(made, how.sync), slices.Index(made, "Kernel.StageDeletion")
					require.GreaterOrEqual(t, sync, 0)
					if syncs {
						require.NoError(t, err)
						assert.Greater(t, stage, sync, "%v", made)
						assert.Equal(t, []string{"b"}, listIDs(t, s))
						return
					}
					require.ErrorIs(t, err, unix.EIO)
					assert.Equal(t, -1, stage, "%v", made)
					assert.DirExists(t, filepath.Join(path, "vfs/dir/a"))
				})
			}
		}
	}
}
