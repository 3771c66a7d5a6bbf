// Package compat has the exported names, the behaviour and the names on disk of
// containers/storage's internal/tempdir and internal/staging_lockfile, on top
// of package tempdir. A store adopts it by changing two import paths to one:
//
//	tempdir          "github.com/afterlock/afterlock/tempdir/compat"
//	staging_lockfile "github.com/afterlock/afterlock/tempdir/compat"
//
// Processes that did not change yet may share its roots: [tempdir.MixedFleet]
// is on, with a minute and a day. They can neither take an instance of this
// package nor lose one to it, within the limits that are said there; they can
// still harm each other.
//
// The packages that it stands in for are those of go.podman.io/storage v1.65.0:
// below, "upstream" and "there". docs/adoption.md in the repository says what
// changing the import paths buys a store, and what it does not.
//
// # Differences, each a fix
//
// The lock protocol:
//
//   - A lock file has its lock before it has its name. There it is visible and
//     unlocked for a moment, and a recoverer takes a lock that is being born.
//   - A process that takes a lock rechecks that the name is still the file it
//     locked, and recovery never creates by opening. There a process can hold the lock
//     of a file without a name, and others remove its data, also after it was
//     committed.
//   - A lock file is unlinked only after the same recheck. There it is unlinked
//     by path, whosever it is. If a stranger has the name, UnlockAndDelete
//     and Cleanup fail with [tempdir.ErrInstanceGone] and leave it alone. If
//     nothing has the name, UnlockAndDelete succeeds as there: callers remove
//     the directory that the lock file is in.
//   - There is no process-wide table of locks. Two names of one root, or two
//     copies of this package in one process, exclude each other; there they
//     destroy each other's data.
//   - Upstream may live in the same process, for example in a program that has
//     both module paths of the storage library. Its locks are dropped when the
//     process closes any descriptor of the lock file, so a descriptor of a file
//     that this very process has locked in that way is kept open, one for each
//     lock file, until the lock is gone. What others in that process open and
//     close, such as a tool that copies the root, is not seen.
//   - Ids are 128 random bits as hexadecimal text, never reused, and the lock
//     file of an instance says who made it. There an id is 32 bits.
//   - The data directory must be new. There one that exists is accepted.
//
// Failures:
//
//   - A lock that cannot be made fails once, and leaves one lock file at most.
//     There it is tried 1000 times and leaves 1001 files. If the data
//     directory cannot be made, the lock file goes too and the lock is free;
//     there both stay until the process ends.
//   - Cleanup that cannot remove the data releases the lock and leaves both
//     names, so that any process can finish the job. There the lock stays held
//     until the process ends. The failure is reported once: the instance
//     is not this caller's any more, and later calls return nil.
//   - Recovery that cannot remove an instance leaves both its names, goes on
//     with the others and is no error of [RecoverStaleDirs]: it is reported
//     to [Warn]; [RecoverStaleDirsReport] returns it. There the lock file is
//     deleted, the data stays, and every command fails because the store fails
//     to load.
//   - "The lock is held" ([tempdir.ErrHeld]) and "the lock cannot be tried" are
//     different. There any failure means held, and recovery says nothing of an
//     instance that it can never lock. Here that is a warning, except for the
//     lock file of another user that may not be opened ([tempdir.Denied]).
//   - fs.ErrNotExist from StageDeletion says that the victim is gone. That the
//     own data directory is gone is [tempdir.ErrInstanceGone], also from
//     Cleanup; there it looks the same, is taken for "already deleted", and the
//     layer stays on disk without metadata.
//   - UnlockAndDelete twice, or of a zero value, is [tempdir.ErrClosed]. There
//     it panics, which ends the engine when it prunes its staging directories
//     while a pull fails. A nil or a zero TempDir can be cleaned up, and
//     staging in it fails.
//   - A Commit that failed leaves Path as it is and may be repeated. There Path
//     is cleared and the content cannot be reached any more. Commit after
//     Cleanup, and a second Commit, are [tempdir.ErrClosed] and
//     [tempdir.ErrCommitted], not "no such file".
//
// What is removed:
//
//   - A lock file without data that is younger than a minute, and data without
//     a lock file that is younger than a day, stay: an upstream process may be
//     about to use the one and be using the other. There data without a lock
//     file is removed at once; here it takes its space for a day, and
//     "afterlock recover" can remove it earlier.
//   - Names that are not exactly "lock-" or "temp-dir-" and an id, and things of
//     another type, are foreign and stay. There every name that begins so is
//     removed. A symbolic link, a directory, a fifo, or a file with two
//     names in place of a lock file is refused and not touched.
//   - Mounts that were left inside an instance are detached ([tempdir.DetachMounts])
//     before anything below them is touched, and only inside an instance whose
//     lock is held and rechecked. There they are emptied first, through bind
//     mounts too, unmounted if that failed, and mounts of live instances go with
//     them whose name begins alike. A mount that may not be detached is reported
//     and left; so is one that is hidden under a later mount of a directory above
//     it, such as the driver's mount of its home upon itself. Mounts in other
//     mount namespaces cannot be seen; the kernel detaches them.
//   - Removal does not fail on directories of mode 0000, on names that appear
//     meanwhile, or on deep trees. Immutable files are reported by name; there
//     they make every command fail.
//   - Renames are durable before the first unlink, on file systems that do not
//     order that by themselves.
//
// Staging:
//
//   - Names of entries keep at most 48 bytes of the victim's name, with '_' for
//     every byte but letters, digits, blanks and ".-_", so that a victim
//     with 255 bytes can be staged. Nothing is decided from them.
//   - StageDeletion and Commit never replace an existing name: Commit onto an
//     empty directory, or onto a file, fails with fs.ErrExist; see
//     [tempdir.Addition.Commit] for file systems that cannot rename so.
//   - A path that is a lock file or a data directory of the same root is no
//     victim and no destination.
//   - TempDir and StagedAddition.Path do not depend on the working directory
//     when they are used; Path is absolute, with the root's own symbolic link
//     resolved. RootDir is as given.
//
// # Errors and warnings
//
// Errors are [*tempdir.Error] and [*tempdir.LeftoverError], which name
// operation, path and reason, instead of *os.LinkError and text: match them with
// [errors.Is]; os.IsNotExist and os.IsExist do not look into them. A caller that
// compares texts meets these:
//
//	there                                             here
//	failed to acquire lock on "P": <errno>            failed to acquire lock on "P": try lock P: the lock is held
//	lock "P" is used already with other thread        the same
//	failed to allocate lock in "D" after 1000 …       create lock P: <errno>
//	creating root temp directory failed: …            open root P: <errno>
//	creating temp directory failed: …                 create P: <errno>
//	removing temp dir failed: …                       close P: data left behind: …
//	error removing stale temp dir: …                  recover P: data left behind: … (a warning)
//	temp dir instance not initialized or already …    stage deletion P: already closed
//	rename A B: …                                     stage deletion A: <kind>: <errno>
//	calling Unlock on unlocked lock (a panic)         delete lock P: already closed
//
// Upstream logs through logrus, with the level of the store. Here the only
// warning goes to [Warn], which is log/slog's default logger unless the store
// puts its own in its place.
//
// A root that every user may write is opened ([tempdir.AllowOthers]), as there.
//
// # Not fixed by an import path
//
// RecoverStaleDirs takes as long as the removal takes; upstream calls it, and
// some of its cleanups, under the store lock. The older staging directories of
// partial pulls have their lock file inside, made after the directory: their
// pruner can remove one that is being made, and the pull then fails, with an
// error. An upstream process that holds the lock of a file without a name unlinks
// by path, so a name that is used again for another lock file is not safe from it; ids are never used again. Two instances for each
// layer are two lock files. Deletion needs an inode on a full disk.
//
// Nothing depends on a shutdown: a process that ends without Cleanup leaves
// stale instances, and the next one that loads the store removes them.
//
// # Systems
//
// Linux, as package tempdir says. Where the kernel or a sandbox lacks what a root
// needs, RecoverStaleDirs warns and the store loads; NewTempDir fails.
//
// On other systems a store loads and works, with portable code in the place of
// package tempdir: the same names on disk, lock files that are locked and
// rechecked right after they get their name, recovery that never creates by
// opening, and warnings instead of errors. What is lost there:
//
//   - Commit looks whether the destination exists before it renames what is not
//     a regular file: what appears there in between is replaced if it is an empty
//     directory and the addition is a directory, or if neither is one. A regular
//     file is linked, which never replaces, where the file system has links.
//   - Removal goes by package os: deep trees need descriptors, mounts are known by
//     their device number, never detached, and whatever they hide stays; file
//     flags are cleared on the BSDs, as upstream does on FreeBSD.
//   - The age of what may be young is that of its modification alone.
//   - Renames are synced before the first unlink, where the system lets a
//     directory be synced; if it does not, power loss can leave half a layer.
//   - An instance cannot be released or listed, and its lock file does not say
//     who made it.
//
// FreeBSD, macOS, NetBSD, OpenBSD and DragonFly lock with flock, which excludes
// upstream's locks too. On the others, Windows among them, the standard library
// has no lock that tells live from stale. So nothing is recovered there, with a
// warning for every instance, TryLockPath of a file that exists is
// [errors.ErrUnsupported], and roots must not be shared with upstream. This code
// is tested on Linux, where tests put it in the place of the other.
package compat
