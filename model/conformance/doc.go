// Package conformance executes the specification on the code: every edge of a
// model's state graph, on a real file system.
//
// [Run] makes logical processes run the real library. Each stops before every
// system call that is the first of an action of the specification, until a
// scheduler lets it go. Walks that together cover every edge of the graph tell
// the scheduler who goes on. After a step an observer looks at the world:
// names, inodes, link counts, open lock files, who holds which lock (fcntl with
// F_OFD_GETLK), files of every tree, and where each process stands; and all of
// that has to be the state that the specification is in. A process has the
// descriptors open that it needs there, and no other. What its caller was told
// is judged: errors by errno and kind, reports of Recover by what happened.
//
// It looks after a step that no walk has taken before, after a failing call and at the
// end of a walk. Between these only calls, answers and refusals show a difference: one
// that takes a certain way to a state, and is gone again at the end of the walk, shows
// with Every of [Options] alone.
//
//   - A crash abandons the logical process where it stands; its descriptors are
//     closed as the kernel would close them: that it does is what stages traces and
//     blackbox see, whose processes are killed.
//   - A failing call is made to fail: each time another call of the step, with
//     another errno.
//   - In every state the actions that the specification disables are tried. Most
//     are refused by where the code stands: it is about to make another call.
//     The others are made, and the kernel has to refuse them without effect.
//
// The scheduler may reorder or drop entries of a directory listing, or add names
// that are gone by now, as the specification allows.
//
// What the code does and the specification does not have is joined to the step
// before or after it; spec/README.md has the table.
//
// A difference is a [Divergence]. It carries a schedule, which [Replay] executes
// again, step by step, with every system call written out.
//
// [Fleet] runs the library beside upstream's code, which is in the same operating
// system process, in another, or in another name space ([Where]); a model says
// only who goes on, and after each step nothing live may be lost.
//
// [ReplayCounterexample] executes the counterexample of a model that must fail
// because of upstream's code, which runs in forked processes (forked.go), because
// POSIX locks belong to an operating system process. The unmodified library takes the
// schedule of every model that must fail (survive.go). A program that does this calls
// [proc.Become] first thing.
package conformance
