//go:build amd64 || arm64

package blackbox

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A launcher is a thread of this process that is under the filter and starts
// the processes, which inherit it. The filter belongs to the thread, so the rest
// of this process is free: the Go runtime does not make new threads from one
// that a goroutine is locked to.
//
// Starting a process closes descriptors, so the launcher itself stops at calls
// of the filter. Its supervisor has to let it go on while it starts something.
type launcher struct {
	tid      int
	requests chan launch
	results  chan launched
}

// A launch is a program to start.
type launch struct {
	argv  []string
	env   []string
	files []uintptr
}

// launched is how that went.
type launched struct {
	pid int
	err error
}

// startedSignal is no descriptor. The launcher closes it to tell its supervisor,
// in the order of all other stops, that a start has ended.
const startedSignal = 0x7ffffffe

// newLauncher starts the thread and returns its listener. Processes that it
// starts run on the one processor.
func newLauncher(cpu int) (l *launcher, listener int, err error) {
	l = &launcher{requests: make(chan launch), results: make(chan launched, 1)}
	type ready struct {
		listener int
		err      error
	}
	installed := make(chan ready)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nobody else
		// gets it.
		runtime.LockOSThread()
		l.tid = unix.Gettid()
		pin(cpu)
		listener, err := install()
		installed <- ready{listener, err}
		if err != nil {
			return
		}
		for request := range l.requests {
			if request.argv == nil { // only to stop, see supervisor.watch
				_ = unix.Close(startedSignal)
				return
			}
			// Not os.StartProcess, which looks around for process descriptors
			// first. The kernel kills the children when this thread ends, so
			// none outlives its supervisor.
			pid, err := syscall.ForkExec(request.argv[0], request.argv, &syscall.ProcAttr{
				Env: request.env, Files: request.files,
				Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
			})
			l.results <- launched{pid, err}
			_ = unix.Close(startedSignal)
		}
	}()
	r := <-installed
	return l, r.listener, r.err
}

// pin keeps the calling thread, and what it starts, on one processor. A stop is
// a switch to the supervisor and one back, which costs several times as much if
// another processor has to be woken for it. Where it does not work it is slower
// and no more.
func pin(cpu int) {
	if cpu < 0 {
		return
	}
	var set unix.CPUSet
	set.Set(cpu)
	_ = unix.SchedSetaffinity(0, &set)
}

// processors are those that this process may use.
func processors() (cpus []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}
