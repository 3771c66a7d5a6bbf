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

// newLauncher starts the thread, on the processor, and returns its listener. What
// is mounted under it is mounted there only, if that is wanted and allowed.
func newLauncher(v view, processor int, ownMounts bool) (l *launcher, listener int, err error) {
	l = &launcher{requests: make(chan launch), results: make(chan launched, 1)}
	type ready struct {
		listener int
		err      error
	}
	installed := make(chan ready)
	go onOwnThread(func() {
		l.tid = unix.Gettid()
		pin(processor)
		if ownMounts && unix.Unshare(unix.CLONE_NEWNS) == nil {
			_ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
		}
		listener, err := install(v)
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
				// A signal from the terminal is for the supervisor alone: a process
				// that it kills while one waits for its next stop would be waited for.
				Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true},
			})
			l.results <- launched{pid, err}
			_ = unix.Close(startedSignal)
		}
	})
	r := <-installed
	return l, r.listener, r.err
}

// onOwnThread does it on a thread that nobody else gets and that ends with it. The main
// thread would not end: what is mounted there would stay mounted, and what it has started
// would live, as long as this process.
func onOwnThread(do func()) {
	runtime.LockOSThread() // and never unlocked, but on the main thread
	if unix.Gettid() != unix.Getpid() {
		do()
		return
	}
	begun := make(chan struct{})
	go onOwnThread(func() { // on another one: this goroutine has the main thread until then
		close(begun)
		do()
	})
	<-begun
	runtime.UnlockOSThread()
}
