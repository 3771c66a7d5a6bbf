package layerstore

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// A deletion is what waits in the line of a handle.
type deletion struct {
	layers  []string
	removal *removal
	victims []record // under the store lock
	err     error

	turn  chan struct{} // closed when it is to lead, or was done by another
	leads bool
}

// A line is the deletions of one handle that wait for the store lock, so that the
// first one, which leads, takes others along: their saves are one save (spec: Join,
// FlagAll, SettleAll, DropAll). It is in memory: two handles have two lines, and what
// a killed process leaves is what one deletion of several layers leaves.
type line struct {
	mu      sync.Mutex
	waiting []*deletion // the first one leads
}

// join puts the deletion at the end.
func (l *line) join(d *deletion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, d)
	l.call()
}

// call lets the first one lead.
func (l *line) call() {
	if len(l.waiting) > 0 && !l.waiting[0].leads {
		l.waiting[0].leads = true
		close(l.waiting[0].turn)
	}
}

// leave takes a deletion out that nobody has taken along and that does not lead.
func (l *line) leave(d *deletion) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.waiting, d)
	if at <= 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, at, at+1)
	return true
}

// take takes along those that wait right behind the leader, as long as they may.
func (l *line) take(may func(*deletion) bool) (others []*deletion) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 1
	for n < len(l.waiting) && may(l.waiting[n]) {
		n++
	}
	others = slices.Clone(l.waiting[1:n])
	l.waiting = slices.Delete(l.waiting, 1, n)
	return others
}

// next ends the lead of the first one.
func (l *line) next() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.Delete(l.waiting, 0, 1)
	l.call()
}

// errPanicked is all that is known of a deletion if the one that led it did not end.
var errPanicked = errors.New("another deletion, which had begun this one too, panicked")

// deleteInLine deletes under the store lock, or lets another deletion do it. Those that
// it does itself are told when it has dropped the lock.
func (s *Store) deleteInLine(ctx context.Context, d *deletion) error {
	op := d.removal.op
	s.line.join(d)
	select {
	case <-d.turn:
	case <-ctx.Done():
		if s.line.leave(d) {
			return &Error{Op: op, Layer: d.layers[0], Path: s.file(lockFile), Effect: NoEffect, Err: ctx.Err()}
		}
		<-d.turn
	}
	if !d.leads {
		return d.err
	}
	var others []*deletion
	ended := false
	defer func() {
		for _, other := range others {
			if !ended {
				other.err = &Error{Op: op, Layer: other.layers[0], Effect: MayHaveEffect, Err: errPanicked}
			}
			close(other.turn)
		}
		s.line.next()
	}()
	err := s.exclusively(ctx, op, d.layers[0], func(h *held, m *metadata) error {
		var chosen []record
		check := func(d *deletion) bool {
			// What depends on the outcome of one before it waits for that.
			related := func(r record) bool { return slices.Contains(d.layers, r.ID) || slices.Contains(d.layers, r.Parent) }
			if slices.ContainsFunc(chosen, related) {
				return false
			}
			d.victims, d.err = s.victims(m, op, d.layers)
			chosen = append(chosen, d.victims...)
			return true
		}
		check(d)
		others = s.line.take(check)
		s.deleteLocked(op, h, m, append([]*deletion{d}, others...))
		return d.err
	})
	ended = true
	return err
}

// deleteLocked is the part under the store lock, for a group of deletions none of which
// depends on another. Those that are refused have an error already.
func (s *Store) deleteLocked(op string, h *held, m *metadata, group []*deletion) {
	group = slices.DeleteFunc(group, func(d *deletion) bool { return d.err != nil })
	if len(group) == 0 {
		return
	}
	var victims []record
	for _, d := range group {
		victims = append(victims, d.victims...)
	}
	if err := s.save(op, h, m.withFlag(victims)); err != nil {
		for _, d := range group {
			d.err = err // NoEffect or, if the flag may not be durable, MayHaveEffect: nothing moved
		}
		return
	}
	var moved, refused, settled []*deletion
	victims = nil
	for _, d := range group {
		for i := range d.victims {
			d.victims[i].Incomplete = true
		}
		r := d.removal
		d.err = r.stage(d.victims)
		if d.err != nil && r.moved == 0 && len(r.gone)+len(r.inPlace) == 0 && errors.Is(d.err, ErrMounted) {
			// Mounted since we looked. Nothing moved, so it can still be refused.
			refused = append(refused, d)
		} else {
			moved = append(moved, d)
			victims = append(victims, d.victims...)
		}
	}
	var gone []record
	var removals []*removal
	for _, d := range moved { // after all renames: one sync may do for several
		r := d.removal
		if err := r.syncMoves(h); err != nil {
			d.err = errors.Join(d.err, err) // its layers stay flagged
		} else if len(r.gone) > 0 {
			settled, removals, gone = append(settled, d), append(removals, r), append(gone, r.gone...)
		}
	}
	if len(settled)+len(refused) == 0 {
		return
	}
	err := s.settleAll(op, h, m.withFlag(victims).without(gone), removals...)
	for _, d := range settled {
		if err != nil {
			d.err = errors.Join(d.err, d.removal.failure(nil, "", nil, err))
		}
	}
	for _, d := range refused {
		var failure *Error
		if errors.As(d.err, &failure); err == nil {
			failure.Effect = NoEffect
			d.err = failure
		}
	}
}
