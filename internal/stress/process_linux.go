package stress

import (
	"fmt"
	"io"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// A process is a worker, seen from its parent. The goroutine that drives the
// fleet owns it.
type process struct {
	job
	*proc.Process

	last   step // of its last message
	aim    int  // messages until it is killed; 0: not aimed at
	killed bool // by the parent
	failed bool // it met an error and ends
	ended  bool // in order: its last message was the end
}

// An event is a message of a worker or, if message is nil, its exit, which
// comes after all its messages.
type event struct {
	process *process
	message *message
	err     error // of the exit
}

// start forks a worker for the job. Its events go to the channel until the exit.
func start(j job, events chan<- event) (*process, error) {
	p := &process{job: j, Process: proc.New(workerRole)}
	if err := p.Start(); err != nil {
		return nil, err
	}
	go p.follow(events)
	_ = p.Send(j) // a worker that is gone already shows in its exit
	return p, nil
}

// follow sends the worker's events.
func (p *process) follow(events chan<- event) {
	for {
		m := &message{}
		err := p.Receive(m)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break // a line that a kill has cut off says nothing
		}
		if err != nil {
			events <- event{process: p, message: &message{Step: stepFailed, Text: err.Error()}}
			p.Shoot()
			break
		}
		events <- event{process: p, message: m}
	}
	events <- event{process: p, err: p.Wait()}
}

// name is the worker in a problem's text.
func (p *process) name() string { return fmt.Sprintf("%s %d", p.Role, p.Worker) }
