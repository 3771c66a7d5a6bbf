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
// The root is opened once ([Open]), beside the data. [Root.Recover] finishes what
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
// Beside its processes open the root with [MixedFleet]; package compat in the
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
//  2. Whoever takes a lock rechecks that the name still is the inode it holds,
//     before acting on it. Owners on the fallback path do, and recoverers.
//  3. Recovery never creates by opening. An orphan is adopted by linking a
//     locked file.
//  4. Data goes first, the lock file last, unlinked only by its verified holder.
//  5. A failed removal leaves both names and releases the lock: anybody may
//     retry, and nobody is refused service.
//  6. Ids are never reused.
//  7. Inodes are compared while a descriptor holds them, never from memory.
//  8. There is no process-wide table. Goroutines exclude each other like
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
// # Errors
//
// Every error names the operation and the path, wraps one of the kinds below
// where [errors.Is] can tell it, and the errno where there is one.
//
// # The seam
//
// All system calls of the protocol go through one [Kernel]. Recorders,
// schedulers, fault injectors and file systems in memory take its place with
// [WithKernel].
//
// # Systems
//
// Linux 5.6 or later. On other systems the package compiles, and [Open] returns
// an error that matches [errors.ErrUnsupported].
package tempdir
