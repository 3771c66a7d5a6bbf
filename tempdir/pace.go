package tempdir

import "runtime"

const (
	// alone is how many names one walk removes by itself, and in the order in which
	// they are listed, before more is worth it.
	alone = 500

	// maxWorkers bounds the workers where [Workers] does not, because each may have
	// maxDepth descriptors open.
	maxWorkers = 16

	// gain is how much faster more workers have to make a removal to stay: what twice the
	// cores give is far above, and noise is below.
	gain = 1.15

	// firstRest is how many slices of time the number of workers rests after a trial that
	// fails, and maxRest how many at most: each one that fails makes it longer by a factor.
	// What a trial settled rests for settledRest: where fewer get faster, a slump tells.
	firstRest   = 4
	restFactor  = 8
	settledRest = 32
	maxRest     = 256

	// slump is the part of its former rate below which, twice in turn, a number of workers
	// is tried against one less at once: some file systems get slower only after a while.
	// A trial with less than this part of the rate before it needs no whole slice.
	slump = 0.6
)

// A pace says how many workers remove a tree fastest, by the rates it is told: it tries
// twice as many or half as many for a slice of time, and compares. It knows no clock.
type pace struct {
	most    int     // workers
	workers int     // to be
	from    int     // in a trial: how many there were before it; else 0
	before  float64 // the rate then
	best    float64 // the rate when the number of workers was settled
	slumped bool    // the last slice was far slower; one may be an accident
	unsure  bool    // the trial is because of that
	rest    int     // slices until the next trial
	pause   int     // slices to rest after one that fails
	down    bool    // the next trial is of less, where both are possible
}

// newPace is a pace for at most so many workers, 0: as many as run at the same time.
func newPace(most int) pace {
	if most <= 0 {
		most = min(runtime.GOMAXPROCS(0), maxWorkers)
	}
	return pace{most: most, workers: 1, pause: firstRest}
}

// hopeless reports whether a trial with this rate fails.
func (p *pace) hopeless(rate float64) bool { return p.from != 0 && rate < slump*p.before }

// next ends a slice, in which there was this rate.
func (p *pace) next(rate float64) {
	up, unsure := p.workers > p.from, p.unsure
	p.unsure = false
	switch {
	case p.from == 0:
		p.rest--
		slumps := p.workers > 1 && rate < slump*p.best
		p.unsure = slumps && p.slumped
		if p.unsure {
			p.rest, p.down = 0, true
		}
		p.slumped = slumps
	case (up || unsure) && rate < gain*p.before, !up && p.before >= gain*rate:
		// In a slump fewer have to be faster: all are slow while the log of xfs is full.
		p.workers, p.best = p.from, p.before
		p.rest, p.pause = p.pause, min(restFactor*p.pause, maxRest)
		p.down = up
	default: // it stays, and perhaps the next one does, too
		p.best = rate
		p.rest, p.pause = 0, firstRest
		p.down = !up
		if p.workers == p.most || p.workers == 1 {
			p.rest, p.pause = settledRest, maxRest
		}
	}
	p.from = 0
	if p.rest > 0 || p.most == 1 {
		return
	}
	p.from, p.before = p.workers, rate
	if p.workers == p.most || p.workers > 1 && p.down {
		p.workers = (p.workers + 1) / 2
	} else {
		p.workers = min(2*p.workers, p.most)
	}
}
