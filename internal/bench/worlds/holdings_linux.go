package worlds

import (
	"fmt"
	"regexp"
	"runtime"

	"golang.org/x/sys/unix"
)

// holdings are what a process has, and a library should give back; peak is how much
// memory it has ever had from the system.
type holdings struct{ descriptors, goroutines, bytes, peak int }

func has() holdings {
	// A collection on several processors is waited for in a loop, and costs ten times as much.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC()
	runtime.GC() // what pools had is free only now
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return holdings{descriptors(), runtime.NumGoroutine(), int(m.HeapAlloc), int(m.Sys)}
}

// A process may keep so many bytes, which package os and the like make once, and take
// so many more from the system, which it does in arenas of 4 MB. Both are the largest
// seen in any world, doubled; no world has more than some thousand names.
const (
	mostKept = 48 << 10
	mostPeak = 8 << 20
)

// othersRun says whether another goroutine runs, or could; the others wait.
func othersRun() bool {
	stacks := make([]byte, 1<<20)
	n := runtime.Stack(stacks, true)
	for n == len(stacks) { // cut off
		stacks = make([]byte, 2*n)
		n = runtime.Stack(stacks, true)
	}
	// The one that asks is the first.
	return regexp.MustCompile(`\n\ngoroutine \d+ [^\n]*\[(running|runnable)`).Match(stacks[:n])
}

// left says what the process has more of than before.
func (a *actor) left(before holdings) (more []string) {
	for a.ctx.Err() == nil && runtime.NumGoroutine() > before.goroutines && othersRun() {
		runtime.Gosched() // one that has nothing left to do may not have ended yet
	}
	now := has()
	if n := now.descriptors - before.descriptors; n > 0 {
		more = append(more, fmt.Sprint(n, " descriptors"))
	}
	if n := now.goroutines - before.goroutines; n > 0 {
		more = append(more, fmt.Sprint(n, " goroutines"))
	}
	if n := now.bytes - before.bytes; n > mostKept {
		more = append(more, fmt.Sprint(n, " bytes"))
	}
	if n := now.peak - before.peak; n > mostPeak {
		more = append(more, fmt.Sprint("for a while ", n, " bytes"))
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		more = append(more, "a process")
	}
	return more
}

// descriptors counts those that are open, without /proc.
func descriptors() (n int) {
	for fd := range 256 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}
