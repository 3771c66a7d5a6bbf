//go:build amd64 || arm64

package blackbox

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A Call is one system call that a process is about to make.
type Call struct {
	Name      string
	Paths     []string // that it is about, as this process sees them; "" where that is not known
	Arguments [6]uint64
	Mutates   bool // it changes what is on disk, if it succeeds
}

func (c *call) export() Call {
	return Call{Name: c.name, Paths: slices.Clone(c.paths), Arguments: c.arguments, Mutates: c.mutating()}
}

// A Steering starts programs that need to know nothing of it, and stops them
// before each call that concerns its scene: of all their threads, and of the
// processes that they start. At any time all but one of them are stopped, as far
// as the scene goes. What a program does elsewhere is not seen, so a program that
// waits there for one that is stopped waits for ever, which is reported after the
// patience. What they mount is mounted for them only, where that is allowed.
//
// Two threads of a program may be on their way to a call at a time. The one that
// comes second stops, too, and is dealt with when the first has been.
//
// One goroutine uses it.
type Steering struct {
	super   *supervisor
	started []*Steered
}

// NewSteering returns a Steering whose scene is all that is at or below the path,
// absolute and without symbolic links. With mutating, only calls that change what
// is on disk are stops. The error matches [errors.ErrUnsupported] if this kernel,
// or a filter around this process, does not allow it.
func NewSteering(scene string, mutating bool, patience time.Duration) (*Steering, error) {
	v := allCalls
	if mutating {
		v = changes
	}
	super, err := newSupervisor(scene, v, 0, patience, true)
	if err != nil {
		return nil, err
	}
	return &Steering{super: super}, nil
}

// Close kills what still runs.
func (s *Steering) Close() {
	s.super.close()
	for _, p := range s.started {
		p.Output() // which closes it
	}
}

// Start starts the program and runs it to its first stop. The environment is what
// is given, and what keeps the Go runtime from calls that depend on time.
func (s *Steering) Start(program string, environ []string, arguments ...string) (*Steered, error) {
	p, err := s.super.start(program, image{program, append(slices.Clip(environment), environ...)}, arguments...)
	if err != nil {
		return nil, err
	}
	d := &Steered{p: p}
	s.started = append(s.started, d)
	return d, d.settle(nil)
}

// A Steered is a process of a [Steering].
type Steered struct {
	p      *process
	output string
}

// Stopped is the call that the process is stopped before. It reports false if it
// has exited, or waits for a line on its standard input.
func (s *Steered) Stopped() (Call, bool) {
	if !s.p.busy() {
		return Call{}, false
	}
	return s.p.super.resolve(s.p.at).export(), true
}

// Step lets the process make the call, and run to its next stop.
func (s *Steered) Step() error {
	if s.p.dead {
		return nil
	}
	return s.settle(s.p.super.step(s.p))
}

// settle lets a process exit that is about to.
func (s *Steered) settle(err error) error {
	for err == nil && s.p.at != nil && s.p.at.kind == stopExit {
		err = s.p.super.step(s.p)
	}
	return err
}

// Until lets the process make its calls until it is stopped before one that is
// wanted, which may be the one it is stopped at already. It reports false if there
// is none up to the exit, or to the next line that it waits for.
func (s *Steered) Until(wanted func(Call) bool) (bool, error) {
	for {
		c, stopped := s.Stopped()
		switch {
		case !stopped:
			return false, nil
		case wanted(c):
			return true, nil
		}
		if err := s.Step(); err != nil {
			return false, err
		}
	}
}

// Run lets the process make all its calls, to its exit or to the next line that
// it waits for.
func (s *Steered) Run() error {
	_, err := s.Until(func(Call) bool { return false })
	return err
}

// Command gives the process, which waits for a line on its standard input, that
// line, and runs it to its first stop.
func (s *Steered) Command(line string) error { return s.settle(s.p.super.command(s.p, line)) }

// Kill sends SIGKILL to the process and to all that it has started, and waits for
// the process to be gone. The call that it is stopped at is never made.
func (s *Steered) Kill() { s.p.super.kill(s.p) }

// Pid is the number of the process, which is that of its group, too.
func (s *Steered) Pid() int { return s.p.pid }

// Exit is the exit code, -1 if a signal ended the process. It reports false while
// the process is there.
func (s *Steered) Exit() (code int, exited bool) { return s.p.code, s.p.dead }

// Output is all that the process has written to its standard output and standard
// error so far.
func (s *Steered) Output() string {
	if s.p.output >= 0 {
		s.output += s.p.reply()
		if s.p.dead {
			unix.Close(s.p.output)
			s.p.output = -1
		}
	}
	return s.output
}
