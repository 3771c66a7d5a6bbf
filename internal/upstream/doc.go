// Package upstream is a fixture: the protocol of containers/storage v1.65.0,
// packages internal/tempdir and internal/staging_lockfile, as released, written
// anew from a description of its system calls. It makes the same calls in the
// same order, so it loses live data in the same race. Checks run it to show
// that they would see that race, and beside the library in mixed fleets. It is
// for nothing else.
//
// What differs from package tempdir is what spec/Upstream.tla says, action by
// action:
//
//   - the lock file has its name before it has its lock, and is opened a second
//     time, by name and with O_CREAT, to be locked;
//   - nobody compares the locked file with the name afterwards;
//   - recovery opens with O_CREAT, and unlinks by name without a look;
//   - a failed cleanup keeps the lock, a failed recovery unlinks the lock file
//     all the same;
//   - locks are POSIX locks, which belong to the process, with a process-wide
//     table of paths to keep goroutines apart.
//
// [Options] has the two half repairs that were proposed. Each alone still loses
// data, both together do not (model RepairedUpstream) as long as no process both
// creates and recovers (model UpstreamClosesCreated).
package upstream
