// Package powerloss takes the power away under real file systems.
//
// A program runs on a file system of the running kernel, whose disk is a loop device
// on a file that a process of ours serves (FUSE). That process writes a log of every
// write and every flush, and of marks in which the program says what it has told its
// callers. Then every state that the disk can have had when power was lost is made of
// the log, mounted, so that the kernel recovers its journal, and looked at; the
// program's recovery runs, and it is looked at again. Package internal/bench/world says
// what is wrong, with what was acknowledged by then.
//
// # What is counted
//
// An epoch is the writes between two flushes. When power is lost, all earlier epochs are
// on the disk, and any of the writes of the open one. A state is an image that can be left
// so: by every prefix of the log, by an epoch of which one or two writes are kept or lost,
// and by drawn ones. A tree is what is seen in a mounted state, together with what was
// promised at that moment; equal ones are recovered and judged once. A leak is a
// tree with something left in the root, or a layer without a record, that recovery has
// to remove. Content that nobody promised and that is not whole is torn, and no finding.
//
// A shutdown is a power loss that is not replayed: the program runs once for each of its
// changes, and the kernel shuts the file system down before that one (ext4, xfs). What it
// leaves is judged as all is, and is among what replay of the program with the same noise
// leaves ([Replayed]).
//
// The log is that of Linux's dm-log-writes and QEMU's blklogwrites, so logs of other
// kernels can be replayed as well ([ReadLog]).
//
// A write is lost as a whole or, in jobs that are torn, sector by sector, as disks do: of 512
// bytes on xfs, 1,024 on ext4 and 4,096 on btrfs, which cannot be mounted when their super
// blocks are torn. A sector is old or new.
//
// # What a state costs
//
// Not the disk, which is memory: 3.9 ms of the worker's thread (mean of 735 states of the
// three file systems, on a busy machine), of which mounting takes 1.5, two looks at the tree
// 0.7, unmounting 0.6, recovery 0.5, and making the image 0.4; and about half as much of
// other threads: loop devices, and those that a mount starts and stops. One cycle of btrfs waits
// 65 times, 30 of them for such a thread to start or stop; one of ext4 40 times, mostly for
// single blocks; xfs reads its log record by record, 5 times each. A block device that
// needs no thread (zram) would save a sixth of that on btrfs and a tenth on ext4, wants
// sectors of 4 KiB, and stays when its process is killed. A shutdown before unmounting
// saves ext4 a third of its waits, and prints to the console each time, which costs more.
//
// # Which fsyncs are needed
//
// An fsync of the library can be left out of a job; it is named after the function
// that makes it. With --deep, leaving these out is found on each file system: those of a
// save (save.SyncSpare, save.SyncDirectory), of content (Create.SyncContent), and of a
// deletion that is reported as durable (Sync.SyncData of package tempdir); and on btrfs
// alone the one before a store forgets a layer (Sync.SyncData), the one before a new
// layer's record is complete (commit.SyncDirectory), and that of the directory that a
// victim left which is a file (syncSource.SyncData). Of ext4's other modes data=writeback
// needs the same as data=ordered, and data=journal neither those of content nor that of the
// spare: content is in the journal, in order. On none of the three is it found for
// that of rule 11 before the first unlink (removeTree.SyncData), since btrfs commits rename
// and unlinks together or in order, nor for that of a save whose process died
// (makeDurable.SyncDirectory, program takeover), since what follows makes it durable: they
// are needed where a file system promises less (model weak of package crashsim).
//
// It takes root, /dev/fuse, loop devices, and the mkfs of each file system.
package powerloss
