// Package stress runs the library in forked processes that race and die.
//
// [Lifecycle] lays out layers of real files and lets several processes stage
// and clean up under a real store lock while others recover; all of them are
// killed with SIGKILL at random moments and replaced. [Race] runs creators and
// recoverers in tight loops and looks at the data after every step. [Traces]
// records what goroutines and processes do, kills them, and has the record
// validated against the specification.
//
// A worker is the running program once more, see package proc. It gets one job and
// sends messages; the end of its input is the order to end.
//
// The seed repeats the choices (which layer, what to do, when to kill), not the
// scheduling of the processes, so a failure repeats with some probability.
//
// On systems other than Linux the functions return errors that match
// [errors.ErrUnsupported].
package stress
