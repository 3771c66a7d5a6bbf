package layerstore

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A snapshot is metadata with what tells it from later ones.
type snapshot struct {
	token   kernel.Token
	version kernel.Version
	data    *metadata
}

// read returns the metadata, under the store lock: what it read before, unless
// somebody saved since. Who saves writes a new token first. The file's own
// version is compared too, because other programs write no tokens; stamps alone
// would not do, two saves can have the same.
func (s *Store) read(op string, h *held) (*metadata, error) {
	file := ""
	failure := func(kind, err error) error {
		if kind == nil && isNoMetadata(err) {
			kind = ErrCorrupt
		}
		return &Error{Op: op, Path: file, Effect: NoEffect, Kind: kind, Err: err}
	}
	var token kernel.Token
	if h.fd != noLock {
		var err error
		if token, err = s.disk.ReadToken(h.fd); err != nil {
			return nil, &Error{Op: op, Path: s.file(lockFile), Effect: NoEffect, Err: err}
		}
	}
	h.token = token
	file = s.file(current(token))
	version, err := s.disk.StatMetadata(file)
	if err != nil {
		return nil, failure(nil, err)
	}
	if seen := s.cache.Load(); seen != nil && seen.token == token && seen.version == version {
		return seen.data, nil
	}
	text, err := s.disk.ReadMetadata(file)
	if err != nil {
		return nil, failure(nil, err)
	}
	data, kind, reason := decode(text)
	if kind != nil {
		return nil, failure(kind, reason)
	}
	s.cache.Store(&snapshot{token, version, data})
	return data, nil
}

// isNoMetadata tells that there is no file of metadata from not being able to
// read one now: no descriptor left, no memory, no permission.
func isNoMetadata(err error) bool {
	for _, reason := range []error{unix.ENOENT, unix.ELOOP, unix.EISDIR, unix.ENXIO, unix.EINVAL, unix.EFBIG} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// save writes the metadata, under the store lock (spec: Flag, Forget, Complete,
// and SyncFlag). The rename is the moment at which it takes effect.
//
// The new metadata goes over the spare, whose blocks it has already, and the two
// exchange their names; the old file is the next spare. So a save needs neither a
// block nor an inode, and the file that has the name is never written to, as long
// as the last exchange is durable before the next save begins. Where the exchange
// is refused, a mark takes its place, see mark_linux.go.
//
// A failure before the rename or the mark has NoEffect, and one after it
// MayHaveEffect.
func (s *Store) save(op string, h *held, m *metadata) error {
	failure := func(effect Effect, name string, err error) error {
		return &Error{Op: op, Path: s.file(name), Effect: effect, Err: err}
	}
	text, err := m.encode()
	if err != nil {
		return failure(NoEffect, metadataFile, err)
	}
	if err := s.settle(h); err != nil {
		return failure(NoEffect, metadataFile, err)
	}
	live := s.live()
	if err := s.makeDurable(h); err != nil {
		return failure(NoEffect, "", err)
	}
	fd, err := s.disk.WriteSpare(s.file(spareFile), text)
	if err != nil {
		return failure(NoEffect, spareFile, err)
	}
	err = s.disk.SyncSpare(fd)
	s.disk.Close(fd)
	if err != nil {
		return failure(NoEffect, spareFile, err)
	}
	var token kernel.Token
	rand.Read(token[:]) // never fails
	token = token.WithMark(markNone)
	if err := s.disk.WriteToken(h.fd, token); err != nil {
		return failure(NoEffect, lockFile, err)
	}
	h.token = token
	s.synced.Store(nil)
	switch err := s.disk.Replace(s.file(spareFile), s.file(metadataFile)); {
	case err == nil:
		if err := s.disk.SyncDirectory(s.path); err != nil {
			return failure(MayHaveEffect, "", err)
		}
		s.roomFor(text)
	case live != 0 && live == s.inode():
		// It did not happen, whatever it says; over a network it may have.
		took, markErr := s.saveByMark(h, token)
		switch {
		case !took && (err == unix.EINVAL || errors.Is(err, errors.ErrUnsupported)):
			return failure(NoEffect, metadataFile, markErr) // there is no exchange here, and that is not why
		case !took:
			return failure(NoEffect, metadataFile, err)
		case markErr != nil:
			return failure(MayHaveEffect, lockFile, markErr)
		}
	default:
		if there, failed := s.hasMetadata(op); failed == nil && !there {
			return failure(NoEffect, metadataFile, err) // the first save of all
		}
		return failure(MayHaveEffect, metadataFile, err)
	}
	token = h.token
	s.synced.Store(&token)
	if version, err := s.disk.StatMetadata(s.file(current(token))); err == nil {
		s.cache.Store(&snapshot{token, version, m})
	}
	return nil
}

// makeDurable makes the metadata durable that was read under the lock: the process that
// saved it may have died before (spec: SyncFlag, SyncNamesFirst).
func (s *Store) makeDurable(h *held) error {
	if synced := s.synced.Load(); synced != nil && *synced == h.token {
		return nil
	}
	var err error
	if h.token.Mark() == markSpare {
		err = s.disk.SyncSpare(h.fd)
	} else {
		err = s.disk.SyncDirectory(s.path)
	}
	if err == nil {
		token := h.token
		s.synced.Store(&token)
	}
	return err
}

// roomFor gives the file that is the spare now as many blocks as the metadata has,
// after the first save that needed more: the next one may be on a full disk. If
// there is none left already, so be it.
func (s *Store) roomFor(text []byte) {
	if seen := s.cache.Load(); seen != nil && seen.version.Size >= int64(len(text)) {
		return
	}
	if fd, err := s.disk.WriteSpare(s.file(spareFile), text); err == nil {
		s.disk.Close(fd)
	}
}

// shared calls f with the metadata under the store lock, for reading.
func (s *Store) shared(ctx context.Context, op, id string, f func(*metadata) error) error {
	if s.closed.Load() {
		return &Error{Op: op, Layer: id, Path: s.path, Effect: NoEffect, Kind: ErrClosed}
	}
	h, err := s.takeLock(ctx, false)
	if err != nil {
		return &Error{Op: op, Layer: id, Path: s.file(lockFile), Effect: NoEffect, Err: err}
	}
	defer h.drop()
	m, err := s.read(op, h)
	if err != nil {
		return err
	}
	return f(m)
}

// exclusively calls f with the metadata under the store lock, for writing, after
// it moved aside what others left flagged (spec: TakeStoreLock, FinishFlagged,
// Forget, DropStoreLock, Release). It removes none of that: the next recovery
// does. What cannot be moved stays as it is, for [Store.Load] to complain about: it
// is not this operation's failure.
func (s *Store) exclusively(ctx context.Context, op, id string, f func(*held, *metadata) error) error {
	tried := map[uint64]bool{}
	for {
		h, m, err := s.lockForWriting(ctx, op, id)
		if err != nil {
			return err
		}
		left, _ := s.unfinished(m, tried)
		if len(left) == 0 {
			defer h.drop() // if f panics, too
			return f(h, m)
		}
		r := s.newRemoval("load")
		r.movesOnly = true
		r.move(h, m, left) // Load reports what cannot be
		if r.moved > 0 {
			r.release()
		} else {
			r.abandon(ctx) // an empty instance is nobody's work; every save would leave one
		}
		h.drop()
	}
}

// lockForWriting takes the store lock for writing and reads the metadata.
func (s *Store) lockForWriting(ctx context.Context, op, id string) (*held, *metadata, error) {
	if s.closed.Load() {
		return nil, nil, &Error{Op: op, Layer: id, Path: s.path, Effect: NoEffect, Kind: ErrClosed}
	}
	h, err := s.takeLock(ctx, true)
	if err != nil {
		return nil, nil, &Error{Op: op, Layer: id, Path: s.file(lockFile), Effect: NoEffect, Err: err}
	}
	m, err := s.read(op, h)
	if err != nil {
		h.drop()
		return nil, nil, err
	}
	return h, m, nil
}

// unfinished returns what is flagged and nobody's: not removed in place by
// somebody else just now, and not tried before. It notes what it returns as tried.
func (s *Store) unfinished(m *metadata, tried map[uint64]bool) (left []record, failures []error) {
	for _, r := range m.flagged() {
		if tried[r.Serial] || s.graphOf(&r) == nil {
			continue
		}
		claimed, err := s.claimed(&r)
		if err != nil {
			failures = append(failures, err)
		}
		tried[r.Serial] = !claimed || err != nil
		if !claimed {
			left = append(left, r)
		}
	}
	return left, failures
}

// Load finishes what crashed and failed operations left flagged (spec: Load,
// TakeStoreLock, FinishFlagged, Forget, DropStoreLock, Remove): the layers are
// moved aside under the store lock, and removed after it was dropped. What cannot
// be moved is removed where it is, as by [Store.Delete]. It returns the ids of the
// layers of which nothing is left.
//
// If nothing is flagged it takes the store lock for reading only. The error says
// what could not be finished; that stays flagged and hidden, and only its own id is
// unavailable.
func (s *Store) Load(ctx context.Context) (finished []string, err error) {
	const op = "load"
	flagged := false
	err = s.shared(ctx, op, "", func(m *metadata) error {
		flagged = len(m.flagged()) > 0
		return nil
	})
	if err != nil || !flagged {
		return nil, err
	}
	return s.finishFlagged(ctx, op, func(*metadata, *record) bool { return true })
}

// finishFlagged finishes the flagged layers that are wanted.
func (s *Store) finishFlagged(ctx context.Context, op string, wanted func(*metadata, *record) bool) (finished []string, err error) {
	tried := map[uint64]bool{}
	var failures []error
	for {
		h, m, err := s.lockForWriting(ctx, op, "")
		if err != nil {
			return finished, errors.Join(append(failures, err)...)
		}
		left, unclear := s.unfinished(m, tried)
		left = slices.DeleteFunc(left, func(r record) bool { return !wanted(m, &r) })
		failures = append(failures, unclear...)
		if len(left) == 0 {
			h.drop()
			return finished, errors.Join(failures...)
		}
		r := s.newRemoval(op)
		failures = append(failures, r.move(h, m, left))
		h.drop()
		removed, err := r.finish(ctx)
		finished = append(finished, ids(removed)...)
		failures = append(failures, err)
	}
}

// Save replaces the labels of a layer, durably. Every change of the metadata
// takes the same way to the disk: written aside, synced, put in place by one
// rename, which is synced too. A crash leaves the labels as they were, or as
// they are to be.
func (s *Store) Save(ctx context.Context, id string, labels map[string]string) error {
	const op = "save"
	return s.update(ctx, op, id, func(r *record) error {
		r.Labels = maps.Clone(labels)
		return nil
	})
}

// update changes one record and saves.
func (s *Store) update(ctx context.Context, op, id string, change func(*record) error) error {
	return s.exclusively(ctx, op, id, func(h *held, m *metadata) error {
		if m.layer(id) == nil {
			return &Error{Op: op, Layer: id, Effect: NoEffect, Kind: ErrLayerUnknown}
		}
		c := m.copy()
		if err := change(c.find(id)); err != nil {
			return err
		}
		return s.save(op, h, c)
	})
}
