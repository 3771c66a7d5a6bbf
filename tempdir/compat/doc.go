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
// below, "upstream" and "there". Numbers such as F7 are those of the project's
// list of their flaws.
//
// # Differences, each a fix
//
// The lock protocol:
//
//   - A lock file has its lock before it has its name. There it is visible and
//     unlocked for a moment, and a recoverer takes a lock that is being born (F4).
//   - Whoever takes a lock rechecks that the name is still the file it locked,
//     and recovery never creates by opening. There a process can hold the lock
//     of a file without a name, and others remove its data, also after it was
//     committed (F1, F2).
//   - A lock file is unlinked only after the same recheck. There it is unlinked
//     by path, whosever it is (F3). If a stranger has the name, UnlockAndDelete
//     and Cleanup fail with [tempdir.ErrInstanceGone] and leave it alone. If
//     nothing has the name, UnlockAndDelete succeeds as there: callers remove
//     the directory that the lock file is in.
//   - There is no process-wide table of locks. Two names of one root, or two
//     copies of the package in one process, exclude each other; there they
//     destroy each other's data (F11, F12).
//   - Ids are 128 random bits as hexadecimal text, never reused, and the lock
//     file of an instance says who made it. There an id is 32 bits (F14).
//   - The data directory must be new. There one that exists is accepted (F19).
//
// Failures:
//
//   - A lock that cannot be made fails once, and leaves one lock file at most.
//     There it is tried 1000 times and leaves 1001 files (F5). If the data
//     directory cannot be made, the lock file goes too and the lock is free;
//     there both stay until the process ends (F6).
//   - Cleanup that cannot remove the data releases the lock and leaves both
//     names, so that any process can finish the job. There the lock stays held
//     until the process ends (F7). The failure is reported once: the instance
//     is not this caller's any more, and later calls return nil.
//   - Recovery that cannot remove an instance leaves both its names, goes on
//     with the others and is no error of [RecoverStaleDirs], only a warning in
//     [log/slog]; [RecoverStaleDirsReport] returns it. There the lock file is
//     deleted, the data stays, and every command fails because the store fails
//     to load (F8).
//   - "The lock is held" ([tempdir.ErrHeld]) and "the lock cannot be tried" are
//     different. There any failure means held, and recovery says nothing of an
//     instance that it can never lock (F9).
//   - fs.ErrNotExist from StageDeletion says that the victim is gone. That the
//     own data directory is gone is [tempdir.ErrInstanceGone], also from
//     Cleanup; there it looks the same, is taken for "already deleted", and the
//     layer stays on disk without metadata (F13).
//   - UnlockAndDelete twice, or of a zero value, is [tempdir.ErrClosed]. There
//     it panics, which ends the engine when it prunes its staging directories
//     while a pull fails. A nil or a zero TempDir can be cleaned up (F28), and
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
//     file is removed at once (F10).
//   - Names that are not exactly "lock-" or "temp-dir-" and an id, and things of
//     another type, are foreign and stay. There every name that begins so is
//     removed (F15). A symbolic link, a directory, a fifo, or a file with two
//     names in place of a lock file is refused and not touched.
//   - Removal stops at mounts and reports them; it unmounts nothing. There it
//     empties bind mounts before it unmounts them, and unmounts those of live
//     instances whose name begins alike (F33, F34). It does not fail on
//     directories of mode 0000, on names that appear meanwhile, or on deep
//     trees (F36, F37, F38). Immutable files are reported by name.
//   - Renames are durable before the first unlink, on file systems that do not
//     order that by themselves (F17).
//
// Staging:
//
//   - Names of entries keep at most 48 bytes of the victim's name, with '_' for
//     every byte that a terminal or a shell could misread, so that a victim
//     with 255 bytes can be staged (F16). Nothing is decided from them.
//   - StageDeletion and Commit never replace an existing name: Commit onto an
//     empty directory, or onto a file, fails with fs.ErrExist (F18). A file
//     system that cannot rename so is refused: [errors.ErrUnsupported].
//   - A path that is a lock file or a data directory of the same root is no
//     victim and no destination.
//   - TempDir and StagedAddition.Path do not depend on the working directory
//     when they are used; Path is absolute, with the root's own symbolic link
//     resolved. RootDir is as given.
//
// Errors are [*tempdir.Error] and [*tempdir.LeftoverError], which name
// operation and path, instead of *os.LinkError: match them with [errors.Is];
// os.IsNotExist and os.IsExist do not look into them.
//
// # Not fixed by an import path
//
// RecoverStaleDirs takes as long as the removal takes; upstream calls it, and
// some of its cleanups, under the store lock (F20, F27). The older staging
// directories of partial pulls have their lock file inside, made after the
// directory (F32): their pruner can remove one that is being made, and the pull
// then fails, with an error. An upstream process that holds the lock of a file
// without a name unlinks by path, so a name that is used again for another lock
// file is not safe from it; ids are never used again. Two instances a layer are
// two lock files (F26). Deletion needs an inode on a full disk (F22).
//
// # Systems
//
// Linux 5.6 or later. On other systems the package compiles, and everything
// that would touch a file system returns [errors.ErrUnsupported].
package compat
