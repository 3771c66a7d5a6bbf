package linearizability

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
)

// workerRole is what a process of [Run] is.
const workerRole = "linearizability worker"

func init() {
	proc.Begin(map[string]func([]string){workerRole: func([]string) { proc.Fail(work()) }})
}

// A job is what a worker has to do: what its parent sends.
type job struct {
	Process int     `json:"process"`
	Scene   string  `json:"scene"` // its directory
	Site    site    `json:"site"`
	Program Program `json:"program"`
	Crash   int64   `json:"crash,omitempty"` // kills itself before this call of the store, from 1
	At      string  `json:"at,omitempty"`    // counts only calls of this name
	Fault   string  `json:"fault,omitempty"`
}

// record is the file that a client of the process writes its lines to.
func (j *job) record(goroutine int) string {
	return filepath.Join(j.Scene, fmt.Sprintf("record-%d.%d", j.Process, goroutine))
}

// crashNote is the file that says where the process killed itself.
func (j *job) crashNote() string { return filepath.Join(j.Scene, fmt.Sprintf("crash-%d", j.Process)) }

func work() error {
	var j job
	if err := proc.Parent.Receive(&j); err != nil {
		return fmt.Errorf("no job: %w", err)
	}
	before, err := proc.OpenDescriptors()
	if err != nil {
		return err
	}
	counter, err := openTickets(filepath.Join(j.Scene, "tickets"), false)
	if err != nil {
		return err
	}
	f, known := faults[j.Fault]
	if j.Fault != "" && !known {
		return fmt.Errorf("no such fault: %q", j.Fault)
	}
	if err := proc.Parent.Say("ready"); err != nil {
		return err
	}
	end, err := j.perform(f, counter)
	if err != nil {
		return err
	}
	if end.Leaked, err = before.Leaked(); err != nil {
		return err
	}
	return proc.Parent.Send(end)
}

// An ending is what a worker says when it has done its job: if it is not killed.
type ending struct {
	Held   int64    // how often it had the store lock exclusively
	Under  int64    // removals under it
	Leaked []string // descriptors
}

// perform lets the clients of the process do what the program says.
func (j *job) perform(f fault, counter *tickets) (end ending, err error) {
	h, outer := &holds{}, f.disk
	f.disk = func(d kernel.Disk, dir string) kernel.Disk {
		if outer != nil {
			d = outer(d, dir)
		}
		return h.around(d)
	}
	crash := j.crashPoint()
	store, call, err := f.open(j.Site, func(name string) error {
		h.call(name)
		return crash(name)
	})
	if err != nil {
		return end, err
	}
	defer store.Close()
	errs := make(chan error, len(j.Program))
	for i, actions := range j.Program {
		file, err := os.OpenFile(j.record(i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return end, err
		}
		defer file.Close()
		go func() {
			r := &recorder{client: Client{j.Process, i}, tickets: counter, out: file, do: call}
			errs <- r.performAll(context.Background(), actions)
		}()
	}
	for range j.Program {
		if e := <-errs; e != nil {
			err = e
		}
	}
	if len(j.Program) == 1 { // of several, nobody knows which of them had the lock
		end.Held, end.Under = h.count.Load(), h.under.Load()
	}
	return end, err
}

// crashPoint returns a hook that kills the process before one of its calls.
func (j *job) crashPoint() func(call string) error {
	var calls atomic.Int64
	return func(call string) error {
		if j.At != "" && j.At != call {
			return nil
		}
		if n := calls.Add(1); n == j.Crash {
			_ = os.WriteFile(j.crashNote(), fmt.Appendf(nil, "before %s, call %d", call, n), 0o600)
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // the signal comes
		}
		return nil
	}
}
