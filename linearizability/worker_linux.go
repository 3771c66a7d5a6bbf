package linearizability

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// workerRole is what a process of [Run] is.
const workerRole = "linearizability worker"

func init() {
	proc.Register(workerRole, func([]string) { proc.Fail(work()) })
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
	store, call, err := f.open(j.Site, j.crashPoint())
	if err != nil {
		return err
	}
	defer store.Close()
	errs := make(chan error, len(j.Program))
	for i, actions := range j.Program {
		file, err := os.OpenFile(j.record(i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
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
	return err
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
