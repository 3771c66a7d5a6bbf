package layerstore

import "github.com/afterlock/afterlock/internal/kernel"

// Where the file system refuses to exchange two names (a full btrfs, a quota, a
// file system that cannot), a save takes effect by a mark beside the token in the
// lock file: it says that the spare is the metadata, and the metadata file, which
// is then written over in place, is not. Everything has its blocks already.
//
//	write and sync the spare, its name, and what has to be durable before
//	mark; sync the lock file                             the save took effect
//	write and sync the metadata file; clear the mark
//	sync the lock file before the next write to the spare
//
// Readers obey the mark. The next save finishes this one first. Without the second
// sync the overwriting could reach the disk before the mark, and without the third
// the next spare before the clearing.
const (
	markNone    = 0 // what every save by an exchange leaves
	markSpare   = 1 // the spare is the metadata
	markCleared = 2 // the metadata file is; the disk may still have markSpare
)

// current is the name of the file that has the metadata.
func current(t kernel.Token) string {
	if t.Mark() == markSpare {
		return spareFile
	}
	return metadataFile
}

// live returns the inode of the metadata file, 0 if it cannot be told. It has been
// seen already, unless it was the spare that was read.
func (s *Store) live() uint64 {
	if seen := s.cache.Load(); seen != nil && current(seen.token) == metadataFile {
		return seen.version.Inode
	}
	return s.inode()
}

func (s *Store) inode() uint64 {
	version, err := s.disk.StatMetadata(s.file(metadataFile))
	if err != nil {
		return 0
	}
	return version.Inode
}

// settle makes it safe to write to the spare, after a save by mark: this
// process's, or that of one that died in it.
func (s *Store) settle(h *held) error {
	if h.token.Mark() == markSpare {
		if err := s.overwrite(h); err != nil {
			return err
		}
	}
	if h.token.Mark() == markCleared {
		return s.disk.SyncSpare(h.fd)
	}
	return nil
}

// overwrite is the second half of a save by mark.
func (s *Store) overwrite(h *held) error {
	if err := s.disk.SyncSpare(h.fd); err != nil { // the process that set it may have died before
		return err
	}
	text, err := s.disk.ReadMetadata(s.file(spareFile))
	if err != nil {
		return err
	}
	fd, err := s.disk.WriteSpare(s.file(metadataFile), text)
	if err != nil {
		return err
	}
	err = s.disk.SyncSpare(fd)
	s.disk.Close(fd)
	if err == nil {
		err = s.disk.SyncDirectory(s.path) // the file may be a new one
	}
	if err != nil {
		return err
	}
	cleared := h.token.WithMark(markCleared)
	if err := s.disk.WriteToken(h.fd, cleared); err != nil {
		return err
	}
	h.token = cleared
	return nil
}

// saveByMark makes the synced spare the metadata without an exchange. took reports
// whether the save took effect, durably if err is nil.
func (s *Store) saveByMark(h *held, token kernel.Token) (took bool, err error) {
	if err := s.disk.Writable(s.file(metadataFile)); err != nil {
		return false, err // it could never be finished
	}
	// The spare may be a new file. An exchange needs neither this nor what comes next.
	if err := s.disk.SyncDirectory(s.path); err != nil {
		return false, err
	}
	for _, sync := range h.before {
		if err := sync(); err != nil {
			return false, err
		}
	}
	token = token.WithMark(markSpare)
	if err := s.disk.WriteToken(h.fd, token); err != nil {
		return false, err
	}
	h.token = token
	if err := s.disk.SyncSpare(h.fd); err != nil {
		return true, err
	}
	s.overwrite(h) // if that fails, the next save does it
	return true, nil
}
