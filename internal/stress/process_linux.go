package stress

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// A process is a worker, seen from its parent. The goroutine that drives the
// fleet owns it.
type process struct {
	job
	cmd    *exec.Cmd
	stdin  io.WriteCloser // closing it is the order to end
	stderr bytes.Buffer   // complete when the exit event has come

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
	err     error // of the exit, or of a message that makes no sense
}

// start forks a worker for the job. Its events go to the channel until the exit.
//
// The worker is the leader of its own process group, so that an interrupt on
// the terminal reaches the parent only, and the kernel kills it when the thread
// that started it ends. The Go runtime ends no thread that no goroutine is
// locked to, so that is when the parent ends.
func start(j job, events chan<- event) (*process, error) {
	order, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	p := &process{job: j}
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Args = os.Args[:1] // for process listings and owner records
	p.cmd.Env = append(os.Environ(), workerVariable+"=1")
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.stdin, err = p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	go p.follow(stdout, events)
	// A worker that is gone already shows in its exit.
	_, _ = p.stdin.Write(append(order, '\n'))
	return p, nil
}

// follow sends the worker's events.
func (p *process) follow(stdout io.Reader, events chan<- event) {
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break // a line that a kill has cut off says nothing
		}
		m := &message{}
		if err := json.Unmarshal(line, m); err != nil {
			m = &message{Step: stepFailed, Text: fmt.Sprintf("no message: %.200q", line)}
		}
		events <- event{process: p, message: m}
	}
	err := p.cmd.Wait()
	events <- event{process: p, err: err}
}

// kill sends SIGKILL; the exit event follows. To a worker that has ended it
// does nothing.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// name is the worker in a problem's text.
func (p *process) name() string { return fmt.Sprintf("%s %d", p.Role, p.Worker) }

// wasKilled reports whether SIGKILL ended the process.
func (p *process) wasKilled() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
