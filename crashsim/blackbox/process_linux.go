//go:build amd64 || arm64

package blackbox

import (
	"strings"

	"golang.org/x/sys/unix"
)

// stopKind is why a process is stopped.
type stopKind int

const (
	stopCall    stopKind = iota // before a call that concerns the scene
	stopIdle                    // a driver waits for its next command
	stopExit                    // the process is about to exit
	stopRefused                 // before a call that is not allowed
)

// A stop is one thread that waits for an answer.
type stop struct {
	kind stopKind
	id   uint64
	tid  int
	call call

	started  bool // the thread is of a process that ours has started
	resolved bool // the call's paths are known; see supervisor.resolve
}

// A process is one process under the supervisor.
type process struct {
	super  *supervisor
	pid    int
	name   string
	tids   []int
	queue  []*stop // stops that came while another one was dealt with
	at     *stop   // nil: it runs, or is dead
	input  int     // write end of its standard input
	output int     // read end of its standard output and standard error
	dead   bool
	warm   bool // it is a driver that has done a command
	strays bool // it also looks at files that are not of the scene
	code   int  // of the exit
	spare  []*stop
	inside descriptors // that lead into the scene
}

// answered forgets the stop that was answered.
func (p *process) answered() {
	p.spare = append(p.spare, p.at)
	p.at = nil
	if len(p.queue) > 0 {
		p.at, p.queue = p.queue[0], p.queue[1:]
	}
}

// reply is what the process has printed since the last reply.
func (p *process) reply() string {
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(p.output, buf)
		if n <= 0 || err != nil {
			return strings.TrimSpace(string(text))
		}
		text = append(text, buf[:n]...)
	}
}

// idle reports whether the process waits for a command.
func (p *process) idle() bool { return p.at != nil && p.at.kind == stopIdle }

// busy reports whether the process is stopped before a call.
func (p *process) busy() bool { return p.at != nil && p.at.kind == stopCall }
