//go:build linux

package layerstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

var errPanics = errors.New("it panics")

// Deletions of one handle that come while the first of them waits for the store lock
// share its saves, and nobody is told before they are durable. Each has its own outcome,
// as if they came one after the other.
func TestDeletionsOfOneHandleShareSaves(t *testing.T) {
	type outcomes map[int]layerstore.Error
	many := strings.Fields(strings.Repeat("l ", 64))
	for i := range many {
		many[i] += fmt.Sprint(i)
	}
	for name, c := range map[string]struct {
		delete    string                                              // what each deletes; the first one leads
		meanwhile func(s *layerstore.Store, handle *layerstore.Store) // when all are in the line
		cancel    int                                                 // who does not wait any longer then, from 1
		late      int                                                 // or when it was taken along
		refuse    map[string]error                                    // calls from then on; "2 Name" is the second of that name
		want      outcomes                                            // those that are no success
		saves     int
		left      string
	}{
		"64 of a layer each": {delete: strings.Join(many, " "), saves: 2},
		"one alone":          {delete: "a", saves: 2},
		"two of one layer":   {delete: "a a b", saves: 4, want: outcomes{1: {Kind: layerstore.ErrLayerUnknown, Effect: layerstore.NoEffect}}},
		"one that is mounted": {delete: "a b c", saves: 2, left: "b", want: outcomes{1: {Kind: layerstore.ErrMounted, Effect: layerstore.NoEffect}},
			meanwhile: func(s, _ *layerstore.Store) { must(s.Mount(background, "b")) }},
		"a leader that is refused": {delete: "a b c", saves: 2, left: "a", want: outcomes{0: {Kind: layerstore.ErrMounted, Effect: layerstore.NoEffect}},
			meanwhile: func(s, _ *layerstore.Store) { must(s.Mount(background, "a")) }},
		"one that has a child now": {delete: "a b c", saves: 2, left: "b d", want: outcomes{1: {Kind: layerstore.ErrHasChildren, Effect: layerstore.NoEffect}},
			meanwhile: func(s, _ *layerstore.Store) {
				must(s.Create(background, layerstore.Layer{ID: "d", Parent: "b"}, someFiles(3, "d")))
			}},
		"one that does not wait any longer": {delete: "a b c", cancel: 2, saves: 2, left: "b",
			want: outcomes{1: {Err: context.Canceled, Effect: layerstore.NoEffect}}},
		"one that does not want to wait when it is under way": {delete: "a b c", late: 2, saves: 2},
		"a leader that does not wait any longer": {delete: "a b c", cancel: 1, saves: 2, left: "a", refuse: map[string]error{"1 Disk.TakeLock": unix.EAGAIN},
			want: outcomes{0: {Err: context.Canceled, Effect: layerstore.NoEffect}}},
		"a leader that gets no lock": {delete: "a b c", saves: 2, left: "a", refuse: map[string]error{"1 Disk.TakeLock": unix.EIO},
			want: outcomes{0: {Err: unix.EIO, Effect: layerstore.NoEffect}}},
		"a handle that is closed": {delete: "a b", saves: 2, // which ends nothing that was let in
			meanwhile: func(_, handle *layerstore.Store) { handle.Close() }},
		"flags that cannot be saved": {delete: "a b", left: "a b", refuse: map[string]error{"1 Disk.SyncSpare": unix.EIO},
			want: outcomes{0: {Err: unix.EIO, Effect: layerstore.NoEffect}, 1: {Err: unix.EIO, Effect: layerstore.NoEffect}}},
		"records that cannot be saved": {delete: "a b", saves: 1, refuse: map[string]error{"2 Disk.SyncSpare": unix.EIO},
			want: outcomes{0: {Err: unix.EIO, Effect: layerstore.TookEffect}, 1: {Err: unix.EIO, Effect: layerstore.TookEffect}}},
		"one that is a mount point": {delete: "a b c", saves: 2, left: "b", refuse: map[string]error{"2 Kernel.StageDeletion": tempdir.ErrMountPoint},
			want: outcomes{1: {Kind: layerstore.ErrMounted, Effect: layerstore.NoEffect}}},
		"one that cannot be moved": {delete: "a b c", saves: 3, refuse: map[string]error{"2 Kernel.StageDeletion": unix.EIO}},
		"a leader that panics": {delete: "a b c c", saves: 2, refuse: map[string]error{"2 Kernel.StageDeletion": errPanics}, // the last one leads then
			want: outcomes{0: {Err: errPanics, Effect: layerstore.NoEffect}, 1: {Err: layerstore.ErrPanicked, Effect: layerstore.MayHaveEffect},
				2: {Err: layerstore.ErrPanicked, Effect: layerstore.MayHaveEffect}, 3: {Kind: layerstore.ErrLayerUnknown, Effect: layerstore.NoEffect}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, path := newStore(t, layerstore.WithoutRecovery())
				layers := strings.Fields(c.delete)
				for i, id := range layers {
					if i == 0 || id != layers[i-1] {
						create(t, s, id, someFiles(3, id))
					}
				}
				var handle *layerstore.Store
				var all sync.WaitGroup
				var told atomic.Int32        // of those that do not lead
				ended := make(chan struct{}) // the one that leads first
				ends := sync.OnceFunc(func() { close(ended) })
				said, cancels := make([]error, len(layers)), make([]func(), len(layers))
				start := func(i int) {
					ctx, cancel := context.WithCancel(background)
					t.Cleanup(cancel)
					cancels[i] = cancel
					all.Go(func() {
						defer func() {
							if recover() != nil {
								said[i] = errPanics
								ends()
							}
						}()
						receipt, err := handle.DeferredDelete(ctx, layers[i])
						if said[i] = err; i > 0 {
							told.Add(1)
							<-ended // or who is told early would wait for the lock of a leader that waits for it
						} else {
							ends()
						}
						if receipt != nil {
							_, err := receipt.Finish(background)
							assert.NoError(t, err)
						}
					})
				}
				const looking, waiting, filling, counting = 1, 2, 3, 4
				var phase, syncs atomic.Int32
				var mu sync.Mutex
				early, count := int32(0), map[string]int{}
				hook := &calls{before: func(_ int64, call string) error {
					if call == "Disk.TakeLock" && phase.Load() == looking {
						phase.Store(waiting)
						return nil
					}
					if call == "Disk.TakeLock" && phase.CompareAndSwap(waiting, filling) {
						for i := range layers[1:] {
							start(i + 1)
							synctest.Wait()
						}
						if c.meanwhile != nil {
							c.meanwhile(s, handle)
						}
						if c.cancel > 0 {
							cancels[c.cancel-1]()
							synctest.Wait()
						}
						early = told.Load()
						phase.Store(counting)
					}
					if phase.Load() != counting {
						return nil
					}
					if strings.HasPrefix(call, "Disk.Sync") && syncs.Add(1) <= 4 { // of the first group
						synctest.Wait()
						assert.Equal(t, early, told.Load(), "they were told before %s", call)
					}
					if call == "Disk.WriteSpare" && c.late > 0 {
						cancels[c.late-1]()
					}
					mu.Lock()
					defer mu.Unlock()
					count[call]++
					err := c.refuse[fmt.Sprint(count[call], " ", call)]
					if err == errPanics {
						syncs.Store(4)
						panic(err)
					}
					return err
				}}
				handle = openStore(t, path, append(hook.options(), layerstore.WithoutRecovery(), layerstore.CountsOnly())...)
				phase.Store(looking)
				start(0)
				all.Wait()
				assert.Equal(t, c.saves, count["Disk.Replace"], "saves")
				for i, err := range said {
					want, fails := c.want[i]
					if !fails {
						assert.NoError(t, err, "%d: %s", i, layers[i])
						continue
					}
					assert.ErrorIs(t, err, cmp.Or(want.Kind, want.Err), "%d: %s", i, layers[i])
					assert.Equal(t, want.Effect, layerstore.EffectOf(err), "%d: %s", i, layers[i])
				}
				ctx, cancel := context.WithTimeout(background, time.Minute) // by the clock of the bubble
				defer cancel()
				_, err := s.Load(ctx)
				assert.NoError(t, err)
				assert.ElementsMatch(t, strings.Fields(c.left), listIDs(t, s))
				for _, id := range listIDs(t, s) {
					assertWhole(t, s, id, 3)
				}
				if said[0] != errPanics { // or its instance is one of a process that lives
					assert.Len(t, leftovers(path), len(listIDs(t, s)), "%v", leftovers(path))
				}
			})
		})
	}
}
