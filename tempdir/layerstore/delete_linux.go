package layerstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/afterlock/afterlock/internal/kernel"
)

// Delete deletes layers, all of them or, if one of them cannot be, none: every
// layer exists, none is mounted, and none has children that stay. When it
// returns nil, the data is gone.
//
// Under the store lock (spec: Delete, TakeStoreLock, Flag, Stage, Forget,
// DropStoreLock) it makes, whatever is in the layers, two saves of the metadata
// and one renameat2 for each part of a layer: one in the layout vfs, two in
// overlay. That is 26 system calls, four of them fsync, and the renames. The files
// go afterwards (spec: Remove). The instance is made before.
//
// Deletions of one handle wait for the lock in one line, and the first of them makes
// the saves for all that wait when it has the lock: two for the group of them, not two
// each, and a renameat2 for each part. What one of them is told is its own outcome, as
// if they came one after the other.
//
// The deletion takes effect when the flag is saved. A crash before that leaves
// the layers whole, and after it leaves nothing that a later operation or
// recovery does not finish. ctx can cancel the waiting for the lock, which has no
// effect, and the removal of the data, which is then an [ErrLeftover] that took
// effect. It does not cancel what happens between, be it done by another deletion.
//
// A layer that is in use is an [ErrMounted]: mounted by count ([Store.Mount]), or
// used by what this mount namespace has mounted: at or below it, a part of it
// elsewhere, or an overlay that is made of it, whatever names the mount was made
// with. A name in the kernel's table that leads nowhere counts as the layer's; a
// table that nobody can read is an [ErrMountsUnknown]; [CountsOnly] does without
// the table. Nothing but the counts protects what a server in user space shows
// (fuse-overlayfs), what another mount namespace has mounted, and what is mounted
// outside this process's root: count those.
//
// A layer that is not there any more is deleted like others; one whose directory of
// layers is not there is an [ErrDamaged] and stays, as its disk may not be mounted.
//
// A layer that cannot be moved aside, for want of space or whatever the reason, is
// removed where it is, and [Deletion.InPlace] says so. Until that is done the id of
// such a layer is an [ErrBusy] to [Store.Create], and so is its parent's, if that is
// deleted meanwhile.
func (s *Store) Delete(ctx context.Context, ids ...string) (Deletion, error) {
	receipt, err := s.DeferredDelete(ctx, ids...)
	if receipt == nil {
		return Deletion{}, err
	}
	deletion, finishErr := receipt.Finish(ctx)
	return deletion, errors.Join(err, finishErr)
}

// A Receipt is a deletion that took effect and whose data is still to be removed.
// If its process ends without [Receipt.Finish], recovery removes the data.
type Receipt struct {
	removal *removal
	done    bool
}

// Finish removes the data; nil: it is gone. It can be called once, by any
// goroutine; [Store.Delete] is DeferredDelete and Finish.
func (r *Receipt) Finish(ctx context.Context) (Deletion, error) {
	if r.done {
		return r.removal.out, &Error{Op: "delete", Effect: TookEffect, Err: errors.New("finished already")}
	}
	r.done = true
	_, err := r.removal.finish(ctx)
	return r.removal.out, err
}

// DeferredDelete is the first half of [Store.Delete]: when it returns a receipt,
// the layers are deleted for everybody, and their data is still to be removed. A
// receipt can come with an error that took effect: some of the data is not moved
// aside, and recovery has to finish it.
func (s *Store) DeferredDelete(ctx context.Context, layers ...string) (*Receipt, error) {
	const op = "delete"
	layers = slices.Clone(layers)
	r := s.newRemoval(op)
	r.out.Layers = layers
	if len(layers) == 0 {
		return &Receipt{removal: r}, nil
	}
	// Once without exclusion, for what takes time: instances, and the kernel's
	// table of mounts.
	var victims []record
	err := s.shared(ctx, op, layers[0], func(m *metadata) (err error) {
		victims, err = s.victims(m, op, layers)
		return err
	})
	if err == nil {
		err = s.checkHomes(op, victims)
	}
	if err == nil {
		err = s.checkMounts(op, victims)
	}
	for i := 0; err == nil && i < len(victims); i++ {
		if victims[i].driver().Deferred() {
			r.prepare(s.graphOf(&victims[i]))
		}
	}
	if err == nil {
		err = s.deleteInLine(ctx, &deletion{layers: layers, removal: r, turn: make(chan struct{})})
	}
	if EffectOf(err) == NoEffect {
		r.abandon(ctx) // what is left of an empty instance is for recovery
		return nil, err
	}
	return &Receipt{removal: r}, err
}

// checkHomes refuses layers whose directory of layers is not there.
func (s *Store) checkHomes(op string, layers []record) error {
	for i := range layers {
		r := &layers[i]
		for _, part := range r.driver().Parts(r.placed()) {
			path := filepath.Join(s.graphOf(r).path, part)
			if err := home(path); err != nil {
				return &Error{Op: op, Layer: r.ID, Path: filepath.Dir(path), Effect: NoEffect, Kind: damaged(filepath.Dir(path)), Err: kernel.BareErrno(err)}
			}
		}
	}
	return nil
}

// victims returns the records of the layers, or why they cannot be deleted.
func (s *Store) victims(m *metadata, op string, layers []string) ([]record, error) {
	refuse := func(id string, kind, err error) ([]record, error) {
		return nil, &Error{Op: op, Layer: id, Effect: NoEffect, Kind: kind, Err: err}
	}
	chosen := map[string]bool{}
	var victims []record
	for _, id := range layers {
		r := m.layer(id)
		switch {
		case r == nil:
			return refuse(id, ErrLayerUnknown, nil)
		case chosen[id]:
			continue
		case s.mounts(r) > 0:
			return refuse(id, ErrMounted, fmt.Errorf("%d times", s.mounts(r)))
		case s.graphOf(r) == nil:
			return refuse(id, ErrNoImageStore, nil)
		}
		chosen[id] = true
		victims = append(victims, *r)
	}
	for i := range m.Layers {
		if r := &m.Layers[i]; chosen[r.Parent] && !chosen[r.ID] && !r.Incomplete {
			return refuse(r.Parent, ErrHasChildren, fmt.Errorf("layer %s", r.ID))
		}
	}
	return victims, nil
}

// ids returns the ids of the records.
func ids(records []record) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.ID)
	}
	return all
}
