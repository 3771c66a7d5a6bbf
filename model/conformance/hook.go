//go:build linux

package conformance

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// A hook is what the kernel calls for one life of a process.
type hook struct {
	*process
	life int
}

// Before stops before every call that is the first of an action; spec/README.md
// has the table. Calls that the specification joins to another go on.
func (h *hook) Before(c *kernel.Call) error {
	p := h.process
	if p.dead || h.life != p.lives {
		return unix.EBADF
	}
	switch {
	case c.Method == kernel.OpenUnnamed && !p.world.tmpFile:
		return unix.EOPNOTSUPP
	case p.broken != 0 && c.Method == p.grant.Failing:
		return p.broken
	case !p.free && p.stops(c):
		if c.Method == kernel.Close {
			p.broken, p.hides = 0, false
		}
		p.pause(stop{Call: c.Method.String(), Name: c.Name, Fd: c.Fd})
	}
	if p.watch != nil {
		p.watch(p, c)
	}
	for _, fd := range [...]int{c.Fd, c.Dir, c.ToDir} {
		if fd >= 0 && p.of(fd).Fd < 0 {
			p.bad = fmt.Sprintf("%s of descriptor %d, which it does not have open", c.Method, fd)
			return unix.EBADF
		}
	}
	if p.grant.Errno != 0 && p.grant.Failing == c.Method && !p.grant.Through {
		errno := p.grant.Errno
		p.grant.Errno = 0
		p.fails(failure(c.Method, errno)...)
		if c.Method == kernel.LockHolder && p.mixed {
			p.parks(c.Fd)
		}
		if errno == unix.EXDEV {
			p.broken = errno // also when the code makes the move again
		}
		if walks(c.Method) {
			// The code goes on with the other entries, and the specification gives
			// up at once: there is nothing else.
			p.hides = true
			if errno == unix.EACCES {
				p.broken = errno // also after the code has mended permissions
			}
		}
		return errno
	}
	if c.Method == kernel.List && p.of(c.Fd).Kind >= dataKind && !p.free {
		// A listing from the start: which names a call returns, and in which
		// order, is up to the file system.
		_, _ = unix.Seek(c.Fd, 0, 0)
	}
	return nil
}

// walks says whether the calls are those that remove a data directory.
func walks(m kernel.Method) bool {
	switch m {
	case kernel.List, kernel.OpenDirectory, kernel.RemoveEntry, kernel.RemoveDirectory, kernel.RemoveData:
		return true
	}
	return false
}

// stops says whether the call is the first of an action.
func (p *process) stops(c *kernel.Call) bool {
	switch c.Method {
	case kernel.OpenUnnamed, kernel.CreateLock, kernel.OpenLock, kernel.OpenToInspect, kernel.TakeLock, kernel.LinkLock, kernel.MakeData,
		kernel.StageDeletion, kernel.Commit, kernel.RemoveLock:
		return true
	case kernel.Stat: // of the recheck; without a failing call in sight it goes on to the next
		return c.Fd == p.lock && !p.unjudged
	case kernel.StatName: // of the recheck; after a failure, with the lock file closed, it looks for the reason
		return strings.HasPrefix(c.Name, lockPrefix) && (len(p.because) == 0 && !p.mixed || p.of(p.lock).Kind == lockKind)
	case kernel.Close, kernel.LockHolder:
		return p.of(c.Fd).Kind == lockKind
	case kernel.OpenDirectory: // of the data; not to list the root, not of an entry
		return c.Name != "." && p.of(c.Dir).Kind == rootKind && !p.grant.Through
	case kernel.List:
		return p.of(c.Fd).Kind >= dataKind && !p.grant.Through && !p.hides
	case kernel.RemoveData: // by an owner that staged nothing; otherwise a part of the listing's step
		return !p.walking()
	}
	return false
}

// walking says whether the process has the data directory open.
func (p *process) walking() bool {
	for _, d := range p.open {
		if d.Kind == dataKind {
			return true
		}
	}
	return false
}

// of is what a descriptor is of.
func (p *process) of(fd int) descriptor {
	for _, d := range p.open {
		if d.Fd == fd {
			return d
		}
	}
	return descriptor{Fd: -1}
}

// After keeps account of descriptors, and makes a listing show what the step of
// the specification sees.
func (h *hook) After(c *kernel.Call) {
	p := h.process
	if h.life != p.lives {
		return
	}
	p.learn(c)
	if p.mixed && c.Method == kernel.LockHolder && (c.Err != nil || c.Holder.PID == os.Getpid()) {
		p.parks(c.Fd)
	}
	if c.Err != nil {
		// The code would go on with the other entries. The specification gives
		// up at once, as if the mount was the last entry.
		p.hides = p.hides || c.Method == kernel.OpenDirectory && c.Err == unix.EXDEV
		return
	}
	switch c.Method {
	case kernel.OpenRoot:
		p.opened(c.Result, rootKind, 0)
		p.root = c.Result
	case kernel.OpenUnnamed, kernel.CreateLock, kernel.OpenLock, kernel.OpenToInspect:
		p.opened(c.Result, lockKind, 0)
		p.inode, p.named = p.world.inodeOf(c.Result), c.Name
	case kernel.LinkLock:
		p.named = c.Name
	case kernel.OpenParent:
		p.opened(c.Result, entryKind, 0)
	case kernel.OpenDirectory:
		switch parent := p.of(c.Dir); {
		case c.Name == ".":
			p.opened(c.Result, listingKind, 0)
		case parent.Kind == rootKind:
			p.opened(c.Result, dataKind, 0)
		case parent.Kind == dataKind:
			p.opened(c.Result, entryKind, p.world.itemOf(c.Result))
		default:
			p.opened(c.Result, entryKind, parent.Item)
		}
	case kernel.Close:
		p.closed(c.Fd)
	case kernel.List:
		if !p.free {
			p.listed(c)
		}
	}
}

// parks notes that the process may keep the lock file open after its operation
// (rule 15). Then others of this operating system process use the descriptor too.
func (p *process) parks(fd int) {
	for i := range p.open {
		if p.open[i].Fd == fd {
			p.open[i].Kind = parkedKind
		}
	}
	if p.lock == fd {
		p.lock = -1
	}
}

// learn notes what keeps the code from going on.
func (p *process) learn(c *kernel.Call) {
	switch {
	case c.Method == kernel.TakeLock && c.Err == unix.EAGAIN:
		p.gaveUp = "TakeLock: the lock is held"
	case c.Method == kernel.OpenLock && c.Err == unix.ENOENT:
		p.gaveUp = "OpenLock: there is no lock file, and none is made"
	case c.Method == kernel.LinkLock && c.Err == unix.EEXIST:
		p.gaveUp = "LinkLock: somebody else has the name"
	case c.Method == kernel.StatName && c.Name == p.named && (c.Err == unix.ENOENT || c.Err == nil && c.Attributes.Inode != p.inode):
		p.gaveUp = "StatName: the name does not lead to the file that is locked"
	}
}

// listed changes the result of a listing. A listing is not atomic and has no
// order: one of the root may miss names and show names that are gone by now, one
// of a data directory shows one entry after the other.
func (p *process) listed(c *kernel.Call) {
	before := len(c.Entries) - c.Appended
	switch d := p.of(c.Fd); d.Kind {
	case listingKind:
		if c.Appended > 0 && !p.unjudged {
			whole(c)
			p.seesAll(c.Entries[before:])
		}
		if c.Appended > 0 || p.order.ID != 0 {
			c.Entries = append(c.Entries[:before], p.sees()...)
			p.order.ID = 0 // the next call says that there are no more
		}
	case dataKind:
		if p.hides {
			c.Entries = c.Entries[:before]
			return
		}
		if x := p.grant.Show; x != 0 {
			whole(c)
			p.refresh()
			name := p.world.entryName(x)
			for _, entry := range c.Entries[before:] {
				if entry.Name == name {
					c.Entries = append(c.Entries[:before], entry)
					return
				}
			}
			p.bad = fmt.Sprintf("a listing of the data directory does not show %q", name)
		}
	case entryKind:
		if p.hides {
			c.Entries = c.Entries[:before]
		} else if c.Appended > 1 {
			c.Entries = c.Entries[:before+1]
		}
	}
}

// refresh has the observer look again if that was not after the last step.
func (p *process) refresh() {
	if err := p.world.refresh(); err != nil {
		p.bad = err.Error()
	}
}

// whole reads the rest of a listing: a signal that is pending cuts an answer
// short.
func whole(c *kernel.Call) {
	for before := -1; before != len(c.Entries); {
		before = len(c.Entries)
		c.Entries, _ = kernel.Linux().List(c.Fd, c.Entries)
	}
}

// seesAll compares a listing of the root with what the observer saw: nobody else
// is at work during the call, so that it has to be right.
func (p *process) seesAll(entries []kernel.Entry) {
	p.refresh()
	o := &p.world.seen
	missing := map[string]fs.FileMode{}
	for i := 1; i < idCount; i++ {
		if o.lock[i] != 0 {
			missing[lockPrefix+p.world.ids[i]] = 0
		}
		if o.data[i] != 0 {
			missing[dataPrefix+p.world.ids[i]] = fs.ModeDir
		}
	}
	for _, entry := range entries {
		if want, is := missing[entry.Name]; !is || entry.Type != want {
			p.bad = fmt.Sprintf("a listing of the root shows %q (%v)", entry.Name, entry.Type)
		}
		delete(missing, entry.Name)
	}
	for name := range missing {
		p.bad = fmt.Sprintf("a listing of the root does not show %q", name)
	}
}

// sees is what the listing of the root shows, by the order to recover.
func (p *process) sees() (entries []kernel.Entry) {
	if p.order.ID == 0 {
		return nil
	}
	id := p.world.ids[p.order.ID]
	if p.order.Saw != model.SawData {
		entries = append(entries, kernel.Entry{Name: lockPrefix + id})
	}
	if p.order.Saw != model.SawLock {
		entries = append(entries, kernel.Entry{Name: dataPrefix + id, Type: fs.ModeDir})
	}
	return entries
}
