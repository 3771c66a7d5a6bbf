//go:build linux

package conformance

// A site is a place in a file of package tempdir where faults can be planted.
// What replaces it asks planted(name) which fault this process is to have.
type site struct{ file, old, new string }

// sites are applied to the library all together, in one build.
var sites = []site{
	{"create.go", `import "errors"`, `import (
	"errors"

	"golang.org/x/sys/unix"
)`},
	{"create.go", `	id, lock, err := r.publish(op)
	if err != nil {
		r.release()
		return nil, err
	}`, `	early := ""
	if planted("data before lock") {
		early = newID()
		if err := r.kernel.MakeData(r.fd, dataName(early)); err != nil {
			r.release()
			return nil, err
		}
	}
	id, lock, err := r.publish(op)
	if early != "" {
		id = early
	}
	if err != nil {
		r.release()
		return nil, err
	}`},
	{"create.go", `	if err := r.kernel.MakeData(r.fd, dataName(id)); err != nil {
		err = errors.Join(r.explainIn(op, dataName(id), "MakeData", err), r.removeLock(op, lockName(id), lock))`, `	if err := r.kernel.MakeData(r.fd, dataName(id)); err != nil && !(planted("EEXIST at mkdir accepted") && errors.Is(err, unix.EEXIST)) {
		if planted("failed mkdir keeps the lock") {
			r.release()
			return nil, err
		}
		if planted("failed mkdir leaves the lock file") {
			r.kernel.Close(lock)
			r.release()
			return nil, err
		}
		if planted("failed mkdir told as something else") {
			err = unix.EXFULL
		}
		err = errors.Join(r.explainIn(op, dataName(id), "MakeData", err), r.removeLock(op, lockName(id), lock))`},
	{"create.go", `	return &Dir{root: r, id: id, lock: lock}, nil`, `	if planted("dir has another id") {
		return &Dir{root: r, id: newID(), lock: lock}, nil
	}
	return &Dir{root: r, id: id, lock: lock}, nil`},

	{"kernel_linux.go", `	return openBeneath(root, name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY)`,
		`	if planted("open creates") || planted("adoption by open") {
		return unix.Openat(root, name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
	}
	return openBeneath(root, name, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY)`},
	{"kernel_linux.go", `unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)`,
		`unix.O_RDWR|unix.O_CREAT|unix.O_EXCL&^plantedFlag("create takes what is there", unix.O_EXCL)|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)`},
	{"kernel_linux.go", `		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})`,
		`		if planted("shared lock") {
			return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
		}
		if planted("POSIX lock") {
			return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		}
		if planted("lock of one byte") {
			return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 1})
		}
		return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})`},
	{"kernel_linux.go", `	err := Again(func() error {
		return unix.Linkat(unix.AT_FDCWD, procPath(fd), root, name, unix.AT_SYMLINK_FOLLOW)
	})`, `	err := Again(func() error {
		return unix.Linkat(unix.AT_FDCWD, procPath(fd), root, name, unix.AT_SYMLINK_FOLLOW)
	})
	if err == nil && planted("lock file with two names") {
		_ = unix.Unlinkat(root, "../twice", 0)
		_ = unix.Linkat(root, name, root, "../twice", 0)
	}
	if err == unix.EEXIST && planted("link replaces") {
		_ = unix.Unlinkat(root, name, 0)
		err = unix.Linkat(unix.AT_FDCWD, procPath(fd), root, name, unix.AT_SYMLINK_FOLLOW)
	}`},
	{"kernel_linux.go", `	return moveIn(unix.AT_FDCWD, victim, root, entry)`,
		`	if planted("staging makes the data directory anew") {
		directory, _, _ := strings.Cut(entry, "/")
		_ = unix.Mkdirat(root, "../anew", 0o700)
		_ = unix.Renameat2(root, "../anew", root, directory, unix.RENAME_EXCHANGE)
		_ = unix.Unlinkat(root, "../anew", unix.AT_REMOVEDIR)
	}
	if planted("staging replaces") {
		return unix.Renameat(unix.AT_FDCWD, victim, root, entry)
	}
	return moveIn(unix.AT_FDCWD, victim, root, entry)`},
	{"kernel_linux.go", `		return unix.Renameat2(root, entry, unix.AT_FDCWD, destination, unix.RENAME_NOREPLACE)`,
		`		if planted("commit to another name") {
			destination += "-1"
		}
		return unix.Renameat2(root, entry, unix.AT_FDCWD, destination, unix.RENAME_NOREPLACE)`},
	{"kernel_linux.go", `	return openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)`, `	if planted("mounts are crossed") {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if planted("descriptor leaked below the seam") {
		_, _ = openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	}
	return openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)`},
	{"kernel_linux.go", `		entries = appendEntries(entries, buf[:n])`, `		entries = appendEntries(entries, buf[:n])
		if planted("listing drops a name") && len(entries) > before {
			entries = entries[:len(entries)-1]
		}`},

	{"lock.go", `	held, err := r.kernel.Stat(fd)
	if err != nil {
		return false, err
	}
	named, err := r.kernel.StatName(r.fd, name)
	if is("StatName", err, gone) {
		return false, nil
	}
	return err == nil && held.Links > 0 && held.Same(named), err`, `	held, err := r.kernel.Stat(fd)
	if err != nil && planted("recheck forgets that Stat failed") {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	named, err := r.kernel.StatName(r.fd, name)
	switch {
	case planted("recheck dropped"):
		return true, nil
	case planted("recheck without a name fails") && errors.Is(err, unix.ENOENT):
		return false, err
	case planted("recheck forgets that StatName failed") && err != nil:
		return false, nil
	}
	if errors.Is(err, unix.ENOENT) {
		return planted("recheck without a name passes"), nil
	}
	switch {
	case planted("recheck looks at the name alone"):
		return err == nil, err
	case planted("recheck ignores the inode"):
		return err == nil && held.Links > 0 && held.Device == named.Device, err
	case planted("recheck ignores the device"):
		return err == nil && held.Links > 0 && held.Inode == named.Inode, err
	case planted("recheck ignores the link count"):
		return err == nil && held.Same(named), err
	}
	return err == nil && held.Links > 0 && held.Same(named), err`},
	{"lock.go", `	held, err := r.kernel.Stat(lock)
	switch {`, `	held, err := r.kernel.Stat(lock)
	switch {
	case planted("claim does not look at the file"):`},
	{"lock.go", `	if err := r.kernel.TakeLock(lock); err != nil {
		if is("TakeLock", err, taken) {`, `	if err := r.kernel.TakeLock(lock); err != nil {
		if planted("claim goes on without its lock") {
			return false, nil
		}
		if is("TakeLock", err, taken) && planted("claim of a live instance fails") {
			return false, failure(nil, err)
		}
		if is("TakeLock", err, taken) || planted("every failure to lock is a live instance") {`},
	{"lock.go", `	ours, err := r.recheck(lock, name)
	switch {
	case err != nil:
		return true,`, `	if planted("claim does not recheck") {
		return true, nil
	}
	ours, err := r.recheck(lock, name)
	switch {
	case err != nil:
		return true,`},
	{"lock.go", `		if locked {
			r.kernel.Close(lock)
		} else {`, `		if planted("refused claim keeps its descriptor") {
			return -1, err
		}
		if locked {
			r.kernel.Close(lock)
		} else {`},
	{"lock.go", `	ours, err := r.recheck(lock, name)
	if err == nil && ours {
		err = r.kernel.RemoveLock(r.fd, name)`, `	if planted("unlock before unlink") {
		r.kernel.Close(lock)
		return r.kernel.RemoveLock(r.fd, name)
	}
	ours, err := r.recheck(lock, name)
	if planted("unlink without a recheck") {
		ours, err = true, nil
	}
	if err == nil && ours && planted("unlinks another name") {
		err = r.kernel.RemoveLock(r.fd, name+"0")
	} else if err == nil && ours && !planted("lock file stays") {
		err = r.kernel.RemoveLock(r.fd, name)`},
	{"lock.go", `	r.kernel.Close(lock)
	switch {
	case err != nil:
		return r.explainIn(op, name, "RemoveLock", err)
	case !ours:`, `	if !planted("removal keeps its descriptor") {
		r.kernel.Close(lock)
	}
	if planted("closes twice") {
		r.kernel.Close(lock)
	}
	switch {
	case err != nil && planted("failure to unlink is not told"):
		return nil
	case err != nil && planted("failure to unlink told as something else"):
		return &Error{Op: op, Path: r.join(name), Err: unix.EXFULL}
	case err != nil:
		return r.explainIn(op, name, "RemoveLock", err)
	case !ours:`},
	{"lock.go", `		err = r.kernel.TakeLock(lock)
		call = "TakeLock"
`, `		err = r.kernel.TakeLock(lock)
		call = "TakeLock"
		if planted("publishes although it could not lock") {
			err = nil
		}
`},
	{"lock.go", `	lock, err := r.kernel.OpenUnnamed(r.fd)
	call := "OpenUnnamed"
	if err == nil {`, `	lock, err := r.kernel.OpenUnnamed(r.fd)
	call := "OpenUnnamed"
	if err == nil && planted("name before lock") {
		if err = r.kernel.LinkLock(lock, r.fd, name); err == nil {
			err = r.kernel.TakeLock(lock)
		}
		if err == nil {
			return lock, nil
		}
		r.kernel.Close(lock)
	} else if err == nil {`},
	{"lock.go", `		r.kernel.Close(lock) // the file has no name: this is the end of it`, `		if !planted("failed publishing keeps its descriptor") {
			r.kernel.Close(lock)
		}`},
	{"lock.go", `		if err == nil && ours {
			r.writeOwner(lock)
			return lock, nil
		}
		r.kernel.Close(lock) // what has the name, if it is there, is a stranger's`, `		if planted("fallback does not recheck") {
			ours, err = true, nil
		}
		if err == nil && ours {
			r.writeOwner(lock)
			return lock, nil
		}
		if planted("fallback unlinks what it lost") {
			_ = r.kernel.RemoveLock(r.fd, name)
		}
		if !planted("fallback keeps its descriptor") {
			r.kernel.Close(lock) // what has the name, if it is there, is a stranger's
		}`},
	{"lock.go", `	r.letGo(lock)
	if is("TakeLock", err, taken) {`, `	if planted("fallback unlinks what it lost") {
		_ = r.kernel.RemoveLock(r.fd, name)
	}
	if !planted("fallback keeps its descriptor") {
		r.letGo(lock)
	}
	if is("TakeLock", err, taken) && !planted("fallback fails when it is late") {`},

	{"recover.go", `	defer r.kernel.Close(dir)
	index`, `	if !planted("listing keeps its descriptor") {
		defer r.kernel.Close(dir)
	}
	index`},
	{"recover.go", `		lock, outcome, err = r.adopt(op, n.id)`, `		if planted("listing trusted for orphans") {
			_, err = r.removeData(ctx, op, n.id, true)
			return Recovered, false, err
		}
		lock, outcome, err = r.adopt(op, n.id)`},
	{"recover.go", `	lock, err = r.publishLocked(op, lockName(id))
	switch {`, `	if planted("adoption by open") {
		return r.takeStale(op, id)
	}
	lock, err = r.publishLocked(op, lockName(id))
	switch {
	case err == errTaken && planted("adoption fails when it is late"):
		return -1, Failed, err`},
	{"recover.go", `	if _, err := r.removeData(ctx, op, n.id, true); err != nil {
		r.kernel.Close(lock) // the lock is released; both names stay (rule 5)
		return Failed, !n.lock, err
	}
	if err := r.removeLock(op, lockName(n.id), lock); err != nil && !errors.Is(err, ErrInstanceGone) {
		return Failed, !n.lock, err
	}
	return Recovered, !n.lock, nil`, `	if planted("unlink before data") {
		_ = r.kernel.RemoveLock(r.fd, lockName(n.id))
	}
	if planted("data is left") {
		return Recovered, false, r.removeLock(op, lockName(n.id), lock)
	}
	if _, err := r.removeData(ctx, op, n.id, true); err != nil && !planted("lock file goes although data is left") {
		if !planted("lock kept after a failed removal") {
			r.kernel.Close(lock) // the lock is released; both names stay (rule 5)
		}
		if planted("failed removal is not told") {
			return Failed, false, nil
		}
		if planted("failed removal told as something else") {
			return Failed, false, unix.EXFULL
		}
		return Failed, !n.lock, err
	}
	if planted("lock file of a recovered instance stays") {
		r.kernel.Close(lock)
		return Recovered, !n.lock, nil
	}
	if err := r.removeLock(op, lockName(n.id), lock); err != nil && (!errors.Is(err, ErrInstanceGone) || planted("a stranger's unlink fails recovery")) {
		return Failed, !n.lock, err
	}
	if planted("adoption is not reported") {
		return Recovered, false, nil
	}
	return Recovered, !n.lock, nil`},
	{"recover.go", `	case ErrHeld:
		return -1, Skipped, nil
	case unix.ENOENT:
		return -1, Vanished, nil
	case errDenied:`, `	case ErrHeld:
		if planted("live instances reported as gone") {
			return -1, Vanished, nil
		}
		return -1, Skipped, nil
	case unix.ENOENT:
		if planted("gone instances reported as live") {
			return -1, Skipped, nil
		}
		return -1, Vanished, nil
	case errDenied:`},

	{"remove.go", `	if is("OpenDirectory", err, gone) {
		return false,`, `	if is("OpenDirectory", err, gone) && planted("data that is gone fails the removal") {
		return true, v.leftover(v.explain(-1, name, "OpenDirectory", err, why))
	}
	if is("OpenDirectory", err, gone) {
		return false,`},
	{"remove.go", `	if err != nil {
		return true, v.leftover(v.explain(-1, name, "OpenDirectory", err, why))
	}`, `	if err != nil && planted("data that cannot be opened is gone") {
		return false, nil
	}
	if err != nil {
		return true, v.leftover(v.explain(-1, name, "OpenDirectory", err, why))
	}`},
	{"remove.go", `	for _, l := range v.levels {
		v.kernel.Close(l.fd)
	}`, `	for _, l := range v.levels {
		if !planted("cut off removal keeps its descriptors") {
			v.kernel.Close(l.fd)
		}
	}`},
	{"remove.go", `		if err != nil {
			v.fail(top, v.explain(top, "", "List", err, nil))
			v.pop(false)
			return
		}
		l.batch, l.entries = entries, entries`, `		if err != nil && planted("failed listing is the end") {
			err, entries = nil, nil
		}
		if err != nil {
			v.fail(top, v.explain(top, "", "List", err, nil))
			v.pop(false)
			return
		}
		l.batch, l.entries = entries, entries`},
	{"remove.go", `			v.fail(top, err)
			return
		}
	}
	v.descend(top, entry.Name)`, `			if !planted("failed unlink of a file is forgotten") {
				v.fail(top, err)
			}
			return
		}
	}
	v.descend(top, entry.Name)`},
	{"remove.go", `	top := len(v.levels) - 1
	v.kernel.Close(v.levels[top].fd)
	v.levels`, `	top := len(v.levels) - 1
	if !planted("removal leaks directories") {
		v.kernel.Close(v.levels[top].fd)
	}
	v.levels`},
	{"remove.go", `	default:
		v.fail(top, v.explain(top, name, "OpenDirectory", err, why))
	}
}`, `	default:
		if !planted("directory that cannot be opened is forgotten") {
			v.fail(top, v.explain(top, name, "OpenDirectory", err, why))
		}
	}
}`},
	{"remove.go", `		case err == nil:
			return nil
		case is(call, err, gone):
`, `		case err == nil, planted("failed unlink is success"):
			return nil
		case is(call, err, gone) && !planted("what is gone already fails the removal"):
`},

	{"stage.go", `		if gone := d.instanceGone(op); gone != nil {
			return gone
		}
		switch _, statErr`, `		lost := d.instanceGone(op)
		if lost != nil && planted("victim gone and instance gone are one") {
			return &Error{Op: op, Path: path, Kind: ErrVictimGone, Err: err}
		}
		if lost != nil {
			return lost
		}
		switch _, statErr`},
	{"stage.go", `	victim := place{unix.AT_FDCWD, path}
`, `	victim := place{unix.AT_FDCWD, path}
	if planted("every failure is a victim that is gone") {
		return &Error{Op: op, Path: path, Kind: ErrVictimGone, Err: err}
	}
`},
	{"stage.go", `	call, err := a.move(destination)
	var`, `	call, err := a.move(destination)
	if planted("failed commit is told as success") {
		err = nil
	}
	if planted("failed commit cannot be repeated") {
		a.committed = true
	}
	var`},
	{"stage.go", `	if err != nil {
		d.root.kernel.Close(d.lock) // the lock is released; both names stay (rule 5)
		return err
	}
	if !found {`, `	if err != nil && planted("close unlinks the lock file although data is left") {
		return errors.Join(err, d.root.removeLock(op, lockName(d.id), d.lock))
	}
	if err != nil {
		if !planted("failed close keeps its lock") {
			d.root.kernel.Close(d.lock) // the lock is released; both names stay (rule 5)
		}
		return err
	}
	if !found && !planted("close of a lost instance is success") {`},
	{"stage.go", `	return dataName(d.id) + "/" + entryName(n, hint)`, `	if planted("entries without numbers") {
		return dataName(d.id) + "/" + hint
	}
	return dataName(d.id) + "/" + entryName(n, hint)`},
	{"stage.go", `	_, err := d.root.kernel.StatName(d.root.fd, dataName(d.id))
	switch {
	case err == nil:
		return nil`, `	_, err := d.root.kernel.StatName(d.root.fd, dataName(d.id))
	switch {
	case err == nil && planted("instance gone whenever asked"):
		return &Error{Op: op, Path: d.dataPath(), Kind: ErrInstanceGone}
	case err == nil, err != unix.ENOENT && planted("instance there if it cannot be looked for"):
		return nil`},
}
