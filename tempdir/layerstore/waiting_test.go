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

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A queue is a Disk that tells when its user is past the calls that might not
// wait, and waits for a lock.
type queue struct {
	kernel.Disk
	busy    int // answers that somebody has the store lock, before it counts as waiting; then as often as it likes
	waiting chan struct{}
	once    sync.Once
}

func newQueue(busy int) *queue {
	return &queue{Disk: kernel.LinuxDisk(), busy: busy, waiting: make(chan struct{})}
}

func (q *queue) TakeLock(fd int, r kernel.ByteRange) error {
	err := q.Disk.TakeLock(fd, r)
	if err == unix.EAGAIN {
		if q.busy--; q.busy == 0 {
			q.once.Do(func() { close(q.waiting) })
		}
	}
	return err
}

func (q *queue) AwaitLock(fd int, r kernel.ByteRange) error {
	q.once.Do(func() { close(q.waiting) })
	return q.Disk.AwaitLock(fd, r)
}

// A reading is one call of Read that is in or waits, and goes when it is told.
type reading struct {
	in, leave, gone chan struct{}
	queue           *queue
}

// startReading starts a Read and returns when it is in or waits.
func startReading(t *testing.T, ctx context.Context, path string) *reading {
	r := &reading{make(chan struct{}), make(chan struct{}), make(chan struct{}), newQueue(1)}
	go func() {
		defer close(r.gone)
		s, err := layerstore.Open(path, layerstore.WithoutRecovery(), kernel.WithDisk[layerstore.Option](r.queue)) // reads, too
		if !assert.NoError(t, err) {
			return
		}
		defer s.Close()
		assert.NoError(t, s.Read(ctx, "a", func(fs.FS) error {
			close(r.in)
			<-r.leave
			return nil
		}))
	}()
	select {
	case <-r.in:
	case <-r.queue.waiting:
	}
	return r
}

// Readers that come while a writer waits are served before it: one may be waited
// for by a reader that is in. That a writer can starve so is the price; nothing
// here depends on time.
func TestReadersOvertakeAWriterThatWaits(t *testing.T) {
	cancellable, cancel := context.WithCancel(background)
	defer cancel()
	for name, ctx := range map[string]context.Context{"waiting in the kernel": background, "asking again and again": cancellable} {
		t.Run(name, func(t *testing.T) {
			s, path := newStore(t)
			create(t, s, "a", someFiles(3, "a"))
			ahead := startReading(t, ctx, path)
			<-ahead.in

			waits := newQueue(2)
			writer := openStore(t, path, layerstore.WithoutRecovery(), kernel.WithDisk[layerstore.Option](waits))
			saved := make(chan error, 1)
			go func() { saved <- writer.Save(ctx, "a", map[string]string{"k": "v"}) }()
			<-waits.waiting
			for range 50 {
				next := startReading(t, ctx, path)
				<-next.in // while the one ahead is in, and the writer waits
				close(ahead.leave)
				<-ahead.gone
				ahead = next
			}
			assert.Empty(t, saved, "the writer was served before them")
			close(ahead.leave)
			require.NoError(t, <-saved)
			<-ahead.gone
		})
	}
}
