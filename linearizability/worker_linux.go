package linearizability

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// workerVariable marks the environment of a process that is a worker.
const workerVariable = "AFTERLOCK_LINEARIZABILITY_WORKER"

// BecomeWorker does not return in a process that was started as a worker of
// [Run]: it does its job and exits. In every other process it does nothing.
// Call it first thing in main, and in the TestMain of every package that records
// histories.
func BecomeWorker() {
	if os.Getenv(workerVariable) == "" {
		return
	}
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(2)
	}
	os.Exit(0)
}

// A job is what a worker has to do: the one line on its standard input.
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

// ready is what a worker sends once it has its job.
const ready = "ready\n"

func work(in io.Reader, out io.Writer) error {
	var j job
	line, err := bufio.NewReader(in).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &j)
	}
	if err != nil {
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
	if _, err := io.WriteString(out, ready); err != nil {
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
