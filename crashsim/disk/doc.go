// Package disk is a file system in memory behind [kernel.Kernel], for running
// the library where every crash can be tried.
//
// A [Disk] has directories and files, inodes with link counts and numbers that
// are used again, open file descriptions with their locks, and unnamed files, and
// answers every call with the errno that Linux answers on tmpfs; a test runs
// random programs on both and compares. Every [Process] has its own descriptors.
// Killing one closes them, which frees its locks and changes no name.
//
// A Disk keeps a journal of the changes that its names went through. What power
// loss leaves of them is the business of a [Durability]: three models, with the
// names and the meaning that they have in spec/PowerLoss.tla. [Log] enumerates
// the sets of changes that may survive together, and [Disk.Redo] makes the tree
// that a set leaves.
//
// Left out, because no scenario has them: permissions, flags, links, mounts and
// what else is in the way of a removal (the library's tests have all of that on
// real file systems), times, and errors of devices.
package disk
