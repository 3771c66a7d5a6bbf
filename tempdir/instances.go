//go:build linux

package tempdir

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Instances lists what is in the root, ids first and in order, then foreign
// names. It takes no lock and changes nothing, so it can run beside everything
// else, and its answer may be out of date when it returns.
//
// A lock file that cannot be read gives [Unknown] with the reason in Err. The
// error is about the root as a whole, or the context's.
func (r *Root) Instances(ctx context.Context) ([]Instance, error) {
	const op = "list"
	if err := r.acquire(op); err != nil {
		return nil, err
	}
	defer r.release()
	found, foreign, err := r.list(op)
	if err != nil {
		return nil, err
	}
	instances := make([]Instance, 0, len(found)+len(foreign))
	for _, n := range found {
		if err := ctx.Err(); err != nil {
			return instances, &Error{Op: op, Path: r.path, Err: err}
		}
		if instance, exists := r.inspect(op, n); exists {
			instances = append(instances, instance)
		}
	}
	for _, name := range foreign {
		if a, err := r.kernel.StatName(r.fd, name); err == nil {
			instances = append(instances, Instance{Name: name, State: Foreign, Changed: a.Changed})
		}
	}
	return instances, nil
}

// inspect looks at one id; exists is false if it is gone since it was listed.
func (r *Root) inspect(op string, n names) (instance Instance, exists bool) {
	instance = Instance{Name: n.id, Data: n.data}
	if n.err != nil {
		instance.State, instance.Err = Unknown, n.err
		return instance, true
	}
	if name, odd := n.odd(); odd {
		instance.State = Unknown
		instance.Err = &Error{Op: op, Path: r.join(name), Kind: ErrForeign}
		a, err := r.kernel.StatName(r.fd, name)
		instance.Changed = a.Changed
		return instance, err == nil
	}
	if !n.lock {
		a, err := r.kernel.StatName(r.fd, dataName(n.id))
		instance.State, instance.Changed = Orphan, a.Changed
		return instance, err == nil
	}
	lock := lockName(n.id)
	fd, err := r.kernel.OpenToInspect(r.fd, lock)
	if errors.Is(err, unix.ENOENT) {
		return instance, false
	}
	if err == nil {
		defer r.kernel.Close(fd)
		err = r.inspectLock(fd, &instance)
	}
	if err != nil {
		instance.State = Unknown
		instance.Err = &Error{Op: op, Path: r.join(lock), Err: err}
		if errors.Is(err, ErrForeign) {
			instance.Err = &Error{Op: op, Path: r.join(lock), Kind: ErrForeign}
		}
	}
	return instance, true
}

// inspectLock fills in what the lock file fd says.
func (r *Root) inspectLock(fd int, instance *Instance) error {
	a, err := r.kernel.Stat(fd)
	instance.Changed = a.Changed
	switch {
	case err != nil:
		return err
	case a.Mode != 0:
		return ErrForeign
	}
	holder, err := r.kernel.LockHolder(fd)
	if err != nil {
		return err
	}
	record, err := r.kernel.ReadOwner(fd)
	if err == nil {
		instance.Owner = parseOwner(record)
	}
	switch {
	case a.Links > 1:
		return ErrForeign
	case holder.Held:
		instance.State, instance.Holder = Live, holder.PID
	default:
		instance.State = Stale
	}
	return nil
}

// usageDepth bounds how deep Usage looks, and with that its descriptors. It
// cannot hoist like a removal: it changes nothing.
const usageDepth = 64

// Usage counts what the data of the instance id takes. It walks the whole data
// directory by descriptors, with the care of a removal, and changes nothing.
// Directories it may not read, mounts, and what lies more than 64 levels deep
// are left out and make the result Partial. Data that does not exist is empty.
func (r *Root) Usage(ctx context.Context, id string) (Usage, error) {
	const op = "measure"
	var usage Usage
	if err := r.acquire(op); err != nil {
		return usage, err
	}
	defer r.release()
	if _, _, ok := parseName(dataName(id), r.options.mixed); !ok {
		return usage, &Error{Op: op, Path: r.join(dataName(id)), Kind: ErrForeign}
	}
	if err := r.measure(ctx, r.fd, dataName(id), 0, &usage); err != nil {
		return usage, &Error{Op: op, Path: r.join(dataName(id)), Err: err}
	}
	return usage, nil
}

// measure adds the directory name and what is below it; the error is the context's.
func (r *Root) measure(ctx context.Context, dir int, name string, depth int, usage *Usage) error {
	if a, err := r.kernel.StatName(dir, name); err == nil {
		usage.Bytes += a.Bytes
	}
	fd, err := r.kernel.OpenDirectory(dir, name)
	if err != nil {
		usage.Partial = usage.Partial || !errors.Is(err, unix.ENOENT)
		return nil
	}
	defer r.kernel.Close(fd)
	var entries []Entry
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err = r.kernel.List(fd, entries[:0])
		if err != nil {
			usage.Partial = true
			return nil
		}
		if len(entries) == 0 {
			return nil
		}
		for _, entry := range entries {
			usage.Files++
			a, err := r.kernel.StatName(fd, entry.Name)
			switch {
			case err != nil:
				usage.Partial = usage.Partial || !errors.Is(err, unix.ENOENT)
			case a.Mode != fs.ModeDir:
				usage.Bytes += a.Bytes
			case depth == usageDepth:
				usage.Partial = true
			default:
				if err := r.measure(ctx, fd, entry.Name, depth+1, usage); err != nil {
					return err
				}
			}
		}
	}
}
