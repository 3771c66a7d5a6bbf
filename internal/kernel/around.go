package kernel

import (
	"io/fs"
	"sync"
)

// Around returns a kernel that makes its calls through k, with the hook around
// each of them. It costs no allocation a call.
func Around(k Kernel, h Hook) Kernel { return &kernel{k, h} }

type kernel struct {
	Kernel
	hook Hook
}

// calls keeps Calls for use again: a Call handed to an interface would be
// allocated anew each time.
var calls = sync.Pool{New: func() any { return new(Call) }}

// begin is the first half of a call; do says whether to make it.
func (k *kernel) begin(c Call) (call *Call, do bool) {
	call = calls.Get().(*Call)
	*call = c
	call.Result = -1
	call.Err = k.hook.Before(call)
	return call, call.Err == nil
}

// end is the second half: the results, by value, after the hook has seen them.
func (k *kernel) end(c *Call, made bool) Call {
	if made {
		k.hook.After(c)
	}
	result := *c
	*c = Call{}
	calls.Put(c)
	return result
}

func (k *kernel) OpenRoot(path string) (root int, ordered bool, err error) {
	c, do := k.begin(Call{Method: OpenRoot, Fd: -1, Dir: -1, ToDir: -1, Name: path})
	if do {
		c.Result, c.Ordered, c.Err = k.Kernel.OpenRoot(c.Name)
	}
	r := k.end(c, do)
	return r.Result, r.Ordered, r.Err
}

func (k *kernel) OpenParent(path string) (int, error) {
	c, do := k.begin(Call{Method: OpenParent, Fd: -1, Dir: -1, ToDir: -1, Name: path})
	if do {
		c.Result, c.Err = k.Kernel.OpenParent(c.Name)
	}
	r := k.end(c, do)
	return r.Result, r.Err
}

func (k *kernel) OpenUnnamed(root int) (int, error) {
	c, do := k.begin(Call{Method: OpenUnnamed, Fd: -1, Dir: root, ToDir: -1})
	if do {
		c.Result, c.Err = k.Kernel.OpenUnnamed(c.Dir)
	}
	r := k.end(c, do)
	return r.Result, r.Err
}

func (k *kernel) CreateLock(root int, name string) (int, error) {
	c, do := k.begin(Call{Method: CreateLock, Fd: -1, Dir: root, ToDir: -1, Name: name})
	if do {
		c.Result, c.Err = k.Kernel.CreateLock(c.Dir, c.Name)
	}
	r := k.end(c, do)
	return r.Result, r.Err
}

func (k *kernel) OpenLock(root int, name string) (int, error) {
	c, do := k.begin(Call{Method: OpenLock, Fd: -1, Dir: root, ToDir: -1, Name: name})
	if do {
		c.Result, c.Err = k.Kernel.OpenLock(c.Dir, c.Name)
	}
	r := k.end(c, do)
	return r.Result, r.Err
}

func (k *kernel) TakeLock(fd int) error {
	c, do := k.begin(Call{Method: TakeLock, Fd: fd, Dir: -1, ToDir: -1})
	if do {
		c.Err = k.Kernel.TakeLock(c.Fd)
	}
	return k.end(c, do).Err
}

func (k *kernel) WriteOwner(fd int, record []byte) error {
	c, do := k.begin(Call{Method: WriteOwner, Fd: fd, Dir: -1, ToDir: -1})
	if do {
		c.Err = k.Kernel.WriteOwner(c.Fd, record)
	}
	return k.end(c, do).Err
}

func (k *kernel) LinkLock(fd, root int, name string) error {
	c, do := k.begin(Call{Method: LinkLock, Fd: fd, Dir: root, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.LinkLock(c.Fd, c.Dir, c.Name)
	}
	return k.end(c, do).Err
}

func (k *kernel) Stat(fd int) (Attributes, error) {
	c, do := k.begin(Call{Method: Stat, Fd: fd, Dir: -1, ToDir: -1})
	if do {
		c.Attributes, c.Err = k.Kernel.Stat(c.Fd)
	}
	r := k.end(c, do)
	return r.Attributes, r.Err
}

func (k *kernel) StatName(dir int, name string) (Attributes, error) {
	c, do := k.begin(Call{Method: StatName, Fd: -1, Dir: dir, ToDir: -1, Name: name})
	if do {
		c.Attributes, c.Err = k.Kernel.StatName(c.Dir, c.Name)
	}
	r := k.end(c, do)
	return r.Attributes, r.Err
}

func (k *kernel) RemoveLock(root int, name string) error {
	c, do := k.begin(Call{Method: RemoveLock, Fd: -1, Dir: root, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.RemoveLock(c.Dir, c.Name)
	}
	return k.end(c, do).Err
}

func (k *kernel) MakeData(root int, name string) error {
	c, do := k.begin(Call{Method: MakeData, Fd: -1, Dir: root, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.MakeData(c.Dir, c.Name)
	}
	return k.end(c, do).Err
}

func (k *kernel) StageDeletion(victim string, root int, entry string) error {
	c, do := k.begin(Call{Method: StageDeletion, Fd: -1, Dir: root, ToDir: -1, Name: victim, To: entry})
	if do {
		c.Err = k.Kernel.StageDeletion(c.Name, c.Dir, c.To)
	}
	return k.end(c, do).Err
}

func (k *kernel) Commit(root int, entry, destination string) error {
	c, do := k.begin(Call{Method: Commit, Fd: -1, Dir: root, ToDir: -1, Name: entry, To: destination})
	if do {
		c.Err = k.Kernel.Commit(c.Dir, c.Name, c.To)
	}
	return k.end(c, do).Err
}

func (k *kernel) SyncData(dir int) error {
	c, do := k.begin(Call{Method: SyncData, Fd: dir, Dir: -1, ToDir: -1})
	if do {
		c.Err = k.Kernel.SyncData(c.Fd)
	}
	return k.end(c, do).Err
}

func (k *kernel) SyncAll(dir int) error {
	c, do := k.begin(Call{Method: SyncAll, Fd: dir, Dir: -1, ToDir: -1})
	if do {
		c.Err = k.Kernel.SyncAll(c.Fd)
	}
	return k.end(c, do).Err
}

func (k *kernel) RemoveData(root int, name string) error {
	c, do := k.begin(Call{Method: RemoveData, Fd: -1, Dir: root, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.RemoveData(c.Dir, c.Name)
	}
	return k.end(c, do).Err
}

func (k *kernel) OpenDirectory(dir int, name string) (int, error) {
	c, do := k.begin(Call{Method: OpenDirectory, Fd: -1, Dir: dir, ToDir: -1, Name: name})
	if do {
		c.Result, c.Err = k.Kernel.OpenDirectory(c.Dir, c.Name)
	}
	r := k.end(c, do)
	return r.Result, r.Err
}

func (k *kernel) List(fd int, entries []Entry) ([]Entry, error) {
	before := len(entries)
	c, do := k.begin(Call{Method: List, Fd: fd, Dir: -1, ToDir: -1, Entries: entries})
	if do {
		c.Entries, c.Err = k.Kernel.List(c.Fd, c.Entries)
		c.Appended = len(c.Entries) - before
	}
	r := k.end(c, do)
	return r.Entries, r.Err
}

func (k *kernel) RemoveEntry(dir int, name string) error {
	c, do := k.begin(Call{Method: RemoveEntry, Fd: -1, Dir: dir, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.RemoveEntry(c.Dir, c.Name)
	}
	return k.end(c, do).Err
}

func (k *kernel) RemoveDirectory(dir int, name string) error {
	c, do := k.begin(Call{Method: RemoveDirectory, Fd: -1, Dir: dir, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.RemoveDirectory(c.Dir, c.Name)
	}
	return k.end(c, do).Err
}

func (k *kernel) Hoist(dir int, name string, data int, hoisted string) error {
	c, do := k.begin(Call{Method: Hoist, Fd: -1, Dir: dir, ToDir: data, Name: name, To: hoisted})
	if do {
		c.Err = k.Kernel.Hoist(c.Dir, c.Name, c.ToDir, c.To)
	}
	return k.end(c, do).Err
}

func (k *kernel) ChangeMode(dir int, name string, mode fs.FileMode) error {
	c, do := k.begin(Call{Method: ChangeMode, Fd: -1, Dir: dir, ToDir: -1, Name: name, Mode: mode})
	if do {
		c.Err = k.Kernel.ChangeMode(c.Dir, c.Name, c.Mode)
	}
	return k.end(c, do).Err
}

func (k *kernel) ClearFlags(dir int, name string) (int, error) {
	c, do := k.begin(Call{Method: ClearFlags, Fd: -1, Dir: dir, ToDir: -1, Name: name})
	if do {
		c.Flags, c.Err = k.Kernel.ClearFlags(c.Dir, c.Name)
	}
	r := k.end(c, do)
	return r.Flags, r.Err
}

func (k *kernel) SetFlags(dir int, name string, flags int) error {
	c, do := k.begin(Call{Method: SetFlags, Fd: -1, Dir: dir, ToDir: -1, Name: name, Flags: flags})
	if do {
		c.Err = k.Kernel.SetFlags(c.Dir, c.Name, c.Flags)
	}
	return k.end(c, do).Err
}

func (k *kernel) Detach(dir int, name string) error {
	c, do := k.begin(Call{Method: Detach, Fd: -1, Dir: dir, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.Detach(c.Dir, c.Name)
	}
	return k.end(c, do).Err
}

func (k *kernel) CommitPlainly(root int, entry, destination string) error {
	c, do := k.begin(Call{Method: CommitPlainly, Fd: -1, Dir: root, ToDir: -1, Name: entry, To: destination})
	if do {
		c.Err = k.Kernel.CommitPlainly(c.Dir, c.Name, c.To)
	}
	return k.end(c, do).Err
}

func (k *kernel) LinkEntry(root int, entry, destination string) error {
	c, do := k.begin(Call{Method: LinkEntry, Fd: -1, Dir: root, ToDir: -1, Name: entry, To: destination})
	if do {
		c.Err = k.Kernel.LinkEntry(c.Dir, c.Name, c.To)
	}
	return k.end(c, do).Err
}

func (k *kernel) OpenToInspect(root int, name string) (int, error) {
	c, do := k.begin(Call{Method: OpenToInspect, Fd: -1, Dir: root, ToDir: -1, Name: name})
	if do {
		c.Result, c.Err = k.Kernel.OpenToInspect(c.Dir, c.Name)
	}
	r := k.end(c, do)
	return r.Result, r.Err
}

func (k *kernel) LockHolder(fd int) (Holder, error) {
	c, do := k.begin(Call{Method: LockHolder, Fd: fd, Dir: -1, ToDir: -1})
	if do {
		c.Holder, c.Err = k.Kernel.LockHolder(c.Fd)
	}
	r := k.end(c, do)
	return r.Holder, r.Err
}

func (k *kernel) ShareLock(fd int) error {
	c, do := k.begin(Call{Method: ShareLock, Fd: fd, Dir: -1, ToDir: -1})
	if do {
		c.Err = k.Kernel.ShareLock(c.Fd)
	}
	return k.end(c, do).Err
}

func (k *kernel) ReadOwner(fd int) ([]byte, error) {
	c, do := k.begin(Call{Method: ReadOwner, Fd: fd, Dir: -1, ToDir: -1})
	if do {
		c.Record, c.Err = k.Kernel.ReadOwner(c.Fd)
	}
	r := k.end(c, do)
	return r.Record, r.Err
}

func (k *kernel) Close(fd int) error {
	c, do := k.begin(Call{Method: Close, Fd: fd, Dir: -1, ToDir: -1})
	if do {
		c.Err = k.Kernel.Close(c.Fd)
	}
	return k.end(c, do).Err
}

func (k *kernel) Owns(dir int, name string) error {
	c, do := k.begin(Call{Method: Owns, Fd: -1, Dir: dir, ToDir: -1, Name: name})
	if do {
		c.Err = k.Kernel.Owns(c.Dir, c.Name)
	}
	return k.end(c, do).Err
}
