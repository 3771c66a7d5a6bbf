package layerstore

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

const (
	lockFile     = "store.lock"
	metadataFile = "layers.json"
	spareFile    = "layers.json.spare"
	rootName     = "tempdirs"
)

// storeByte is the byte of the lock file that is the store lock.
const storeByte = 0

// A held is the store lock, held by one operation.
type held struct {
	store     *Store
	fd        int
	exclusive bool
	token     kernel.Token // of the metadata that was read under it

	// What has to be durable before a save that drops a record, and is by the order of
	// the file system if the save is an exchange. One by mark orders nothing.
	before []func() error
}

// takeLock waits for the store lock (spec: TakeStoreLock). Every operation opens
// the lock file for itself, so that goroutines exclude each other as processes do.
// The kernel keeps no queue between readers and writers: readers that never stop
// coming can keep a writer waiting. The error is the context's, or an errno.
func (s *Store) takeLock(ctx context.Context, exclusive bool) (*held, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fd, err := s.openLock(exclusive)
		if err != nil {
			return nil, err
		}
		if fd == noLock {
			return &held{store: s, fd: fd}, nil
		}
		links := uint64(0)
		if err = s.awaitLock(ctx, fd, kernel.ByteRange{Offset: storeByte, Exclusive: exclusive}); err == nil {
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

// noLock stands for the descriptor of a lock file that there is not.
const noLock = -1

// openLock opens the lock file. Readers need not be able to write to it, nor the space
// to copy it up from a lower layer; on a file system that nobody can write to, they need
// none.
func (s *Store) openLock(exclusive bool) (fd int, err error) {
	fd, err = s.disk.OpenLock(s.file(lockFile), false)
	if exclusive {
		return fd, err
	}
	switch err {
	case unix.EROFS, unix.EACCES, unix.EPERM, unix.ENOSPC, unix.EDQUOT:
		fd, err = s.disk.OpenLockToRead(s.file(lockFile))
	}
	if err == unix.ENOENT {
		if readOnly, failed := s.disk.ReadOnly(s.path); failed == nil && readOnly {
			return noLock, nil
		}
	}
	return fd, err
}

const (
	pollFirst = 100 * time.Microsecond
	pollLast  = 10 * time.Millisecond
)

// awaitLock waits in the kernel if ctx can never be done, and asks again and
// again otherwise: nothing can call a waiting thread back.
func (s *Store) awaitLock(ctx context.Context, fd int, r kernel.ByteRange) error {
	err := s.disk.TakeLock(fd, r)
	if err != unix.EAGAIN {
		return err
	}
	if ctx.Done() == nil {
		return s.disk.AwaitLock(fd, r)
	}
	for pause := pollFirst; ; pause = min(2*pause, pollLast) {
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
	if err := s.disk.TakeLock(fd, kernel.ByteRange{Offset: claimByte(r), Exclusive: true}); err != nil {
		s.disk.Close(fd)
		return -1, err
	}
	return fd, nil
}

// claimed reports whether somebody is removing the layer where it is; it takes
// nothing, so that two who ask do not see each other. If it cannot be found out,
// it counts as claimed: the remover would go on with the layer that gets its
// name next.
func (s *Store) claimed(r *record) (bool, error) {
	fd, err := s.disk.OpenLock(s.file(lockFile), false)
	if err == nil {
		var held bool
		held, err = s.disk.TestLock(fd, kernel.ByteRange{Offset: claimByte(r), Exclusive: true})
		s.disk.Close(fd)
		if err == nil {
			return held, nil
		}
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
