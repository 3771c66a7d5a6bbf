//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Every call of a create and of a delete fails once. What the error says of the
// effect is what another process sees, and recovery puts the rest in order.
func TestErrorsTellTheEffect(t *testing.T) {
	type operation struct {
		name          string
		run           func(s *layerstore.Store) error
		before, after string
	}
	operations := []operation{
		{"create", func(s *layerstore.Store) error {
			_, err := s.Create(background, layerstore.Layer{ID: "new", Parent: "old"}, someFiles(4, "new"))
			return err
		}, "old child bystander", "old child bystander new"},
		{"delete", func(s *layerstore.Store) error {
			_, err := s.Delete(background, "old", "child")
			return err
		}, "old child bystander", "bystander"},
		{"mount", func(s *layerstore.Store) error {
			_, err := s.Mount(background, "old")
			return err
		}, "old child bystander", "old child bystander"},
	}
	for _, driver := range layouts {
		for _, op := range operations {
			t.Run(driver.Name()+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				effects := map[layerstore.Effect]int{}
				for k := int64(1); ; k++ {
					path := crashScene(t, driver)
					var failed string
					armed := false
					c := &calls{}
					c.before = func(n int64, name string) error {
						if armed && n == k {
							failed = name
							return unix.EIO
						}
						return nil
					}
					s := openStore(t, path, append(c.options(), layerstore.WithDriver(driver))...)
					c.n.Store(0)
					armed = true
					err := op.run(s)
					armed = false
					if failed == "" {
						require.NoError(t, err)
						break
					}
					seen := strings.Join(listIDs(t, openStore(t, path, layerstore.WithoutRecovery())), " ")
					switch effect := layerstore.EffectOf(err); effect {
					case layerstore.NoEffect:
						require.Equal(t, op.before, seen, "call %d, %s: %v", k, failed, err)
					case layerstore.TookEffect:
						require.Equal(t, op.after, seen, "call %d, %s: %v", k, failed, err)
					case layerstore.MayHaveEffect:
						require.Contains(t, []string{op.before, op.after}, seen, "call %d, %s: %v", k, failed, err)
					}
					if err != nil {
						effects[layerstore.EffectOf(err)]++
						require.ErrorIs(t, err, unix.EIO, "call %d, %s", k, failed)
						var failure *layerstore.Error
						require.True(t, errors.As(err, &failure), "call %d, %s: %v", k, failed, err)
						require.Equal(t, op.name, strings.TrimPrefix(failure.Op, "load"), "call %d, %s", k, failed)
					}
					require.NoError(t, s.Close())
					after := strings.Join(checkAfterCrash(t, path, driver), " ")
					if err == nil || layerstore.EffectOf(err) == layerstore.TookEffect {
						require.Equal(t, op.after, after, "call %d, %s", k, failed)
					}
					if layerstore.EffectOf(err) == layerstore.NoEffect {
						require.Equal(t, op.before, after, "call %d, %s", k, failed)
					}
					require.False(t, t.Failed(), "call %d, %s", k, failed)
				}
				t.Log(effects)
				assert.Positive(t, effects[layerstore.NoEffect])
				if op.name != "mount" {
					assert.Positive(t, effects[layerstore.MayHaveEffect])
				}
			})
		}
	}
}

// A creation that fails after its flag was saved cleans up after itself, outside
// the lock, and does not wait for somebody else to do it (F27, F29).
func TestFailedCreationLeavesNothing(t *testing.T) {
	for _, driver := range layouts {
		for n := range driver.Parts(layerstore.Placed{}) {
			t.Run(fmt.Sprintf("%s/part %d", driver.Name(), n), func(t *testing.T) {
				commits := 0
				c := &calls{before: func(_ int64, name string) error {
					if name == "Kernel.Commit" {
						if commits++; commits == n+1 {
							return unix.EIO
						}
					}
					return nil
				}}
				s, path := newStore(t, append(c.options(), layerstore.WithDriver(driver))...)
				_, err := s.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "a"))
				require.ErrorIs(t, err, unix.EIO)
				assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
				assert.Empty(t, leftovers(t, path))
				text, err := os.ReadFile(filepath.Join(path, "layers.json"))
				require.NoError(t, err)
				assert.NotContains(t, string(text), "incomplete")
			})
		}
	}
}

// A deaf disk cannot ask about claims.
type deaf struct{ kernel.Disk }

func (deaf) TestLock(int, kernel.ByteRange) (bool, error) { return false, unix.ENOLCK }

// Whoever cannot find out whether a layer is being removed where it is leaves it
// alone, and says so. If it moved the layer away, its id would be free, and what
// gets it next would be removed by the other.
func TestClaimThatCannotBeTried(t *testing.T) {
	path := filepath.Join(scratch(t), "store")
	across := kernel.Around(kernel.Linux(), &refusals{[]kernel.Method{kernel.StageDeletion}, unix.EXDEV})
	s := openStore(t, path, kernel.With[layerstore.Option](across))
	create(t, s, "a", someFiles(3, "a"))
	receipt, err := s.DeferredDelete(background, "a")
	require.NoError(t, err)

	other := openStore(t, path, kernel.WithDisk[layerstore.Option](deaf{kernel.LinuxDisk()}))
	finished, err := other.Load(background)
	require.ErrorIs(t, err, unix.ENOLCK)
	require.ErrorIs(t, err, layerstore.ErrBusy)
	assert.Empty(t, finished)
	_, err = other.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "new"))
	require.ErrorIs(t, err, layerstore.ErrBusy)
	create(t, other, "b", someFiles(3, "b")) // nobody else is refused

	deletion, err := receipt.Finish(background)
	require.NoError(t, err)
	assert.Len(t, deletion.InPlace, 1)
	create(t, other, "a", someFiles(3, "a"))
	assertWhole(t, other, "a", 3)
	assertWhole(t, other, "b", 3)
}

// A call that is refused every time, by whatever errno, leads to no lie: nil means
// that the layer is there, or gone, whole; an error says whether it took effect; and
// when the refusal ends, recovery leaves nothing.
func TestCallsThatAreAlwaysRefused(t *testing.T) {
	operations := map[string]func(s *layerstore.Store) error{
		"create": func(s *layerstore.Store) error {
			_, err := s.Create(background, layerstore.Layer{ID: "new", Parent: "old"}, someFiles(4, "new"))
			return err
		},
		"delete": func(s *layerstore.Store) error {
			_, err := s.Delete(background, "old", "child")
			return err
		},
		"delete in place": func(s *layerstore.Store) error {
			_, err := s.Delete(background, "old", "child")
			return err
		},
	}
	after := map[string]string{"create": "old child bystander new", "delete": "bystander", "delete in place": "bystander"}
	const before = "old child bystander"
	for _, driver := range layouts {
		for name, operation := range operations {
			t.Run(driver.Name()+"/"+name, func(t *testing.T) {
				t.Parallel()
				refused, errno, armed := "", error(nil), false
				methods := map[string]bool{}
				c := &calls{before: func(_ int64, call string) error {
					switch {
					case !armed:
					case call == refused:
						return errno
					case call == "Kernel.StageDeletion" && name == "delete in place":
						return unix.EXDEV
					case refused == "":
						methods[call] = true
					}
					return nil
				}}
				try := func() (path string, err error) {
					path = crashScene(t, driver)
					s := openStore(t, path, append(c.options(), layerstore.WithDriver(driver))...)
					armed = true
					err = operation(s)
					armed = false
					require.NoError(t, s.Close())
					return path, err
				}
				_, err := try()
				require.NoError(t, err)
				require.Greater(t, len(methods), 15)
				errnos := []error{unix.EACCES, unix.ENOSPC, unix.EPERM, unix.ENOENT}
				if testing.Short() {
					errnos = errnos[2:4]
				}
				for refused = range methods {
					for _, errno = range errnos {
						if refused == "Disk.Close" || refused == "Kernel.Close" {
							continue // nobody asks what it says
						}
						path, err := try()
						what := fmt.Sprintf("%s: %v: %v", refused, errno, err)
						seen := strings.Join(listIDs(t, openStore(t, path, layerstore.WithoutRecovery())), " ")
						switch {
						case err == nil:
							require.Equal(t, after[name], seen, what)
							if name != "create" {
								for _, id := range []string{"old", "child"} {
									require.NoDirExists(t, filepath.Join(path, driver.Files(layerstore.Placed{ID: id})), what)
								}
								staged, err := filepath.Glob(filepath.Join(path, "tempdirs/temp-dir-*/*"))
								require.NoError(t, err)
								require.Empty(t, staged, what)
							}
						case layerstore.EffectOf(err) == layerstore.NoEffect:
							require.Equal(t, before, seen, what)
						case layerstore.EffectOf(err) == layerstore.TookEffect:
							require.Equal(t, after[name], seen, what)
						}
						s := openStore(t, path, layerstore.WithDriver(driver), layerstore.OrphanGrace(0))
						_, failed := s.Recover(background)
						require.NoError(t, failed, what)
						require.NoError(t, s.Close())
						ids := strings.Join(checkAfterCrash(t, path, driver), " ")
						require.Contains(t, []string{before, after[name]}, ids, what)
						require.False(t, t.Failed(), what)
					}
				}
			})
		}
	}
}
