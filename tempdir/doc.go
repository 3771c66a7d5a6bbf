// Package tempdir deletes after the lock is dropped.
//
// Deleting a container layer means unlinking up to a million files. Doing that
// under a store's lock blocks everybody else. With this package a store moves
// the layer aside with one rename while it holds its lock, drops the lock, and
// removes the files afterwards; if it crashes on the way, any other process
// finishes the job. Additions go the other way: content is built aside, without
// the lock, and put in place as a whole with one rename.
//
//	func deleteLayer(ctx context.Context, root *tempdir.Root, store *Store, id string) error {
//		dir, err := root.Create() // where the layer goes; before the store lock
//		if err != nil {
//			return err
//		}
//		store.Lock()
//		err = dir.StageDeletion(store.Path(id)) // one rename: out of reach, intact
//		if err == nil || errors.Is(err, tempdir.ErrVictimGone) {
//			err = store.Forget(id) // after any other error the layer is still there
//		}
//		store.Unlock()
//		return errors.Join(err, dir.Close(ctx)) // the slow part
//	}
//
// After any error but [ErrVictimGone] the victim is where it was, intact, so its
// record must stay; [Remove] removes it in place. Close the instance also then:
// that removes what was staged before. A record whose victim is staged already,
// after a crash in between, goes the same way: staging answers ErrVictimGone.
//
// The root is opened once ([Open]), on the file system of the data. [Root.Recover] finishes what
// crashed processes left, in any process, at any time, without a lock.
//
// # On disk
//
// A root is a directory on the file system of the data. Every instance has an
// id of 128 random bits, never reused, and two names in the root:
//
//	lock-<id>          exists before the data and until after it
//	temp-dir-<id>/     the data directory
//	    0-<hint>       entry 0: a staged deletion or a staged addition
//
// The names are those of containers/storage, so that both can share a root.
// If its processes use the root too, open it with [MixedFleet]; package compat in the
// folder below has its programming interface too.
//
// An instance is live while some process holds the lock of its lock file, an
// open file description lock. Process death frees it, and so does [Dir.Release];
// then the instance is stale. Data without a lock file is an orphan: power loss
// can leave one, or a cleaner of temporary files, so it is left alone for a day,
// see [OrphanGrace]. Other names are foreign and never touched.
//
// # Promises
//
// The package keeps these rules; the numbers are those of the project's design.
// What breaks without each, and which of them are needed only beside upstream
// processes, is in spec/README.md.
//
//  1. A lock file has its lock before it has its name.
//  2. A process that takes a lock rechecks that the name still is the inode it
//     holds, before acting on it. Owners on the fallback path do, and recoverers.
//  3. Recovery never creates by opening. An orphan is adopted by linking a
//     locked file.
//  4. Data goes first, the lock file last, unlinked only by its verified holder.
//  5. A failed removal leaves both names and releases the lock: anybody may
//     retry, and nobody is refused service.
//  6. Ids are never reused.
//  7. Inodes are compared while a descriptor holds them, never from memory.
//  8. There is no process-wide table of locks. Goroutines exclude each other like
//     processes do, under whatever name they opened the root.
//  9. Removal stays inside: exact names only, no symbolic link followed, no
//     mount crossed, not even a bind mount on the same device.
//  10. A victim that is gone and an instance that is gone are different errors:
//     [ErrVictimGone], [ErrInstanceGone].
//  11. Renames are durable before the first unlink, so that after power loss
//     nothing that still has its old name is half deleted. ext4, xfs and tmpfs
//     order that by themselves; elsewhere [Dir.Close] and [Root.Recover] sync the
//     data directory, outside any lock.
//  12. Recovery may be killed anywhere, may run many times at once, and takes no
//     store lock.
//  13. Beside unfixed processes, see [MixedFleet].
//  14. Nil means gone. No error of a helper call is taken for an answer about the
//     victim, a diagnosis changes nothing on disk, and what the kernel cannot tell
//     is never taken for "no".
//  15. A close is a lock operation. POSIX locks, which upstream takes, are dropped
//     when their process closes any descriptor of the file. With [MixedFleet], a
//     descriptor of a lock file that this process holds such a lock on is kept
//     open until that lock is gone.
//
// # Not promised
//
// A staged deletion is not durable when [Dir.StageDeletion] returns: after power
// loss the victim may be back, whole, under its old name. [Addition.Commit] does
// not sync content. A file system without open file description locks between
// hosts (most network file systems) keeps the promises between the processes of
// one host only. Processes that write into a root by other means than this
// protocol can break it; what they do is detected where that costs nothing, and
// reported as [ErrInstanceGone].
//
// ext4 without a journal, and ext2, pass for ext4: they order nothing, and
// power loss is for their fsck to mend.
//
// # Which call to use
//
// [Dir.StageDeletion] is one rename, for under a lock. [Remove] removes a path where
// it is: slowly, and it needs neither a root nor free space. [Dir.Close] removes what
// is staged; [Dir.Release] leaves that to whichever process calls [Root.Recover] next.
//
// A process that ends soon calls Recover when it starts, with [Slice] if it may not take
// long; one that stays has [Root.Reap] do it again and again. [OnProgress] and
// [CountBytes] say what removals do, [Rate] and [IdleIO] hold them back.
//
// # Errors
//
// Every error names the operation and the path, wraps one of the kinds below
// where [errors.Is] can tell it, and the errno where there is one. In JSON it is
// text. What each errno of each system call is taken for follows; the calls have
// the names of the actions in the specification (internal/kernel). Only the
// errno of the call itself decides; what is not listed is refused without a kind.
//
//   - refused: the operation fails with the errno, and the kind if there is one.
//     "If it is seen": a look has to confirm the kind, such as a mount or a flag.
//
//   - gone, taken, another type: an answer, and no failure by itself.
//
//   - falls back: another call is tried instead.
//
//   - mended: a mode, a flag (with [ClearFlags]) or a mount (with [DetachMounts])
//     is changed and the call made again; if that does not help it is refused.
//
//   - no locks: refused, and the lock file that was made is removed again.
//
//   - denied: of another user's lock file or orphan, no failure: see [Denied].
//
//   - ignored: the operation goes on.
//
// Each line is a call, its errnos, their meaning, and the kind:
//
//	every call EROFS: refused, ErrReadOnly
//	every call ENOSPC EDQUOT: refused, ErrNoSpace
//	every call ENOSYS ENOTSUP: refused, errors.ErrUnsupported
//	every call EBUSY: refused, ErrMountPoint if it is seen
//	every call EPERM: refused, ErrImmutable if it is seen
//	OpenRoot ENOTDIR ELOOP: refused
//	OpenParent ENOENT: gone, ErrVictimGone
//	OpenUnnamed ENOTSUP ENOSYS EISDIR EINVAL ENOENT EPERM EACCES: falls back
//	LinkLock EEXIST: taken
//	LinkLock ENOENT EPERM EACCES EXDEV EMLINK EINVAL ENOTSUP ENOSYS: falls back
//	CreateLock EEXIST: taken
//	CreateLock ENOENT: refused, ErrRootGone
//	TakeLock EAGAIN: taken
//	TakeLock ENOLCK EPERM EACCES: no locks
//	TakeLock EINVAL ENOSYS ENOTSUP: no locks, errors.ErrUnsupported
//	WriteOwner ENOSPC EDQUOT EIO: ignored
//	MakeData ENOENT: refused, ErrRootGone
//	MakeData EEXIST: refused, ErrForeign
//	OpenLock ENOENT: gone
//	OpenLock ELOOP EISDIR ENXIO ENODEV: refused, ErrForeign
//	OpenLock EXDEV: refused, ErrMountPoint
//	OpenLock EACCES: denied
//	OpenLock EPERM: mended, ErrImmutable if it is seen
//	Owns EACCES EPERM: denied
//	OpenToInspect ENOENT: gone
//	OpenToInspect ELOOP ENXIO ENODEV: refused, ErrForeign
//	OpenToInspect EXDEV: refused, ErrMountPoint
//	StatName ENOENT: gone
//	RemoveLock ENOENT: gone
//	RemoveLock EPERM: mended, ErrImmutable if it is seen
//	StageDeletion EEXIST ENOTEMPTY: taken
//	StageDeletion ENOENT: refused, ErrInstanceGone if it is seen
//	StageDeletion EXDEV: refused, ErrCrossDevice
//	StageDeletion EINVAL: refused, ErrContainsRoot if it is seen, else errors.ErrUnsupported
//	StageDeletion EACCES: mended
//	StageDeletion EPERM: mended, ErrImmutable if it is seen
//	StageDeletion EROFS: mended, ErrReadOnly
//	Commit ENOENT: refused, ErrInstanceGone if it is seen
//	Commit EXDEV: refused, ErrCrossDevice
//	Commit EACCES: mended
//	Commit EINVAL EPERM ENOSYS ENOTSUP: falls back
//	CommitPlainly EACCES: mended
//	CommitPlainly ENOENT: refused, ErrInstanceGone if it is seen
//	CommitPlainly ENOTEMPTY ENOTDIR: refused, fs.ErrExist
//	CommitPlainly EXDEV: refused, ErrCrossDevice
//	CommitPlainly EINVAL: refused, errors.ErrUnsupported (or moved into itself)
//	LinkEntry ENOENT: refused, ErrInstanceGone if it is seen
//	LinkEntry EXDEV: refused, ErrCrossDevice
//	LinkEntry EMLINK EINVAL: refused, errors.ErrUnsupported
//	LinkEntry EPERM: refused, ErrImmutable if it is seen, else errors.ErrUnsupported
//	SyncData EINVAL: ignored
//	OpenDirectory ENOENT: gone
//	OpenDirectory ENOTDIR ELOOP: another type, ErrForeign
//	OpenDirectory EACCES: mended
//	OpenDirectory EXDEV: mended, ErrMountPoint
//	OpenDirectory EMFILE ENFILE: falls back
//	List ENOENT: gone
//	RemoveEntry ENOENT: gone
//	RemoveEntry EISDIR: another type
//	RemoveEntry EACCES: mended
//	RemoveEntry EPERM: mended, ErrImmutable if it is seen
//	RemoveEntry EROFS: mended, ErrReadOnly
//	RemoveEntry EBUSY: mended, ErrMountPoint if it is seen
//	RemoveDirectory ENOENT: gone
//	RemoveDirectory ENOTEMPTY EEXIST: another type
//	RemoveDirectory EACCES: mended
//	RemoveDirectory EPERM: mended, ErrImmutable if it is seen
//	RemoveDirectory EROFS: mended, ErrReadOnly
//	RemoveDirectory EBUSY: mended, ErrMountPoint if it is seen
//	RemoveData ENOENT: gone
//	RemoveData ENOTEMPTY EEXIST: another type
//	RemoveData ENOTDIR: another type, ErrForeign
//	RemoveData EPERM: mended, ErrImmutable if it is seen
//	RemoveData EBUSY: mended, ErrMountPoint if it is seen
//	Hoist EEXIST: taken
//	Hoist EACCES EPERM: mended
//	Hoist EXDEV: falls back
//
// # Systems
//
// Linux, 32 and 64 bits. What is missing or refused is found out call by call;
// every line was tried by refusing the calls to Linux 6.18, alone and together, not on
// old kernels.
//
//   - Open file description locks (Linux 3.15) are needed: nothing is created,
//     recovered or locked without them.
//   - openat2 (5.6; old sandboxes say EPERM): names are opened one level at a
//     time, with seven system calls for each directory that is removed instead of
//     two. Mounts are distinguished by the number that statx (5.8),
//     name_to_handle_at or /proc/self/fdinfo gives, never by device. Where none
//     of them answers, [Open] and every removal return an error that matches
//     [errors.ErrUnsupported], before anything is unlinked.
//   - statx (4.11): fstatat. What is immutable is not known then.
//   - STATX_ATTR_MOUNT_ROOT (5.8): no decision about live data needs it.
//   - O_TMPFILE, or hard links to such a file: the lock file is created by name,
//     then locked and rechecked. To link it takes /proc or Linux 6.10.
//   - RENAME_NOREPLACE: staging does without. [Addition.Commit] says what it
//     cannot promise.
//   - /proc: owners are not described as fully. Modes are changed by fchmodat2
//     (6.6); without that too, a directory that its owner may neither read nor
//     search is left and reported, since its name could lead elsewhere by then.
//
// On other systems the package compiles, and [Open] returns an error that matches
// [errors.ErrUnsupported].
package tempdir
