// Package trace records the system calls of the protocol while goroutines and
// processes run freely, and decides whether what they did is a behaviour of the
// specification.
//
// # Recording
//
// A [Recording] is one file, mapped by every process that takes part. A
// [Recorder] is a [kernel.Hook]: it writes one record before a call and one after
// it. Records are ordered by a ticket, an atomic counter in the mapping; there
// are no clocks, no locks, no sleeps and no allocations. The mapping survives
// SIGKILL, so what a process did until it died is there.
//
// Why the order is right although nothing is atomic with the call itself: the
// ticket of a call is drawn before the call is made and that of a return after
// it returned, so the call took effect somewhere between the two, and two calls
// that did not overlap have their tickets in their order. A process that dies
// between drawing a ticket and ending the record leaves a hole: the last word
// of a record is a checksum of the rest, written last. A hole that was to be a
// call says that the call was not made; one that was to be a return says that
// the call is pending. So a hole can be treated as never written. A process can
// leave one; more holes than that, or others, are undecided.
//
// The ticket is also the place of the record. When the mapping is full it is so
// for everybody: what is recorded is the beginning of the run, whole, and the
// rest is counted.
//
// # Validation
//
// [Validate] splits a trace by id. Each part is replayed on the transition table
// of package model: one id, its creator, up to three recoverers at a time. A
// call takes effect at one point between its two tickets; a pending call of a
// process that was killed has taken effect or not; the death of a process frees
// its locks somewhere between its last record and the record that it was reaped.
// The validator keeps the set of all states that the calls so far allow, and
// lets calls take effect only when a return says that one must have (just in
// time linearization). An empty set means that no interleaving is a behaviour.
//
// There are three verdicts: valid, invalid and undecided. A trace with more
// processes on one id or larger trees than the model has is undecided, and so is
// one that needs more states than the budget, or calls the protocol with names
// that have no id.
package trace
