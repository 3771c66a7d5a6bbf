package layerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// A removal is the one way in which layers go: by a deletion, by the end of one
// that crashed, or of an addition that failed. It has one instance for each graph
// root, for all parts of all layers. What cannot be moved is removed in place,
// claimed, after the store lock was dropped.
type removal struct {
	store     *Store
	op        string
	dirs      map[*graph]*tempdir.Dir
	noDir     map[*graph]error // why there is no instance: removal in place
	staged    map[*graph]bool  // that have layers that were moved away
	moved     int              // parts that were moved away
	gone      []record         // nothing of them is at home any more
	lost      []string         // directories from which somebody else moved something
	inPlace   []claimedLayer
	byOrder   []string  // directories whose changes are durable before a later save by exchange is
	saved     *metadata // without those that are gone
	movesOnly bool      // what cannot be moved is left as it is
	out       Deletion
}

// A claimedLayer is one to be removed where it is.
type claimedLayer struct {
	record
	fd int // holds the claim
}

func (s *Store) newRemoval(op string) *removal {
	return &removal{store: s, op: op, dirs: map[*graph]*tempdir.Dir{}, noDir: map[*graph]error{}, staged: map[*graph]bool{}}
}

// prepare makes the instance for the graph root, if there is none: without the
// store lock if the caller can foresee it. Where none can be made, layers are
// removed in place, whatever the reason.
func (r *removal) prepare(g *graph) {
	if r.dirs[g] != nil || r.noDir[g] != nil {
		return
	}
	if g.root == nil {
		r.noDir[g] = unix.EROFS
		return
	}
	dir, err := g.root.Create()
	if err != nil {
		r.noDir[g] = err
		return
	}
	r.dirs[g] = dir
	r.out.Instances = append(r.out.Instances, dir.ID())
}

// move takes flagged layers away under the store lock, and saves the metadata
// without those of which nothing is left at home (spec: Stage, SyncRecord, Forget;
// FinishFlagged). It goes on after failures: what fails stays flagged.
func (r *removal) move(h *held, m *metadata, layers []record) error {
	// A flag that is read need not be durable, and nothing may move before it is.
	if err := r.store.makeDurable(h); err != nil {
		return r.failure(nil, r.store.path, nil, err)
	}
	err := r.stage(layers)
	if syncErr := r.syncMoves(h); syncErr != nil {
		return errors.Join(err, syncErr) // they stay flagged
	}
	if len(r.gone) > 0 {
		if saveErr := r.store.settleAll(r.op, h, m.without(r.gone), r); saveErr != nil {
			err = errors.Join(err, r.failure(nil, "", nil, saveErr))
		}
	}
	return err
}

// stage moves layers away, without a save.
func (r *removal) stage(layers []record) error {
	var failures []error
	for i := range layers {
		layer := &layers[i]
		g := r.store.graphOf(layer)
		if err := r.moveLayer(g, layer); err != nil {
			failures = append(failures, err)
			continue
		}
		r.staged[g] = true
	}
	return errors.Join(failures...)
}

// syncMoves makes durable, or sees to it that it will be before a later save is, what
// was moved: after that the records can go.
func (r *removal) syncMoves(h *held) error {
	for g := range r.staged {
		dir := r.dirs[g]
		switch {
		case dir == nil || r.moved == 0:
		case g.ordered:
			h.before = append(h.before, dir.Sync)
		default:
			// Where renames are not ordered, the record must not go before the
			// layer is away for good; it would be a leak after power loss.
			if err := dir.Sync(); err != nil {
				return r.failure(nil, "", nil, err)
			}
		}
	}
	for _, dir := range r.lost {
		// And before what somebody else moved is, who may have died before that.
		if err := r.store.disk.SyncDirectory(dir); err != nil {
			return r.failure(nil, dir, nil, err)
		}
	}
	return nil
}

// settleAll saves metadata without layers that are gone by the removals.
func (s *Store) settleAll(op string, h *held, m *metadata, removals ...*removal) error {
	for _, r := range removals {
		for _, dir := range r.byOrder {
			h.before = append(h.before, func() error { return s.disk.SyncDirectory(dir) })
		}
	}
	if err := s.save(op, h, m); err != nil {
		return err
	}
	for _, r := range removals {
		r.saved = m
	}
	return nil
}

// moveLayer moves one layer's parts into the instance of its graph root.
func (r *removal) moveLayer(g *graph, layer *record) error {
	if g == nil {
		return r.failure(layer, "", ErrNoImageStore, nil)
	}
	if !layer.driver().Deferred() && !r.movesOnly {
		// Under the store lock: this layout is there to show what that costs.
		if err := r.removeInPlace(context.Background(), g, layer); err != nil {
			return r.failure(layer, "", ErrLeftover, err)
		}
		r.gone = append(r.gone, *layer)
		return nil
	}
	r.prepare(g)
	var reason error
	for _, part := range layer.driver().Parts(layer.placed()) {
		path := filepath.Join(g.path, part)
		err := r.noDir[g]
		if err == nil {
			err = r.dirs[g].StageDeletion(path)
		}
		switch {
		case err == nil:
			r.moved++
			if !g.ordered && !absent(path) {
				// As fuse-overlayfs does: what is below shows again.
				reason = fmt.Errorf("%s is still there after it was moved", quote(path))
			}
		case errors.Is(err, tempdir.ErrMountPoint):
			return r.failure(layer, path, ErrMounted, err)
		case absent(path):
			// The process that crashed had moved this part already, or somebody deleted it
			// by hand. Whatever kept this one from moving it does not matter then.
			if dir := filepath.Dir(path); r.store.orders(g, dir) {
				r.byOrder = append(r.byOrder, dir)
			} else {
				r.lost = append(r.lost, dir)
			}
		default:
			reason = err // whatever it is: what was not moved is removed where it is
		}
		if reason != nil {
			break
		}
	}
	switch {
	case reason == nil:
		r.gone = append(r.gone, *layer)
		return nil
	case r.movesOnly:
		return r.failure(layer, "", nil, reason)
	}
	fd, err := r.store.claim(layer)
	if err != nil {
		return r.failure(layer, "", ErrBusy, err)
	}
	r.inPlace = append(r.inPlace, claimedLayer{*layer, fd})
	r.out.InPlace = append(r.out.InPlace, InPlace{Layer: layer.ID, Reason: reason})
	return nil
}

// orders reports whether names that go from the directory are gone durably before a
// later save of the metadata is durable.
func (s *Store) orders(g *graph, dir string) bool {
	one, known := oneDevice(dir, s.path)
	return g.ordered && known && one
}

// absent reports whether nothing is at the path: what is not there any more is as
// good as removed, but nobody's word is taken for it, and nothing is known where the
// directory of layers is missing: its disk may not be mounted.
func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist) && home(path) == nil
}

// home returns why there is no directory that the path could be in, or nil.
func home(path string) error {
	_, err := os.Stat(filepath.Dir(path))
	return err
}

// finish removes the data, after the store lock was dropped (spec: Remove). What
// cannot be removed is left to recovery. Failures have TookEffect. removed are the
// layers of which nothing is left, neither data nor record.
func (r *removal) finish(ctx context.Context) (removed []record, err error) {
	var failures []error
	left := map[*graph]bool{}
	for g, dir := range r.dirs {
		if err := dir.Close(ctx); err != nil {
			left[g] = true
			failures = append(failures, r.failure(nil, "", ErrLeftover, err))
		}
	}
	var gone []record
	for i := range r.inPlace {
		layer := &r.inPlace[i].record
		if err := r.removeInPlace(ctx, r.store.graphOf(layer), layer); err != nil {
			failures = append(failures, r.failure(layer, "", ErrLeftover, err))
			continue
		}
		gone = append(gone, *layer)
	}
	if len(gone) > 0 {
		if err := r.forget(ctx, gone); err != nil {
			failures = append(failures, err)
		}
	}
	for _, layer := range append(r.gone, gone...) {
		if r.saved == nil {
			break
		}
		if kept := r.saved.find(layer.ID); !left[r.store.graphOf(&layer)] && (kept == nil || !kept.same(&layer)) {
			removed = append(removed, layer)
		}
	}
	for _, claimed := range r.inPlace {
		r.store.disk.Close(claimed.fd)
	}
	r.dirs, r.inPlace = nil, nil
	return removed, errors.Join(failures...)
}

// release leaves what was moved aside to the next recovery, without removing
// anything (spec: Release).
func (r *removal) release() {
	for _, dir := range r.dirs {
		dir.Release()
	}
	r.dirs = nil
}

// forget takes the store lock once more, to drop the records of layers that were
// removed in place. Their claims keep everybody else from doing so.
func (r *removal) forget(ctx context.Context, gone []record) error {
	h, err := r.store.takeLock(context.WithoutCancel(ctx), true)
	if err != nil {
		return r.failure(nil, r.store.file(lockFile), nil, err)
	}
	defer h.drop()
	m, err := r.store.read(r.op, h)
	if err == nil {
		err = r.store.settleAll(r.op, h, m.without(append(gone, r.gone...)), r)
	}
	if err != nil {
		return r.failure(nil, "", nil, err)
	}
	return nil
}

// abandon ends a removal that moved nothing.
func (r *removal) abandon(ctx context.Context) error {
	var failures []error
	for _, dir := range r.dirs {
		failures = append(failures, dir.Close(context.WithoutCancel(ctx)))
	}
	r.dirs = nil
	return errors.Join(failures...)
}

func (r *removal) failure(layer *record, path string, kind, err error) error {
	failure := &Error{Op: r.op, Path: path, Effect: TookEffect, Kind: kind, Err: err}
	if layer != nil {
		failure.Layer = layer.ID
	}
	return failure
}

// removeInPlace removes a flagged layer's parts where they are, by descriptors,
// following no link and crossing no mount. A part that is gone is no failure. The
// record may go afterwards: that the parts are gone is durable by then, or will be
// before a later save is.
func (r *removal) removeInPlace(ctx context.Context, g *graph, layer *record) error {
	s := r.store
	for _, part := range layer.driver().Parts(layer.placed()) {
		path := filepath.Join(g.path, part)
		if err := home(path); err != nil {
			return fmt.Errorf("what is in the directory of layers cannot be told: %w", err)
		}
		err := tempdir.Remove(ctx, path, append([]tempdir.Option{kernel.With[tempdir.Option](s.kernel)}, s.options.roots...)...)
		if err != nil && !errors.Is(err, tempdir.ErrVictimGone) {
			return err
		}
		if !absent(path) {
			return &tempdir.Error{Op: "remove", Path: path, Kind: tempdir.ErrLeftover, Err: err}
		}
		dir := filepath.Dir(path)
		if s.orders(g, dir) {
			r.byOrder = append(r.byOrder, dir)
			continue
		}
		if err := s.disk.SyncDirectory(dir); err != nil {
			return &fs.PathError{Op: "sync", Path: dir, Err: err}
		}
	}
	return nil
}
