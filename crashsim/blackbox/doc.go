// Package blackbox crashes, starves and schedules real processes of unmodified
// programs, from outside: the afterlock command as it is shipped, and small
// drivers that are in the same file (package drivers), so that an installed command
// runs all of it. It needs no seam, so it also sees a call that bypasses it.
//
// # The supervisor
//
// A thread of this process takes a seccomp filter that stops every system call
// which changes files, takes or drops locks, or looks where the protocol looks
// (layouts), and starts the programs, which inherit the filter through fork and
// exec. The kernel then asks here before each of those calls (seccomp user
// notification, see seccomp_unotify(2)): it may go on, fail with an errno, or
// never happen because the process is killed. At any time all processes but one
// are stopped, so a schedule is a string of letters, and the disk does not change
// while it is looked at. It works without privileges.
//
// The filter is assembled by golang.org/x/net/bpf from named instructions and
// the constants of golang.org/x/sys/unix. The bindings of libseccomp need cgo
// and a library that a fresh machine lacks; package bpf is kept by the Go
// project, assembles and checks jumps, and has a virtual machine in which the
// tests run the filter.
//
// # What is counted
//
// A crash point is a process that is stopped before a call that would change
// the disk. What is on disk then is what SIGKILL there leaves: the kernel closes
// descriptors, which frees locks, and nothing else. So one run of a program
// yields all its crash points: at each the disk is copied, with new inodes, and
// another process recovers the copy. That this is what a kill leaves is not
// taken on trust: every call of every program, in a layer store every mutating
// one, is also the last one before a real SIGKILL, and the disk is compared with
// the copy.
//
// A recovery is a program too. From every different state of the disk that a
// crash has left, a recovery runs under the supervisor, and each of its crash
// points gives states again, until there are none that are new: any number of
// crashes in a row, in a root. In a layer store there are two in a row, deep
// three: each recovery that moves something aside can leave an instance more. The
// recovery is killed for real as well, at each of its mutating calls from each
// state that the program left, or of a store from some.
//
// Two states are the same if they differ in ids and in the owner records of
// lock files only or, of a layer store, in short names, times and tokens.
//
// # The layer store
//
// What a layer store has on disk is judged from its documentation, without its
// code: every listed layer is whole with all its parts, everything else has a
// record with a flag or is in an instance, and a recovery changes nothing about
// which layers there are. An error says its effect, and that is what the disk
// shows.
//
// In deletegroup several goroutines of one handle delete at once, and their saves are
// one: the driver holds the first of them up until all are in the line, by the context
// that each is given, so that a run makes the same calls again.
//
// A process that would wait for a lock does not run until the lock is free, which
// the supervisor asks the kernel (F_OFD_GETLK).
//
// # Limits
//
// A call is stopped before it is made, by a filter on its number and arguments:
// what a process writes through a shared mapping is not seen. io_uring, which
// could bypass the filter, is refused, a call of another table (32 bits) ends the
// process, and a program that starts another one is reported, unless a [Steering]
// runs it. Errors are not injected into close, which on Linux closes whatever it
// answers. Programs are run one call at a time, so races between calls are explored
// and races within the kernel are not. Some of the Go runtime's own business is switched off by GODEBUG,
// so that a run makes the same calls again, which is checked.
package blackbox
