// Package fleet records processes and goroutines that use the library freely,
// while they are killed and calls of theirs fail, and has the record validated.
//
// What can be told without the specification is told at once: a worker looks at
// its own data after every step, so that what is lost, and a commit without all
// of its files, is found also if the calls look like a behaviour.
//
// The seed repeats the choices (what to do, when to kill), not the scheduling of the
// processes, so a failure repeats with some probability; the trace, which is kept,
// can be judged again.
package fleet
