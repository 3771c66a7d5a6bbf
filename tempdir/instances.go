//go:build linux

package tempdir

import (
	"context"
	"io/fs"

	"github.com/afterlock/afterlock/internal/kernel"
)

// Instances lists what is in the root, ids first and in order, then foreign
// names. It takes no lock and changes nothing, so it can run beside everything
// else, and its answer may be out of date when it returns.
//
// A lock file that cannot be read gives [Unknown] with the reason in Err. The
// error is about the root as a whole, or the context's.
func (r *Root) Instances(ctx context.Context) ([]Instance, error) {
	const op = "instances"
	if err := r.acquire(op); err != nil {
		return nil, err
	}
	defer r.release()
	r.sweepParked()
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
		instance := Instance{Name: name, State: Foreign, NameBytes: notUTF8(name)}
		if r.stamp(op, name, &instance) {
			instances = append(instances, instance)
		}
	}
	return instances, nil
}

// stamp fills in when name was changed; exists is false if it is not there any
// more. One that cannot be looked at is listed, with the reason.
func (r *Root) stamp(op, name string, instance *Instance) (exists bool) {
	a, err := r.kernel.StatName(r.fd, name)
	instance.Changed = a.Changed
	if err != nil && instance.Err == nil {
		instance.Err = r.explainIn(op, name, "StatName", err)
	}
	return !is("StatName", err, gone)
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
		return instance, r.stamp(op, name, &instance)
	}
	if !n.lock {
		instance.State = Orphan
		return instance, r.stamp(op, dataName(n.id), &instance)
	}
	lock := lockName(n.id)
	var call string
	var err error
	look := func(k kernel.Kernel, fd int) { call, err = inspectLock(k, fd, &instance) }
	if r.withParked(lock, look) {
		return r.inspected(op, lock, instance, call, err), true
	}
	if r.options.mixed && !n.data && r.options.lockGrace > 0 {
		// An upstream owner in this process may be about to lock it, and closing
		// the file would take that lock away (rule 15).
		if young, _, a, err := r.young(n); is("StatName", err, gone) {
			return instance, false
		} else if err != nil {
			return r.inspected(op, lock, instance, "StatName", err), true
		} else if young {
			instance.State, instance.Changed = YoungLock, a.Changed
			return instance, true
		}
	}
	fd, err := r.kernel.OpenToInspect(r.fd, lock)
	switch {
	case is("OpenToInspect", err, gone):
		return instance, false
	case err != nil:
		return r.inspected(op, lock, instance, "OpenToInspect", err), true
	}
	defer r.letGo(fd)
	look(r.kernel, fd)
	return r.inspected(op, lock, instance, call, err), true
}

// inspected is the instance, Unknown if there is an error.
func (r *Root) inspected(op, lock string, instance Instance, call string, err error) Instance {
	if err != nil {
		instance.State = Unknown
		instance.Err = r.explainIn(op, lock, call, err)
		if err == ErrForeign {
			instance.Err = &Error{Op: op, Path: r.join(lock), Kind: ErrForeign}
		}
	}
	return instance
}

// inspectLock fills in what the lock file fd says.
func inspectLock(k kernel.Kernel, fd int, instance *Instance) (call string, err error) {
	a, err := k.Stat(fd)
	instance.Changed = a.Changed
	switch {
	case err != nil:
		return "Stat", err
	case a.Mode != 0:
		return "", ErrForeign
	}
	holder, err := k.LockHolder(fd)
	if err != nil {
		return "LockHolder", err
	}
	record, err := k.ReadOwner(fd)
	if err == nil {
		instance.Owner = parseOwner(record)
	}
	switch {
	case a.Links > 1:
		return "", ErrForeign
	case holder.Held:
		instance.State, instance.Holder = Live, holder.PID
	default:
		instance.State = Stale
	}
	return "", nil
}

// usageDepth bounds how deep Usage looks, and with that its descriptors. It
// cannot hoist like a removal: it changes nothing.
const usageDepth = 64

// Usage counts what the data of the instance id takes. It walks the whole data
// directory by descriptors, with the care of a removal, and changes nothing.
// Directories it may not read, mounts, and what lies more than 64 levels deep
// are left out and make the result Partial. Data that does not exist is empty.
func (r *Root) Usage(ctx context.Context, id string) (Usage, error) {
	const op = "usage"
	var usage Usage
	if err := r.acquire(op); err != nil {
		return usage, err
	}
	defer r.release()
	if _, _, ok := parseName(dataName(id), r.options.mixed); !ok {
		return usage, &Error{Op: op, Path: r.join(dataName(id)), Kind: ErrForeign}
	}
	if err := r.measure(ctx, r.fd, dataName(id), 0, &usage); err != nil {
		return usage, &Error{Op: op, Path: r.join(dataName(id)), Err: err} // the context's
	}
	return usage, nil
}

// measure adds the directory name and what is below it; the error is the context's.
func (r *Root) measure(ctx context.Context, dir int, name string, depth int, usage *Usage) error {
	a, _ := r.kernel.StatName(dir, name) // what is wrong with it is met again
	usage.Bytes += a.Bytes
	fd, err := r.kernel.OpenDirectory(dir, name)
	if err != nil {
		usage.Partial = usage.Partial || !is("OpenDirectory", err, gone)
		return nil
	}
	defer r.kernel.Close(fd)
	var entries []kernel.Entry
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
				usage.Partial = usage.Partial || !is("StatName", err, gone)
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
