package kernel

// Block is what the layer store pads its metadata to, in bytes.
const Block = 4096

// A Disk makes the store's own system calls, one method a call or a few that
// only one process can see the middle of: a crash simulator, a fault injector
// or a counter takes its place with [WithDisk]. Moving, committing and removing
// layers is not here but in [Kernel]; building content goes to a place
// that nobody else looks at, and is not here either.
//
// Methods return bare errnos. A Disk must be safe for concurrent use.
type Disk interface {
	// MakeDirectory makes the directory path: EEXIST if there is something. mkdirat.
	MakeDirectory(path string, perm uint32) error
	// Remove removes the file or the empty directory path, which this process made
	// for a store that could not be opened. unlinkat.
	Remove(path string) error
	// OpenLock opens the lock file path, and makes it if create is set. openat.
	OpenLock(path string, create bool) (fd int, err error)
	// OpenLockToRead opens the lock file path for what readers need: to share its
	// lock. openat.
	OpenLockToRead(path string) (fd int, err error)
	// ReadOnly tells whether nobody can write to the directory path by this mount.
	// statfs.
	ReadOnly(path string) (bool, error)
	// TakeLock takes a lock on the byte range, and does not wait: EAGAIN means
	// that another open file description has it. fcntl with F_OFD_SETLK.
	TakeLock(fd int, r ByteRange) error
	// TestLock tells whether another open file description has a lock on the byte
	// range that keeps fd from taking this one. fcntl with F_OFD_GETLK.
	TestLock(fd int, r ByteRange) (held bool, err error)
	// AwaitLock takes a lock on the byte range and waits. fcntl with F_OFD_SETLKW.
	AwaitLock(fd int, r ByteRange) error
	// Links returns how many names the file has: 0 makes its locks ghost locks. A
	// file that is mounted over the lock file is EXDEV. statx.
	Links(fd int) (uint64, error)
	// ReadToken reads the token of the last save. pread.
	ReadToken(fd int) (Token, error)
	// WriteToken writes the token of a save that is about to be made, with its
	// mark, in one sector. pwrite.
	WriteToken(fd int, t Token) error
	// StatMetadata tells the metadata file from any other version of it. statx.
	StatMetadata(path string) (Version, error)
	// ReadMetadata reads the whole file. openat, fstat, pread, close.
	ReadMetadata(path string) ([]byte, error)
	// WriteSpare writes data over the file path, and makes it if need be; it
	// never shortens it, and fills the rest with blanks. A file that has another
	// name is replaced, one that is mounted there is EXDEV. openat, statx, pwrite.
	WriteSpare(path string, data []byte) (fd int, err error)
	// SyncSpare makes the file durable: the spare, the metadata file that was
	// written over, or the lock file. fsync.
	SyncSpare(fd int) error
	// Replace exchanges the names spare and path, or renames spare to path where
	// path does not exist: the moment of a save. renameat2.
	Replace(spare, path string) error
	// Writable tells whether the regular file path can be written over. openat,
	// statx, close.
	Writable(path string) error
	// SyncDirectory makes the names in the directory durable. openat, fsync, close.
	SyncDirectory(path string) error
	// SyncContent makes everything on the path's file system durable. openat,
	// syncfs, close.
	SyncContent(path string) error
	// Close closes fd, and frees what it had locked. close.
	Close(fd int) error
}

// A ByteRange is one byte of the lock file: byte 0 is the store lock, the others
// are claims of layers that are removed in place.
type ByteRange struct {
	Offset    int64
	Exclusive bool
}

// A Token is different for every save. Its last byte is a mark, see save.
type Token [17]byte

// Mark returns the mark of a token.
func (t Token) Mark() byte { return t[len(t)-1] }

// WithMark returns the token with another mark.
func (t Token) WithMark(mark byte) Token {
	t[len(t)-1] = mark
	return t
}

// A Version tells versions of the metadata file apart, for the sake of programs
// that do not write tokens.
type Version struct {
	Inode   uint64
	Size    int64
	Changed int64 // nanoseconds since 1970
}

// AroundDisk returns a Disk that calls before, with the method's name and the
// path (or ""), ahead of every call of d. If before returns an error, the call
// is not made and the error is its result.
func AroundDisk(d Disk, before func(method, path string) error) Disk {
	return &aroundDisk{d, before}
}

type aroundDisk struct {
	Disk
	before func(method, path string) error
}

func (a *aroundDisk) MakeDirectory(path string, perm uint32) error {
	if err := a.before("MakeDirectory", path); err != nil {
		return err
	}
	return a.Disk.MakeDirectory(path, perm)
}

func (a *aroundDisk) Remove(path string) error {
	if err := a.before("Remove", path); err != nil {
		return err
	}
	return a.Disk.Remove(path)
}

func (a *aroundDisk) OpenLock(path string, create bool) (int, error) {
	if err := a.before("OpenLock", path); err != nil {
		return -1, err
	}
	return a.Disk.OpenLock(path, create)
}

func (a *aroundDisk) OpenLockToRead(path string) (int, error) {
	if err := a.before("OpenLockToRead", path); err != nil {
		return -1, err
	}
	return a.Disk.OpenLockToRead(path)
}

func (a *aroundDisk) ReadOnly(path string) (bool, error) {
	if err := a.before("ReadOnly", path); err != nil {
		return false, err
	}
	return a.Disk.ReadOnly(path)
}

func (a *aroundDisk) TakeLock(fd int, r ByteRange) error {
	if err := a.before("TakeLock", ""); err != nil {
		return err
	}
	return a.Disk.TakeLock(fd, r)
}

func (a *aroundDisk) TestLock(fd int, r ByteRange) (bool, error) {
	if err := a.before("TestLock", ""); err != nil {
		return false, err
	}
	return a.Disk.TestLock(fd, r)
}

func (a *aroundDisk) AwaitLock(fd int, r ByteRange) error {
	if err := a.before("AwaitLock", ""); err != nil {
		return err
	}
	return a.Disk.AwaitLock(fd, r)
}

func (a *aroundDisk) Links(fd int) (uint64, error) {
	if err := a.before("Links", ""); err != nil {
		return 0, err
	}
	return a.Disk.Links(fd)
}

func (a *aroundDisk) ReadToken(fd int) (Token, error) {
	if err := a.before("ReadToken", ""); err != nil {
		return Token{}, err
	}
	return a.Disk.ReadToken(fd)
}

func (a *aroundDisk) WriteToken(fd int, t Token) error {
	if err := a.before("WriteToken", ""); err != nil {
		return err
	}
	return a.Disk.WriteToken(fd, t)
}

func (a *aroundDisk) StatMetadata(path string) (Version, error) {
	if err := a.before("StatMetadata", path); err != nil {
		return Version{}, err
	}
	return a.Disk.StatMetadata(path)
}

func (a *aroundDisk) ReadMetadata(path string) ([]byte, error) {
	if err := a.before("ReadMetadata", path); err != nil {
		return nil, err
	}
	return a.Disk.ReadMetadata(path)
}

func (a *aroundDisk) WriteSpare(path string, data []byte) (int, error) {
	if err := a.before("WriteSpare", path); err != nil {
		return -1, err
	}
	return a.Disk.WriteSpare(path, data)
}

func (a *aroundDisk) SyncSpare(fd int) error {
	if err := a.before("SyncSpare", ""); err != nil {
		return err
	}
	return a.Disk.SyncSpare(fd)
}

func (a *aroundDisk) Replace(spare, path string) error {
	if err := a.before("Replace", path); err != nil {
		return err
	}
	return a.Disk.Replace(spare, path)
}

func (a *aroundDisk) Writable(path string) error {
	if err := a.before("Writable", path); err != nil {
		return err
	}
	return a.Disk.Writable(path)
}

func (a *aroundDisk) SyncDirectory(path string) error {
	if err := a.before("SyncDirectory", path); err != nil {
		return err
	}
	return a.Disk.SyncDirectory(path)
}

func (a *aroundDisk) SyncContent(path string) error {
	if err := a.before("SyncContent", path); err != nil {
		return err
	}
	return a.Disk.SyncContent(path)
}

// Close cannot fail in a way that leaves the descriptor open, so an error of
// before comes after it.
func (a *aroundDisk) Close(fd int) error {
	err := a.before("Close", "")
	if closed := a.Disk.Close(fd); err == nil {
		err = closed
	}
	return err
}
