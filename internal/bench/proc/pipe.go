package proc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// A Pipe is what a process and its parent say to each other: lines of text, or of
// JSON. One goroutine reads, and one writes. A read or a write is one system call,
// and holds up its thread.
type Pipe struct {
	from *bufio.Reader
	to   io.Writer
}

// Parent is the other end of a process in a role: standard input and output.
var Parent = &Pipe{bufio.NewReader(os.Stdin), os.Stdout}

// Send writes one line of JSON.
func (p *Pipe) Send(value any) error { return json.NewEncoder(p.to).Encode(value) }

// Receive reads one line of JSON. The error is [io.EOF] at the end, and
// [io.ErrUnexpectedEOF] for a line that is cut off, as a kill can leave it.
func (p *Pipe) Receive(value any) error {
	line, err := p.from.ReadBytes('\n')
	if err == io.EOF && len(line) > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, value); err != nil {
		return fmt.Errorf("not a message: %.200q: %w", line, err)
	}
	return nil
}

// Say writes one line of text.
func (p *Pipe) Say(format string, arguments ...any) error {
	_, err := fmt.Fprintf(p.to, format+"\n", arguments...)
	return err
}

// Line reads one line of text. Errors are as for [Pipe.Receive].
func (p *Pipe) Line() (string, error) {
	line, err := p.from.ReadString('\n')
	if err == io.EOF && line != "" {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(line, "\n"), err
}

// Await reads to the end: in a process, until the parent is done with it, or gone.
func (p *Pipe) Await() { _, _ = io.Copy(io.Discard, p.from) }
