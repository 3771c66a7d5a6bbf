//go:build linux

package tempdir

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// quarantine is the longest time, but for the interval itself, for which an instance
	// that cannot be removed rests.
	quarantine = time.Hour

	// unasked is how often, in looks, the root is recovered although it seems unchanged.
	unasked = 10
)

// A rest is what the reaper knows of an instance that failed.
type rest struct {
	pause time.Duration
	until time.Time
}

// Reap recovers the root every interval until ctx is done: for a process that runs long,
// so that what others leave behind does not stay until somebody starts again. It is the
// caller's goroutine that does it all; nothing of it is left when it returns. An interval
// of zero or less is a minute.
//
// The intervals are up to a quarter longer or shorter, by chance, so that the processes of
// a host spread. Reap waits first: [Root.Recover] is for the start. A look at a root that
// has not changed costs one system call ([Root.MaybeDirty]); every tenth look is a
// recovery whatever that says. With [Slice], one look is one slice.
//
// An instance that fails is [Resting] then for two intervals, and twice as long each
// time it fails again, up to an hour, or to the interval if that is longer. So is a root
// that cannot be listed. Another process or a call of Recover may try it all the same.
// Memory is taken for each instance that rests.
//
// After each recovery report is called with what Recover returned, if it is not nil, by
// the same goroutine: until it returns nothing is reaped, and a panic is the caller's.
// No lock is held then.
//
// Reap returns ctx.Err() when ctx is done, or an error that matches [ErrClosed] or
// [ErrRootGone]: then it makes no sense to go on. It may be called more than once, as
// Recover may, and with it; a crash leaves what one of Recover leaves.
func (r *Root) Reap(ctx context.Context, interval time.Duration, report func(Report, error)) error {
	if interval <= 0 {
		interval = time.Minute
	}
	longest := max(quarantine, interval)
	resting := make(map[string]rest)
	pause := interval
	for look := 1; ; look++ {
		if !sleep(ctx, time.Duration((0.75+rand.Float64()/2)*float64(pause))) {
			return ctx.Err()
		}
		dirty, err := r.MaybeDirty()
		switch {
		case errors.Is(err, ErrClosed), errors.Is(err, ErrRootGone):
			return err
		case err == nil && !dirty && look%unasked != 0:
			continue
		}
		now := r.options.now()
		done, err := r.recover(ctx, "reap", func(id string) bool { return now.Before(resting[id].until) })
		if report != nil {
			report(done, err)
		}
		if err != nil && len(done.Results) == 0 { // not listed
			pause = min(2*pause, longest)
			continue // who rests goes on resting
		}
		pause = interval
		seen := make(map[string]rest)
		for _, result := range done.Results {
			was, rests := resting[result.ID]
			switch {
			case result.Outcome == Failed:
				was.pause = min(max(2*was.pause, 2*interval), longest)
				was.until = r.options.now().Add(was.pause)
				seen[result.ID] = was
			case result.Outcome == Resting && rests:
				seen[result.ID] = was
			}
		}
		if !done.More {
			clear(resting) // what is not there any more
		}
		for id, rest := range seen {
			resting[id] = rest
		}
	}
}
