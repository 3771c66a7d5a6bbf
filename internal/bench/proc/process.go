package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
)

// A Process is this program once more, in a role. One goroutine uses it, or one
// that sends and one that receives.
type Process struct {
	*exec.Cmd // can be changed before the start; input and output are the pipe's
	Pipe

	input, output *os.File
	stderr        bytes.Buffer
	reap          sync.Once
	ended         error
}

// New prepares a process in the role.
func New(role string, arguments ...string) *Process {
	cmd := exec.Command(executable(), arguments...)
	cmd.Args[0] = os.Args[0] // for process listings and owner records
	cmd.Env = append(os.Environ(), Variable+"="+role)
	return &Process{Cmd: cmd}
}

// Start starts it. The process ends when this one does, however that ends, and an
// interrupt on the terminal is for this one alone. It takes as long as fork and
// exec, a few milliseconds. After an error nothing runs and nothing is open.
func (p *Process) Start() error {
	childInput, input, err := pipe()
	if err != nil {
		return err
	}
	output, childOutput, err := pipe()
	if err != nil {
		childInput.Close()
		input.Close()
		return err
	}
	p.input, p.output = input, output
	p.Pipe = Pipe{bufio.NewReader(output), input}
	p.Stdin, p.Stdout = childInput, childOutput
	if p.Stderr == nil {
		p.Stderr = &p.stderr
	}
	err = startTied(p.Cmd)
	childInput.Close()
	childOutput.Close()
	if err != nil {
		p.close()
		return fmt.Errorf("start a process: %w", err)
	}
	return nil
}

func (p *Process) close() {
	p.input.Close()
	p.output.Close()
}

// Shut closes the input of the process, which most roles take as the order to end.
func (p *Process) Shut() { p.input.Close() }

// Wait waits for the end of the process: what it had open and locked is not any
// more. The error is as for [exec.Cmd.Wait], with what the process has written to
// standard error. It can be called several times, by one goroutine at a time.
func (p *Process) Wait() error {
	p.reap.Do(func() {
		if p.ended = p.Cmd.Wait(); p.ended != nil && p.stderr.Len() > 0 {
			p.ended = fmt.Errorf("%w: %s", p.ended, p.Said())
		}
		p.close()
	})
	return p.ended
}

// Said is what the process has written to standard error. It is complete when the
// process has ended.
func (p *Process) Said() string { return string(bytes.TrimSpace(p.stderr.Bytes())) }

// Shoot sends SIGKILL, and does not wait. Any goroutine may call it.
func (p *Process) Shoot() { _ = p.Process.Kill() }

// Kill sends SIGKILL and waits for the end. After the end it does nothing.
func (p *Process) Kill() {
	p.Shoot()
	_ = p.Wait()
}

// End lets a process end that waits for that with [Pipe.Await].
func (p *Process) End() error {
	p.Shut()
	p.Await()
	return p.Wait()
}

// Output starts the process, with nothing to read, and returns what it has written
// when it ends. The error is as for [Process.Wait].
func (p *Process) Output() ([]byte, error) {
	if err := p.Start(); err != nil {
		return nil, err
	}
	p.Shut()
	text, _ := io.ReadAll(p.from)
	return text, p.Wait()
}

// The kernel kills a process when the *thread* that started it ends. Goroutines
// that are locked to a thread and end, end it; so all are started by one that
// does not.
var starter struct {
	once     sync.Once
	requests chan func()
}

// startTied starts a command that ends with this process.
func startTied(cmd *exec.Cmd) error {
	tie(cmd)
	starter.once.Do(func() {
		starter.requests = make(chan func())
		go func() {
			runtime.LockOSThread()
			for request := range starter.requests {
				request()
			}
		}()
	})
	done := make(chan error)
	starter.requests <- func() { done <- cmd.Start() }
	return <-done
}

// T is what is used of a *testing.T.
type T interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, arguments ...any)
}

// Start starts a process for a test. It ends with the test at the latest, and its
// standard error is that of the test.
func Start(t T, role string, arguments ...string) *Process {
	t.Helper()
	return New(role, arguments...).For(t)
}

// For starts a prepared process for a test, see [Start].
func (p *Process) For(t T) *Process {
	t.Helper()
	if p.Stderr == nil {
		p.Stderr = os.Stderr
	}
	if err := p.Start(); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(p.Kill)
	return p
}

// Says waits for the next line of the process, which a test needs.
func (p *Process) Says(t T) string {
	t.Helper()
	line, err := p.Line()
	if err != nil {
		t.Fatalf("%s ended without a line: %v", p.Args, err)
	}
	return line
}
