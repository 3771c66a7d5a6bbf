package layerstore

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// Recover finishes what crashed and failed operations left: flagged layers, see
// [Store.Load], and stale instances in every root (spec: Recover). It also looks
// for layers without a record, which it reports and never touches.
//
// The store lock is held to move flagged layers aside, as long as that takes, and
// for nothing else; nothing is removed under it, and nothing of it waits for a
// root. Failures are contained: what cannot be recovered stays where it is, for a
// later call, and the others go on. If ctx is done, it stops; whatever it began,
// the next call goes on with.
//
// Nil does not say that nothing is left: what others are removing at that moment is
// theirs. [Report.Flagged] and the live instances in [Report.Roots] name it.
func (s *Store) Recover(ctx context.Context) (Report, error) {
	report := Report{Roots: map[string]tempdir.Report{}}
	finished, err := s.Load(ctx)
	report.Finished = finished
	failures := []error{err}
	for _, g := range s.roots() {
		done, err := g.root.Recover(ctx)
		report.Roots[g.root.Path()] = done
		if err != nil {
			failures = append(failures, &Error{Op: "recover", Path: g.root.Path(), Effect: TookEffect, Kind: ErrLeftover, Err: err})
		}
	}
	report.Unrecorded, report.Flagged, err = s.left(ctx)
	return report, errors.Join(append(failures, err)...)
}

// left returns the paths of layers and links without a record, and the ids of those
// that are still flagged. The names are listed first, without a lock; only those that
// seem to have no record are looked at again under it, when nobody commits or stages.
func (s *Store) left(ctx context.Context) (found, flagged []string, err error) {
	var listed []string
	for _, g := range s.graphs() {
		for _, name := range slices.Sorted(maps.Keys(drivers)) {
			for _, dir := range drivers[name].Directories() {
				entries, err := os.ReadDir(filepath.Join(g.path, dir))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return nil, nil, &Error{Op: "recover", Path: filepath.Join(g.path, dir), Effect: NoEffect, Err: kernel.BareErrno(err)}
				}
				for _, entry := range entries {
					if !reservedIDs[entry.Name()] {
						listed = append(listed, filepath.Join(g.path, dir, entry.Name()))
					}
				}
			}
		}
	}
	err = s.shared(ctx, "recover", "", func(m *metadata) error {
		flagged = ids(m.flagged())
		recorded := map[string]bool{}
		for i := range m.Layers {
			r := &m.Layers[i]
			if g := s.graphOf(r); g != nil {
				for _, part := range r.driver().Parts(r.placed()) {
					recorded[filepath.Join(g.path, part)] = true
				}
			}
		}
		for _, path := range listed {
			if !recorded[path] {
				if _, err := os.Lstat(path); err == nil {
					found = append(found, path)
				}
			}
		}
		return nil
	})
	return found, flagged, err
}

// MaybeDirty reports whether there may be something to recover, with one pread
// and, for each root, one statx ([tempdir.Root.MaybeDirty]). It takes no lock.
//
// The pread is of the token: if it is that of metadata in which nothing was
// flagged, nobody has saved since, so nothing is flagged now.
func (s *Store) MaybeDirty() bool {
	flagged, roots := s.dirty()
	return flagged || len(roots) > 0
}

// dirty returns whether something may be flagged, and which roots may have
// something to recover.
func (s *Store) dirty() (flagged bool, roots []*graph) {
	s.mu.Lock()
	flagged = true
	if s.lock >= 0 && s.rested != nil {
		token, err := s.disk.ReadToken(s.lock)
		flagged = err != nil || token != *s.rested
	}
	s.mu.Unlock()
	for _, g := range s.roots() {
		if dirty, err := g.root.MaybeDirty(); dirty || err != nil {
			roots = append(roots, g)
		}
	}
	return flagged, roots
}

// rest remembers the token of metadata in which nothing is flagged.
func (s *Store) rest(ctx context.Context) {
	h, err := s.takeLock(ctx, false)
	if err != nil {
		return
	}
	defer h.drop()
	m, err := s.read("recover", h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rested = nil
	if err == nil && len(m.flagged()) == 0 {
		token := h.token
		s.rested = &token
	}
}

const (
	// openSlice is what a command may have to wait for what others left: about as long
	// as it takes to put a small layer.
	openSlice     = 50 * time.Millisecond
	maintainEvery = 10 * time.Second
	maintainSlice = time.Second
	// maintainAll is how many looks may pass until everything is listed, whatever
	// the hints say: they can be wrong where clocks are, see [tempdir.Root.MaybeDirty].
	maintainAll = 30
)

// Maintain recovers now and then until ctx is done, for processes that run long:
// what another process leaves behind when it is killed changes nothing that they
// would notice otherwise. It runs in the caller's goroutine and starts none.
//
// A look at a store with nothing to do is what [Store.MaybeDirty] costs. The work
// of one look is cut off after [Maintenance.Slice] and goes on with the next one.
// Failures are reported and end nothing. It returns ctx's error, or [ErrClosed].
func (s *Store) Maintain(ctx context.Context, m Maintenance) error {
	if m.Every <= 0 {
		m.Every = maintainEvery
	}
	if m.Slice <= 0 {
		m.Slice = maintainSlice
	}
	for look := 1; ; look++ {
		timer := time.NewTimer(jittered(m.Every))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if s.closed.Load() {
			return &Error{Op: "maintain", Path: s.path, Effect: NoEffect, Kind: ErrClosed}
		}
		slice, cancel := context.WithTimeout(ctx, m.Slice)
		report, worked, err := s.look(slice, look%maintainAll == 0)
		cancel()
		if worked && m.Report != nil {
			m.Report(report, err)
		}
	}
}

// jittered returns a time within a quarter of every. A century stands for longer
// times, which would not fit.
func jittered(every time.Duration) time.Duration {
	every = min(every, 100*365*24*time.Hour)
	return every - every/4 + rand.N(every/2+1)
}

// look is one look of Maintain. worked: there was something to do.
func (s *Store) look(ctx context.Context, all bool) (report Report, worked bool, err error) {
	flagged, roots := s.dirty()
	if all {
		flagged, roots = true, s.roots()
	}
	report.Roots = map[string]tempdir.Report{}
	var failures []error
	if flagged {
		finished, err := s.Load(ctx)
		report.Finished = finished
		failures = append(failures, err)
		s.rest(ctx)
	}
	for _, g := range roots {
		done, err := g.root.Recover(ctx)
		if len(done.Results) > done.Count(tempdir.Skipped) {
			report.Roots[g.root.Path()] = done
		}
		failures = append(failures, err)
	}
	err = errors.Join(failures...)
	return report, err != nil || len(report.Finished)+len(report.Roots) > 0, err
}
