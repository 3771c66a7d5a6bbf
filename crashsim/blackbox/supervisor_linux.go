//go:build amd64 || arm64

package blackbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long a process may run between two stops. Nothing that a
// worker runs waits for anything, so it is there for a machine that hangs only.
const patience = 60 * time.Second

// A supervisor starts processes of unmodified programs and stops each of them
// before every call of layouts that concerns its scene. At any time all but one
// of its processes are stopped, so what happens is what it says, in its order.
// One goroutine uses it.
type supervisor struct {
	listener int
	launcher *launcher
	scene    string        // the path that calls must be below to be stops
	closes   bool          // it sees descriptors closed
	follows  bool          // what its processes start belongs to them; else it is foreign
	patience time.Duration // how long a process may run between two stops
	tids     map[int]*process
	stray    []notification // of threads that are not known yet
	foreign  error          // a process that was not started here made a call

	received         atomic.Int64
	waiting, stalled atomic.Bool
	done             chan struct{} // closed by close
}

// newSupervisor returns a supervisor whose processes run on the processor, or an
// error that matches
// [errors.ErrUnsupported] if this kernel or a filter around this process does
// not allow it. With follows, what a process starts belongs to it.
func newSupervisor(scene string, v view, processor int, patience time.Duration, follows bool) (*supervisor, error) {
	l, listener, err := newLauncher(v, processor, follows)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	wakeOnSameCPU(listener)
	s := &supervisor{listener: listener, launcher: l, scene: scene, closes: v == allCalls, follows: follows, patience: patience, tids: make(map[int]*process), done: make(chan struct{})}
	go s.watch()
	return s, nil
}

// close kills what still runs, and ends the launcher.
func (s *supervisor) close() {
	for _, p := range s.tids {
		s.kill(p)
	}
	close(s.done)
	if !s.stalled.Load() {
		close(s.launcher.requests)
	}
	unix.Close(s.listener)
}

// start starts the program and runs it to its first stop.
func (s *supervisor) start(name string, program image, arguments ...string) (*process, error) {
	// A child that cannot become the program would say so by a call that stops,
	// while the launcher holds its processor of the Go runtime until that has an
	// answer. If it is the only one, there is nobody to give it.
	if err := unix.Access(program.path, unix.X_OK); err != nil {
		return nil, fmt.Errorf("start %s: %w", program.path, err)
	}
	var in, out [2]int
	if err := unix.Pipe2(in[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC); err != nil {
		unix.Close(in[0])
		unix.Close(in[1])
		return nil, err
	}
	s.launcher.requests <- launch{argv: append([]string{program.path}, arguments...), env: program.env, files: []uintptr{uintptr(in[0]), uintptr(out[1]), uintptr(out[1])}}
	for started := false; !started; {
		n, err := s.receive()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", program.path, err)
		}
		if int(n.pid) != s.launcher.tid {
			if p, _ := s.owner(int(n.pid)); p == nil && n.data.number == unix.SYS_WRITE {
				// Not the program yet: a child that cannot become it says so
				// to the launcher. A program opens before it writes.
				s.proceed(n.id)
			} else {
				s.stray = append(s.stray, n)
			}
			continue
		}
		started = n.data.number == unix.SYS_CLOSE && n.data.arguments[0] == startedSignal
		s.proceed(n.id)
	}
	result := <-s.launcher.results
	unix.Close(in[0])
	unix.Close(out[1])
	if result.err != nil {
		unix.Close(in[1])
		unix.Close(out[0])
		return nil, fmt.Errorf("start %s: %w", program.path, result.err)
	}
	_ = unix.SetNonblock(out[0], true)
	p := &process{super: s, pid: result.pid, name: name, input: in[1], output: out[0]}
	s.adopt(p, p.pid)
	stray := s.stray
	s.stray = nil
	for _, n := range stray {
		s.sort(n)
	}
	return p, s.wait(p)
}

// environment is that of the processes: nothing of the caller's changes what
// they do, and the Go runtime makes no calls that depend on time. Its preemption
// signals are off: one that comes while a call is stopped stays pending, and
// getdents64 answers less then. So is its look at the limits of its control
// group, once a second.
var environment = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent", "GODEBUG=asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0"}

func (s *supervisor) adopt(p *process, tid int) {
	s.tids[tid] = p
	p.tids = append(p.tids, tid)
}

// proceed lets a stopped thread make its call. A thread that is dead needs no
// answer.
func (s *supervisor) proceed(id uint64) {
	_ = send(s.listener, response{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// owner is the process that the thread belongs to, nil if it is none of ours.
// started: the thread is of a process that ours has started, itself or through
// others. Each of ours has a process group of its own, which those inherit.
func (s *supervisor) owner(tid int) (p *process, started bool) {
	if p := s.tids[tid]; p != nil {
		return p, false
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return nil, false
	}
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	if p := s.tids[pid]; p != nil {
		s.adopt(p, tid)
		return p, false
	}
	if s.follows { // not remembered: the number may soon be another's
		if group, err := unix.Getpgid(pid); err == nil {
			p = s.tids[group]
		}
	}
	return p, p != nil
}

// sort gives a notification to its process, or lets the thread go on if it is
// not about the scene.
func (s *supervisor) sort(n notification) {
	p, started := s.owner(int(n.pid))
	number := uint32(n.data.number)
	if p == nil && s.foreign == nil && valid(s.listener, n.id) {
		s.foreign = fmt.Errorf("process %d makes calls, and one of those under supervision has started it: %s", n.pid, layouts[number].name)
	}
	if p == nil || p.dead {
		s.proceed(n.id)
		return
	}
	var at *stop
	if last := len(p.spare) - 1; last >= 0 {
		at, p.spare = p.spare[last], p.spare[:last]
	} else {
		at = &stop{}
	}
	*at = stop{id: n.id, tid: int(n.pid), started: started, call: call{layout: layouts[number], number: number, arguments: n.data.arguments, paths: at.call.paths}}
	switch at.kind = at.call.kind; at.kind {
	case stopRefused:
		_ = send(s.listener, response{id: n.id, err: -int32(unix.ENOSYS)})
		return
	case stopIdle, stopExit:
		if started { // neither a driver, nor to be waited for here
			p.spare = append(p.spare, at)
			s.proceed(n.id)
			return
		}
	case stopCall:
		if p.warm && number != unix.SYS_WRITE {
			// A driver that does a command works on the scene and nothing else,
			// but for what it finds out once about itself.
			break
		}
		if !s.concerns(p, at) {
			p.spare = append(p.spare, at)
			s.proceed(n.id)
			return
		}
	}
	if p.at == nil {
		p.at = at
	} else {
		p.queue = append(p.queue, at)
	}
}

// resolve finds out the paths of a stopped call, if that has not been done.
// A thread that died meanwhile has none, since its number may be another's.
func (s *supervisor) resolve(at *stop) *call {
	if !at.resolved {
		at.call.resolve(at.tid, s.follows)
		if at.resolved = true; !valid(s.listener, at.id) {
			at.call.paths = nil
		}
	}
	return &at.call
}

// wait receives until the process is stopped, or dead.
func (s *supervisor) wait(p *process) error {
	s.waiting.Store(true)
	defer s.waiting.Store(false)
	for p.at == nil && !p.dead {
		n, err := s.receive()
		if err != nil {
			return fmt.Errorf("%s (process %d): %w", p.name, p.pid, err)
		}
		s.sort(n)
	}
	return s.foreign
}

// step lets the stopped process make its call and run to its next stop. When it
// returns, the call has been made.
func (s *supervisor) step(p *process) error {
	if p.at == nil {
		return fmt.Errorf("%s is not stopped", p.name)
	}
	exits := p.at.kind == stopExit
	s.proceed(p.at.id)
	p.answered()
	if exits {
		s.reap(p)
		return nil
	}
	return s.wait(p)
}

// fail answers the call that the process is stopped at with the errno instead
// of making it, and runs the process to its next stop.
func (s *supervisor) fail(p *process, errno unix.Errno) error {
	if err := send(s.listener, response{id: p.at.id, err: -int32(errno)}); err != nil {
		return fmt.Errorf("%s: answer: %w", p.name, err)
	}
	p.answered()
	return s.wait(p)
}

// command gives an idle driver its next command and runs it to its first stop.
func (s *supervisor) command(p *process, words ...string) error {
	if p.at == nil || p.at.kind != stopIdle {
		return fmt.Errorf("%s has work and gets no command", p.name)
	}
	line := strings.Join(words, " ") + "\n"
	if _, err := unix.Write(p.input, []byte(line)); err != nil {
		return fmt.Errorf("%s: command: %w", p.name, err)
	}
	return s.step(p)
}

// kill sends SIGKILL to the process and what it has started, and waits for the
// process to be gone. A call that it is stopped at is never made.
func (s *supervisor) kill(p *process) {
	if !p.dead {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
		s.reap(p)
	}
}

// reap waits for the process and forgets it.
func (s *supervisor) reap(p *process) {
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(p.pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	p.dead, p.at, p.queue = true, nil, nil
	p.code = status.ExitStatus() // -1 if a signal ended it
	for _, tid := range p.tids {
		delete(s.tids, tid)
	}
	unix.Close(p.input)
}
