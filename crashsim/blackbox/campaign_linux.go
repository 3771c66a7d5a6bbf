//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/afterlock/afterlock/internal/bench/schedule"
)

// maxProblems bounds how many problems a report keeps.
const maxProblems = 20

// A campaign is one Run.
type campaign struct {
	Options
	workers []*worker

	mu     sync.Mutex
	report Report          // guarded by mu
	seen   map[string]bool // states of the disk, by root and text; guarded by mu
}

func (c *campaign) progress(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}

// count changes the report.
func (c *campaign) count(change func(r *Report)) {
	c.mu.Lock()
	change(&c.report)
	c.mu.Unlock()
}

// problem notes what is wrong and how to see it again.
func (c *campaign) problem(how *schedule.Schedule, text string) {
	c.count(func(r *Report) {
		if len(r.Problems) >= maxProblems {
			r.More++
			return
		}
		r.Problems = append(r.Problems, fmt.Sprintf("%s; afterlock replay %v", text, how))
	})
}

func (c *campaign) problems(how *schedule.Schedule, texts []string) {
	for _, text := range texts {
		c.problem(how, text)
	}
}

// openWorkers starts the workers, in directories below dir.
func (c *campaign) openWorkers(dir string) error {
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	for i := range c.Workers {
		w, err := newWorker(filepath.Join(dir, fmt.Sprintf("worker%d", i)), i, c.Command)
		if err != nil {
			return err
		}
		c.workers = append(c.workers, w)
	}
	return nil
}

func (c *campaign) close() {
	for _, w := range c.workers {
		w.close()
	}
}

// mine reports whether the i-th part of an enumeration is this shard's.
func (c *campaign) mine(i int) bool { return c.ShardN <= 1 || i%c.ShardN == c.ShardI-1 }

// each does what is to be done for those of 0 to n-1 that are this shard's, on
// all workers, and returns the first error.
func (c *campaign) each(ctx context.Context, n int, do func(w *worker, i int) error) error {
	return c.every(ctx, n, func(w *worker, i int) error {
		if !c.mine(i) {
			return nil
		}
		return do(w, i)
	})
}

// every is each, whatever the shard.
func (c *campaign) every(ctx context.Context, n int, do func(w *worker, i int) error) error {
	var (
		next   atomic.Int64
		group  sync.WaitGroup
		failed = make([]error, len(c.workers))
	)
	for k, w := range c.workers {
		group.Go(func() {
			runtime.LockOSThread() // and never unlocked: nobody else gets the pinned thread
			pin(k)
			for ctx.Err() == nil && failed[k] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				failed[k] = do(w, i)
			}
			if failed[k] != nil {
				next.Store(int64(n)) // the others stop soon
			}
		})
	}
	group.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
