//go:build linux

package layerstore_test

import (
	"context"
	"io/fs"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A queue is a Disk that tells when its user is past the calls that might not
// wait, and waits for a lock.
type queue struct {
	layerstore.Disk
	busy    int // answers that somebody has the store lock, before it counts as waiting; then as often as it likes
	waiting chan struct{}
	once    sync.Once
}

func newQueue(busy int) *queue {
	return &queue{Disk: layerstore.LinuxDisk(), busy: busy, waiting: make(chan struct{})}
}

func (q *queue) TakeLock(fd int, r layerstore.ByteRange) error {
	err := q.Disk.TakeLock(fd, r)
	if err == unix.EAGAIN {
		if q.busy--; q.busy == 0 {
			q.once.Do(func() { close(q.waiting) })
		}
	}
	return err
}

func (q *queue) AwaitLock(fd int, r layerstore.ByteRange) error {
	q.once.Do(func() { close(q.waiting) })
	return q.Disk.AwaitLock(fd, r)
}

// A reading is one call of Read that is in or waits, and goes when it is told.
type reading struct {
	in, leave, gone chan struct{}
	labels          map[string]string // of the layer, as the reader sees them
	queue           *queue
}

// startReading starts a Read and returns when it is in or waits.
func startReading(t *testing.T, ctx context.Context, path string) *reading {
	r := &reading{make(chan struct{}), make(chan struct{}), make(chan struct{}), nil, newQueue(1)}
	go func() {
		defer close(r.gone)
		s, err := layerstore.Open(path, layerstore.WithoutRecovery(), layerstore.WithDisk(r.queue)) // reads, too
		if !assert.NoError(t, err) {
			return
		}
		defer s.Close()
		assert.NoError(t, s.Read(ctx, "a", func(fs.FS) error {
			close(r.in)
			<-r.leave
			return nil
		}))
		layer, err := s.Layer(ctx, "a")
		assert.NoError(t, err)
		r.labels = layer.Labels
	}()
	select {
	case <-r.in:
	case <-r.queue.waiting:
	}
	return r
}

func (r *reading) end() {
	close(r.leave)
	<-r.gone
}

// Readers that never stop coming, each before the one ahead of it leaves, do not
// keep a writer waiting: who comes after the writer goes after it. Nothing here
// depends on time; without the turn every reader overtakes the writer.
func TestReadersDoNotStarveAWriter(t *testing.T) {
	cancellable, cancel := context.WithCancel(background)
	defer cancel()
	for name, ctx := range map[string]context.Context{"waiting in the kernel": background, "asking again and again": cancellable} {
		t.Run(name, func(t *testing.T) {
			s, path := newStore(t)
			create(t, s, "a", someFiles(3, "a"))
			ahead := startReading(t, ctx, path)
			<-ahead.in

			waits := newQueue(2) // its first answer may come before it has its turn
			writer := openStore(t, path, layerstore.WithoutRecovery(), layerstore.WithDisk(waits))
			saved := make(chan error, 1)
			go func() { saved <- writer.Save(ctx, "a", map[string]string{"k": "v"}) }()
			<-waits.waiting

			const many = 50
			overtook := 0
			for ; overtook < many; overtook++ {
				next := startReading(t, ctx, path)
				select {
				case <-next.in:
					ahead.end()
					ahead = next
					continue
				default:
				}
				ahead.end()
				require.NoError(t, <-saved)
				<-next.in
				next.end()
				assert.Equal(t, map[string]string{"k": "v"}, next.labels)
				break
			}
			if overtook == many {
				ahead.end()
				require.NoError(t, <-saved)
			}
			assert.Zero(t, overtook, "readers that came after the writer and were served before it")
		})
	}
}

// A writer that gives up, or dies, takes its turn with it.
func TestWriterThatGivesUpKeepsNobodyWaiting(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", someFiles(3, "a"))
	ahead := startReading(t, background, path)
	<-ahead.in

	ctx, cancel := context.WithCancel(background)
	waits := newQueue(2)
	writer := openStore(t, path, layerstore.WithoutRecovery(), layerstore.WithDisk(waits))
	saved := make(chan error, 1)
	go func() { saved <- writer.Save(ctx, "a", map[string]string{"k": "v"}) }()
	<-waits.waiting
	next := startReading(t, background, path)
	cancel()
	err := <-saved
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
	<-next.in // beside the one that is in already
	next.end()
	ahead.end()
	assert.Empty(t, next.labels)
}

// A turnless Disk is that of a program from before there was a turn.
type turnless struct{ layerstore.Disk }

func (d turnless) TakeLock(fd int, r layerstore.ByteRange) error {
	if r.Offset == 1 {
		return nil
	}
	return d.Disk.TakeLock(fd, r)
}

func (turnless) Locked(int, layerstore.ByteRange) (bool, error) { return false, nil }

// Programs that know of no turn exclude those that do, and the other way round.
func TestProgramsThatKnowNoTurn(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", someFiles(3, "a"))
	const each = 25
	var group sync.WaitGroup
	for _, disk := range []layerstore.Disk{layerstore.LinuxDisk(), turnless{layerstore.LinuxDisk()}} {
		for range 2 {
			handle := openStore(t, path, layerstore.WithDisk(disk))
			group.Go(func() {
				for range each {
					_, err := handle.Mount(background, "a")
					assert.NoError(t, err)
					_, err = handle.List(background)
					assert.NoError(t, err)
				}
			})
		}
	}
	group.Wait()
	layer, err := s.Layer(background, "a")
	require.NoError(t, err)
	assert.Equal(t, 4*each, layer.Mounts)
}
