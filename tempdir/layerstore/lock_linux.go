package layerstore

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockFile     = "store.lock"
	metadataFile = "layers.json"
	spareFile    = "layers.json.spare"
	rootName     = "tempdirs"
)

// Bytes of the lock file.
const (
	storeByte = 0 // the store lock
	turnByte  = 1 // the turn: whoever has it waits for the store lock for writing
)

// A held is the store lock, held by one operation.
type held struct {
	store     *Store
	fd        int
	exclusive bool
	token     Token // of the metadata that was read under it
}

// takeLock waits for the store lock (spec: TakeStoreLock). Every operation opens
// the lock file for itself, so that goroutines exclude each other as processes do.
// The error is the context's, or an errno.
func (s *Store) takeLock(ctx context.Context, exclusive bool) (*held, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fd, err := s.disk.OpenLock(s.file(lockFile), false)
		if err != nil {
			return nil, err
		}
		links := uint64(0)
		if err = s.awaitTurn(ctx, fd, exclusive); err == nil {
			links, err = s.disk.Links(fd)
		}
		if err == nil && links > 0 {
			return &held{store: s, fd: fd, exclusive: exclusive}, nil
		}
		s.disk.Close(fd)
		if err != nil {
			return nil, err
		}
		// A ghost lock: somebody replaced the lock file while we waited.
	}
}

// awaitTurn takes the store lock in turn. The kernel keeps no queue: readers that
// never stop coming, each before the last one leaves, would keep a writer waiting
// for ever. So a writer that has to wait takes the turn, and readers that come
// while somebody has it wait for that first. Those that looked before it was taken
// go ahead, once each. Whatever a process has of the turn goes with the descriptor.
//
// It costs a reader one call. Programs that know of no turn exclude, and are
// excluded, as ever; their readers do not wait for it.
func (s *Store) awaitTurn(ctx context.Context, fd int, exclusive bool) error {
	store, turn := ByteRange{storeByte, exclusive}, ByteRange{turnByte, exclusive}
	if exclusive {
		if err := s.disk.TakeLock(fd, store); err != unix.EAGAIN {
			return err
		}
		if err := s.awaitLock(ctx, fd, turn, pollTurn); err != nil {
			return err
		}
		return s.awaitLock(ctx, fd, store, pollStore)
	}
	taken, err := s.disk.Locked(fd, turn)
	if err == nil && taken {
		err = s.awaitLock(ctx, fd, turn, pollTurn)
	}
	if err != nil {
		return err
	}
	return s.awaitLock(ctx, fd, store, pollTurn)
}

// How long a pause between two questions becomes. The one writer that has the turn
// asks more often: nobody else uses the store lock while it waits.
const (
	pollFirst = 100 * time.Microsecond
	pollStore = time.Millisecond
	pollTurn  = 10 * time.Millisecond
)

// awaitLock waits in the kernel if ctx can never be done, and asks again and
// again otherwise: nothing can call a waiting thread back.
func (s *Store) awaitLock(ctx context.Context, fd int, r ByteRange, longest time.Duration) error {
	err := s.disk.TakeLock(fd, r)
	if err != unix.EAGAIN {
		return err
	}
	if ctx.Done() == nil {
		return s.disk.AwaitLock(fd, r)
	}
	for pause := pollFirst; ; pause = min(2*pause, longest) {
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if err := s.disk.TakeLock(fd, r); err != unix.EAGAIN {
			return err
		}
	}
}

// drop drops the store lock (spec: DropStoreLock).
func (h *held) drop() {
	if h.fd >= 0 {
		h.store.disk.Close(h.fd) // the lock goes with the descriptor, whatever it says
		h.fd = -1
	}
}

// claim takes the claim of a layer that is to be removed where it is. It holds
// as long as the descriptor; EAGAIN means that somebody is at it.
func (s *Store) claim(r *record) (fd int, err error) {
	fd, err = s.disk.OpenLock(s.file(lockFile), false)
	if err != nil {
		return -1, err
	}
	if err := s.disk.TakeLock(fd, ByteRange{claimByte(r), true}); err != nil {
		s.disk.Close(fd)
		return -1, err
	}
	return fd, nil
}

// claimed reports whether somebody is removing the layer where it is. If that
// cannot be found out it counts as claimed: whoever removes it would go on with
// whatever gets its name next.
func (s *Store) claimed(r *record) (bool, error) {
	fd, err := s.claim(r)
	switch {
	case err == nil:
		s.disk.Close(fd)
		return false, nil
	case errors.Is(err, unix.EAGAIN):
		return true, nil
	}
	return true, &Error{Op: "load", Layer: r.ID, Path: s.file(lockFile), Effect: NoEffect, Kind: ErrBusy, Err: err}
}

// claimByte draws the byte of a layer's claim. Two layers with one byte wait for
// each other, and that is all.
func claimByte(r *record) int64 {
	hash := fnv.New64a()
	hash.Write([]byte(r.ID + "/" + strconv.FormatUint(r.Serial, 10)))
	return int64(hash.Sum64()>>2) | 1<<20
}

func (s *Store) file(name string) string { return filepath.Join(s.path, name) }

// bareErrno strips the operation and path that package os adds.
func bareErrno(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
