package tempdir

import (
	"context"
	"sync"
	"time"
)

const (
	// burst is for how long what was not removed may be made up for.
	burst = 100 * time.Millisecond

	// leastWait is the shortest time that a removal waits for: timers are not finer.
	leastWait = time.Millisecond
)

// A rate says how fast names and their bytes may be removed.
type rate struct{ names, bytes bucket }

// wait returns when one more name of so many bytes may be removed, or the context is done.
func (r *rate) wait(ctx context.Context, now time.Time, bytes int64) {
	pause := max(r.names.take(1, now), r.bytes.take(bytes, now))
	if pause < leastWait {
		return // the debt stays
	}
	sleep(ctx, pause)
}

// sleep reports false if the context was done first.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A bucket is filled at a rate, and may be in debt.
type bucket struct {
	perSecond float64 // 0: as fast as can be

	mu     sync.Mutex
	filled float64
	at     time.Time
}

// take takes so many out, and returns how long to wait until there is no debt.
func (b *bucket) take(n int64, now time.Time) (wait time.Duration) {
	if b.perSecond <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.at = now
	}
	// A clock that was set back fills nothing.
	b.filled = min(b.filled+b.perSecond*max(now.Sub(b.at), 0).Seconds(), b.perSecond*burst.Seconds()) - float64(n)
	b.at = now
	return time.Duration(max(-b.filled, 0) / b.perSecond * float64(time.Second))
}
