//go:build linux

package tempdir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// Recover removes what crashed and failed processes left in the root, and
// reports what it did.
//
// An instance whose lock is held is live and is skipped; Recover never waits.
// A lock that is free is taken and, after the recheck, the instance is removed:
// data first, lock file last (spec: List, OpenLock, TakeLock, StatName,
// OpenDirectory, SyncData, RemoveEntry, RemoveData, RemoveLock, Close). Data
// without a lock file is adopted first, by linking a locked file to its lock
// file's name (spec: OpenUnnamed, TakeLock, LinkLock). Foreign names are
// reported and never touched; see also [MixedFleet].
//
// Recover needs no store lock and should be called without one. It may run at
// any time, many times at once, in any number of processes, and may be killed
// anywhere; the next call goes on.
//
// Failures are contained: an instance that cannot be removed keeps both its
// names for a later retry, the others go on, and the error joins one error per
// instance. What belongs to another user, so that it cannot be opened or
// removed, is [Denied] and no error. Whether that should fail the caller's own operation is for the
// caller to say; a store should open all the same. If ctx is done, Recover
// stops and returns the report so far with the context's error. [Slice] bounds one call,
// which is no error, and [Parallel] recovers several instances at the same time.
//
// The cost is one listing of the root and, for a live instance, four system
// calls, and one more with [MixedFleet].
func (r *Root) Recover(ctx context.Context) (Report, error) {
	return r.recover(ctx, "recover", func(string) bool { return false })
}

// recover is Recover, but for the instances that rest.
func (r *Root) recover(outer context.Context, op string, rests func(id string) bool) (Report, error) {
	var report Report
	if err := r.acquire(op); err != nil {
		return report, err
	}
	defer r.release()
	r.sweepParked()
	candidate := r.candidate.Load() // before the listing, see MaybeDirty
	found, foreign, err := r.list(op)
	if err != nil {
		return report, err
	}
	report.Foreign = foreign
	for _, name := range foreign {
		if bytes := notUTF8(name); bytes != nil {
			report.ForeignBytes = append(report.ForeignBytes, bytes)
		}
	}
	if len(found) == 0 {
		r.empty.Store(candidate)
	}
	budget, ctx, release := r.newBudget(outer)
	defer release()
	goroutines := max(1, min(r.options.parallel, len(found)))
	results := make([]Result, len(found)) // without ID: not begun
	first := r.resume(found)
	var begun atomic.Int64
	together(goroutines, func() {
		for ctx.Err() == nil {
			n := int(begun.Add(1)) - 1
			if n >= len(found) {
				return
			}
			i := (first + n) % len(found)
			if results[i] = (Result{ID: found[i].id, Outcome: Resting}); rests(found[i].id) {
				continue
			}
			m := r.newMeter(op, "")
			m.budget = budget
			if goroutines > 1 {
				m.workers = max(1, newPace(r.options.workers).most/goroutines)
			}
			r.recoverOne(ctx, op, found[i], m, &results[i])
			m.end()
		}
	})
	var failures []error
	for _, result := range results {
		if result.ID == "" {
			continue
		}
		report.Results = append(report.Results, result)
		if result.Err != nil {
			failures = append(failures, result.Err)
		}
		report.More = report.More || result.Outcome == Unfinished || ctx.Err() != nil && errors.Is(result.Err, ctx.Err())
	}
	if len(report.Results) < len(found) {
		report.More = true
		if err := outer.Err(); err != nil {
			failures = append(failures, &Error{Op: op, Path: r.path, Err: err})
		}
	}
	if report.More {
		next := first + min(int(begun.Load()), len(found))
		r.cursor.Store(&found[next%len(found)].id)
	}
	return report, errors.Join(failures...)
}

// resume is the instance to begin with: the one after those that the last slice began.
func (r *Root) resume(found []names) int {
	id := r.cursor.Swap(nil)
	if id == nil {
		return 0
	}
	i, _ := slices.BinarySearchFunc(found, *id, func(n names, id string) int { return strings.Compare(n.id, id) })
	return i
}

// together runs do in so many goroutines, the caller's among them, and returns when all have
// ended. The panic of one is the caller's then.
func together(goroutines int, do func()) {
	var (
		others   sync.WaitGroup
		panicked atomic.Pointer[any]
	)
	for range goroutines - 1 {
		others.Go(func() {
			met := errEnded
			defer func() {
				if met = cmp.Or(recover(), met); met != nil {
					panicked.Store(&met)
				}
			}()
			do()
			met = nil
		})
	}
	defer func() {
		others.Wait()
		if met := panicked.Load(); met != nil {
			panic(*met)
		}
	}()
	do()
}

// names are the names of one id that a listing saw. A listing is not atomic, so
// a name that it missed may exist; nothing destructive follows from its absence.
type names struct {
	id                 string
	lock, data         bool
	lockType, dataType fs.FileMode
	err                error // why a type could not be found out
}

// list reads the root: ids in order, foreign names in order.
func (r *Root) list(op string) (found []names, foreign []string, err error) {
	// A descriptor of its own, because the reading position belongs to the open
	// file description and others may be listing through r.fd.
	dir, err := r.kernel.OpenDirectory(r.fd, ".")
	if err != nil {
		return nil, nil, r.listErr(op, "OpenDirectory", err)
	}
	defer r.kernel.Close(dir)
	index := make(map[string]int)
	var entries []kernel.Entry
	for {
		entries, err = r.kernel.List(dir, entries[:0])
		if err != nil {
			return nil, nil, r.listErr(op, "List", err)
		}
		if len(entries) == 0 {
			break
		}
		for _, entry := range entries {
			id, lock, ok := parseName(entry.Name, r.options.mixed)
			if !ok {
				foreign = append(foreign, entry.Name)
				continue
			}
			var unknown error
			if entry.Type == fs.ModeIrregular { // the file system does not say
				a, err := r.kernel.StatName(r.fd, entry.Name)
				if is("StatName", err, gone) {
					continue // gone by now
				}
				if err != nil {
					unknown = r.explainIn(op, entry.Name, "StatName", err)
				}
				entry.Type = a.Mode
			}
			i, seen := index[id]
			if !seen {
				i = len(found)
				index[id] = i
				found = append(found, names{id: id})
			}
			if unknown != nil {
				found[i].err = unknown
			}
			if lock {
				found[i].lock, found[i].lockType = true, entry.Type
			} else {
				found[i].data, found[i].dataType = true, entry.Type
			}
		}
	}
	slices.SortFunc(found, func(a, b names) int { return strings.Compare(a.id, b.id) })
	slices.Sort(foreign)
	return found, foreign, nil
}

// listErr is for a root that cannot be listed.
func (r *Root) listErr(op, call string, err error) error {
	if is(call, err, gone) {
		return &Error{Op: op, Path: r.path, Kind: ErrRootGone}
	}
	return r.explainIn(op, ".", call, err)
}

// recoverOne removes one instance and says what came of it.
func (r *Root) recoverOne(ctx context.Context, op string, n names, m *meter, result *Result) {
	outcome, adopted, err := r.tryOne(ctx, op, n, m)
	*result = Result{ID: n.id, Outcome: outcome, Adopted: adopted, Err: err, Names: m.names.Load(), Bytes: m.bytes.Load()}
	if err == nil {
		return
	}
	result.Outcome = Failed
	var left *LeftoverError
	if context.Cause(ctx) == errSliceEnds && errors.As(err, &left) && left.Failed == 1 && errors.Is(err, ctx.Err()) {
		result.Outcome, result.Err = Unfinished, nil
	}
}

// tryOne removes one instance, or says why not.
func (r *Root) tryOne(ctx context.Context, op string, n names, m *meter) (outcome Outcome, adopted bool, err error) {
	if n.err != nil {
		return Failed, false, n.err
	}
	if name, odd := n.odd(); odd {
		return Failed, false, &Error{Op: op, Path: r.join(name), Kind: ErrForeign}
	}
	switch young, name, seen, err := r.young(n); {
	case is("StatName", err, gone):
		return Vanished, false, nil
	case err != nil:
		return Failed, false, r.explainIn(op, name, "StatName", err)
	case young:
		return Young, false, nil
	case name == dataName(n.id) && int(seen.UID) != os.Geteuid() && is("Owns", r.kernel.Owns(r.fd, name), denied):
		// It could not be removed, nor its owner open a lock file that this process made.
		return Denied, false, nil
	}
	var lock int
	if n.lock {
		lock, outcome, err = r.takeStale(op, n.id)
	} else {
		lock, outcome, err = r.adopt(op, n.id)
	}
	if err != nil || outcome != Recovered {
		return outcome, false, err
	}
	// From here on this process holds the lock of a stale instance. The id is
	// never reused, so nobody can become its owner any more (rule 6).
	m.path = r.join(dataName(n.id))
	if _, err := r.removeData(ctx, op, n.id, true, m); err != nil {
		r.kernel.Close(lock) // the lock is released; both names stay (rule 5)
		return Failed, !n.lock, err
	}
	if err := r.removeLock(op, lockName(n.id), lock); err != nil && !errors.Is(err, ErrInstanceGone) {
		return Failed, !n.lock, err
	}
	return Recovered, !n.lock, nil
}

// odd returns a name whose type is not that of an instance. A device is not
// even opened: that could have effects of its own.
func (n names) odd() (name string, odd bool) {
	switch {
	case n.lock && n.lockType != 0:
		return lockName(n.id), true
	case n.data && n.dataType != fs.ModeDir:
		return dataName(n.id), true
	}
	return "", false
}

// takeStale takes the lock of an existing lock file. The outcome is Recovered
// if the lock is ours to act on.
func (r *Root) takeStale(op, id string) (lock int, outcome Outcome, err error) {
	lock, err = r.tryLock(op, lockName(id))
	switch err {
	case nil:
		return lock, Recovered, nil
	case ErrHeld:
		return -1, Skipped, nil
	case unix.ENOENT:
		return -1, Vanished, nil
	case errDenied:
		return -1, Denied, nil
	}
	return -1, Failed, err
}

// adopt makes a lock file for data that has none, with its lock held. The
// process that links first has the instance; a lock file that the listing missed is found
// out here, by EEXIST (rule 3).
func (r *Root) adopt(op, id string) (lock int, outcome Outcome, err error) {
	lock, err = r.publishLocked(op, lockName(id))
	switch {
	case err == errTaken:
		return -1, Skipped, nil
	case err != nil:
		return -1, Failed, err
	}
	return lock, Recovered, nil
}

// young reports whether a grace says to leave the instance alone, and which name
// it looked at, if any.
func (r *Root) young(n names) (young bool, name string, a kernel.Attributes, err error) {
	name, grace := dataName(n.id), r.options.orphanGrace
	if n.lock {
		name, grace = lockName(n.id), r.options.lockGrace
	}
	// The owner of an orphan is looked at in any case.
	if n.lock && (n.data || !r.options.mixed || grace <= 0) {
		return false, "", a, nil
	}
	a, err = r.kernel.StatName(r.fd, name)
	return err == nil && grace > 0 && r.options.now().Sub(a.Changed) < grace, name, a, err
}
