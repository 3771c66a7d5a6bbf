//go:build linux

package layerstore_test

import (
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A subject is one process: its calls go through the journal, and it can be killed
// before one of them.
type subject struct {
	kernel.Disk
	journal *journal
	ordered bool               // what the file system says of itself
	refuse  func(string) error // by "Method path"; nil: nothing
	left    int                // calls that change or sync something until it is killed; -1: never
	dead    bool
	open    map[int]bool
	look    func() // after every call
	stale   bool   // the last call may have changed something
}

func init() {
	for _, method := range strings.Fields(`CreateLock WriteOwner LinkLock RemoveLock MakeData StageDeletion Commit RemoveData RemoveEntry
		RemoveDirectory Hoist CommitPlainly LinkEntry MakeDirectory Remove OpenLock WriteToken WriteSpare Replace`) {
		mutators[method] = true
	}
}

// options are those of its store. Its calls are made by one goroutine.
func (p *subject) options() []layerstore.Option {
	p.open = map[int]bool{}
	p.Disk = kernel.AroundDisk(kernel.LinuxDisk(), func(method, path string) error {
		return p.before(method, path, method == "Close")
	})
	return []layerstore.Option{kernel.WithDisk[layerstore.Option](p), kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), p))}
}

func (p *subject) AwaitLock(fd int, r kernel.ByteRange) error {
	if p.dead {
		return unix.ESRCH
	}
	return takeAlone(fd, r)
}

func (p *subject) before(method, path string, closes bool) error {
	if p.dead {
		if closes {
			return nil
		}
		return unix.ESRCH
	}
	if p.stale { // also by what was built without a seam
		p.journal.scan()
		p.look()
	}
	p.stale = mutators[method]
	if p.stale || strings.HasPrefix(method, "Sync") { // others leave what the next one leaves
		if p.left--; p.left == -1 {
			p.dead = true
			runtime.Goexit()
		}
	}
	if p.refuse != nil {
		return p.refuse(method + " " + path)
	}
	return nil
}

// kill closes what the dead process has open.
func (p *subject) kill() {
	for fd := range p.open {
		unix.Close(fd)
	}
}

// Before and After are those of the library's calls.
func (p *subject) Before(c *kernel.Call) error {
	return p.before(c.Method.String(), c.Name, c.Method == kernel.Close)
}

func (p *subject) After(c *kernel.Call) {
	if c.Method == kernel.OpenRoot {
		c.Ordered = p.ordered
	}
	if c.Err == nil && c.Result >= 0 {
		p.open[c.Result] = true
	}
	if c.Method == kernel.Close {
		delete(p.open, c.Fd)
	}
	if c.Method == kernel.SyncData {
		p.synced(c.Fd, "", false, c.Err)
	}
}

func (p *subject) opened(fd int, err error) (int, error) {
	if err == nil {
		p.open[fd] = true
	}
	return fd, err
}

func (p *subject) synced(fd int, path string, all bool, err error) error {
	var s unix.Stat_t
	if path == "" {
		must(0, unix.Fstat(fd, &s))
	} else {
		unix.Stat(path, &s)
	}
	if err == nil && !p.dead {
		p.journal.synced(&s, all)
	}
	return err
}

func (p *subject) OpenLock(path string, create bool) (int, error) {
	return p.opened(p.Disk.OpenLock(path, create))
}
func (p *subject) OpenLockToRead(path string) (int, error) {
	return p.opened(p.Disk.OpenLockToRead(path))
}
func (p *subject) WriteSpare(path string, data []byte) (int, error) {
	return p.opened(p.Disk.WriteSpare(path, data))
}
func (p *subject) SyncSpare(fd int) error {
	return p.synced(fd, "", false, p.Disk.SyncSpare(fd))
}
func (p *subject) SyncDirectory(path string) error {
	return p.synced(-1, path, false, p.Disk.SyncDirectory(path))
}
func (p *subject) SyncContent(path string) error {
	return p.synced(-1, path, true, p.Disk.SyncContent(path))
}
func (p *subject) Close(fd int) error {
	err := p.Disk.Close(fd)
	delete(p.open, fd)
	return err
}
