// Package layerstore is a small layer store that deletes after its lock is
// dropped: the reference client of package tempdir, for engines to measure and
// to copy from.
//
// Processes share a store by its directory. Layers have parents, content from a
// tar stream or a directory, and one of three on-disk layouts.
//
//	store, err := layerstore.Open("/var/lib/store", layerstore.Make(0o700))
//	...
//	_, err = store.Create(ctx, layerstore.Layer{ID: "base"}, layerstore.Tar(stream))
//	...
//	deletion, err := store.Delete(ctx, "app", "base") // nil: the data is gone
//
// # On disk
//
//	store/
//	  store.lock               the store lock, claims, a token that tells saves apart, a mark
//	  layers.json              the metadata
//	  layers.json.spare        what it was before; the next save writes here
//	  tempdirs/                the root of package tempdir: beside the layers, not among them
//	  vfs/dir/<id>/            layout vfs: the files, with those of the parents
//	  overlay/<id>/diff/       layout overlay: the files of this layer alone
//	  overlay/<id>/link        its short name
//	  overlay/<id>/lower       the short names of its parents, nearest first
//	  overlay/l/<short>        symbolic link to ../<id>/diff
//	  direct/dir/<id>/         layout direct: as vfs, deleted under the lock
//
// An [ImageStore] has tempdirs and the layouts as well, on a file system of its
// own, and no metadata. Further image stores that are shared and only read are
// Stores of their own: each can be opened on a read-only file system, and a layer's
// parents are looked for in its own store alone.
//
// # Order of steps
//
// The specification is spec/LayerStore.tla; the names are its actions.
//
//	Create: build the content in an instance (no lock);
//	        TakeStoreLock, Flag, Commit, Complete, DropStoreLock
//	Delete: make one instance a graph root (no lock);
//	        TakeStoreLock, Flag, Stage, Forget, DropStoreLock; Remove
//	Load:   TakeStoreLock, FinishFlagged, Forget, DropStoreLock; Remove
//	others: TakeStoreLock, FinishFlagged, Forget, DropStoreLock; Release
//
// A record carries the incomplete flag from before the first file moves until
// after the last one did. A flagged layer is not listed and cannot be read; its
// id is not free either. The next operation that takes the store lock for
// writing moves it aside first, and gives it up to recovery: an operation removes
// nothing that others left, so nobody pays for them. What cannot be moved is left
// to [Store.Load], [Store.Recover] and [Store.Maintain], or to a [Store.Create]
// of its id. So a deletion takes effect when its flag is saved and an addition when
// its flag is gone; a crash leaves a layer whole, or flagged.
//
// Nothing is removed under the store lock, neither by operations nor by
// recovery. The exceptions have names: the layout direct, which is there to
// compare with. No recovery fails an operation of somebody else.
//
// # Locks
//
// The store lock and the claims are open file description locks on byte ranges
// of store.lock, one descriptor for each operation, so that goroutines and processes
// exclude each other alike and a kill frees everything. Readers share it, and need
// no permission to write to it; on a read-only file system without the file they
// read without a lock. The file is unlinked by nobody but an [Open] that fails to
// make a store; a process that takes the lock looks whether it still has its name.
//
// Readers that never stop coming, each before the last one leaves, keep a writer
// waiting: the kernel has no queue. One was built and taken back: a byte of the
// lock file that a waiting writer holds and that readers wait for, at the cost of
// a seventh system call a read. With it a read inside the function that
// [Store.Read] calls, or in a program that the function waits for, waits for the
// writer, and the writer for it, for ever. Callers that read all the time should
// leave a pause between reads.
//
// A caller whose context can be done asks for the lock again and again, up to every
// 10 ms, because nothing can call back a thread that waits in the kernel; one whose
// context cannot (context.Background) waits there, and is served first. Where a
// daemon of the second kind writes all the time, commands of the first kind can
// starve: give both a context that can be done.
//
// # Full disks and other file systems
//
// A deletion needs an inode or two and a block for its instance. Where there is
// none, where a layer lies behind another mount than its root, and whatever else
// keeps it from being moved aside, the layer is removed where it is: flagged, after
// the lock was dropped, claimed against others who would do the same, and forgotten
// when it is gone; [Deletion] says so. What cannot be removed either stays flagged;
// when the obstacle is gone, or with [ClearFlags] where a flag was it, the next
// recovery finishes. Only a mount is never touched.
//
// Saving needs neither block nor inode: the metadata is padded, written over
// the spare, and exchanged with it. btrfs does that for files that it does not
// copy on write, as these are from the start; not after a snapshot of them, nor
// where they come from a copy of the store. A file system that refuses to write over
// what is written already, such as a btrfs with less quota than is used, refuses
// deletions too.
//
// Where the exchange itself is refused (a btrfs without room for metadata, a
// quota, a file system that cannot), a save takes effect by a mark in the lock
// file, which says that the spare is the metadata until layers.json has been
// written over in place; readers obey it. A crash at any moment, or power loss,
// leaves the old metadata or the new. Programs that read layers.json without this
// package have to look at the mark too: byte 16 of store.lock is 1 while
// layers.json.spare is to be read.
//
// # Durability
//
// A save is durable when it returns: fsync of the file, renameat2, fsync of the
// directory, or those of the mark. The flag is therefore durable before anything
// moves. Where the file system does not order renames and unlinks, the instance is
// synced before the record goes, and so is the directory of what was removed in
// place; and the directories that a new layer is moved into before its flag goes
// (spec/README.md, "Durability": flag, record; data is package tempdir's).
// Content is durable when [Store.Create] returns only with [Sync]; without it,
// power loss can leave a recorded layer with empty files, as with most engines.
//
// # Layers in use
//
// [Store.Delete] refuses a layer that is mounted, by count or by what the kernel's
// table of mounts proves, see there. Descriptors are no mounts: a process that holds
// some in a layer that is deleted, to read or to reflink from, keeps what they refer
// to for as long as it holds them. A removal unlinks, and never truncates.
//
// # Older versions
//
// A program that knows the layouts but not this package's root leaves the root
// alone, because it is beside the directories it collects garbage in. It deletes
// in place, which is a flagged layer with files missing if it crashes; recovery
// finishes that. Layers without a record are reported and never touched.
//
// # Errors
//
// Every error is an [*Error], or several joined, and says by [EffectOf] whether
// the operation surely did not happen, surely did, or may have.
//
// # Systems
//
// Linux, as for package tempdir. Deleting needs /proc, or Linux 6.8, to see what is
// mounted, or [CountsOnly]. On other systems the package compiles, and [Open] returns
// an error that matches [errors.ErrUnsupported].
package layerstore
