package linearizability

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Magic is the first line of a file with a history.
//
// The others are, in the order of tickets ("#" begins a note):
//
//	layout overlay
//	start empty
//	1 2.1 create a a.1 # ticket, process.goroutine, kind, layers, tree
//	2 2.1 : ok         # the response
//	3 2 killed         # the process was seen dead
//	4 3.1 create b b.1 on a image # with a parent, in the image store
const Magic = "afterlock history 1"

// WriteTo writes the history as text, see [Magic].
func (h *History) WriteTo(w io.Writer) (int64, error) {
	type line struct {
		ticket int64
		text   string
	}
	var lines []line
	add := func(ticket int64, note, format string, args ...any) {
		text := strings.TrimRight(fmt.Sprintf("%d "+format, append([]any{ticket}, args...)...), " ")
		lines = append(lines, line{ticket, text + noted(note)})
	}
	for i := range h.Operations {
		op := &h.Operations[i]
		add(op.Call, "", "%v %s", op.Client, op.invocation())
		if op.Return > 0 {
			add(op.Return, op.Note, "%v : %s", op.Client, op.response())
		}
	}
	for _, kill := range h.Kills {
		add(kill.Ticket, kill.Note, "%d killed", kill.Process)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.ticket - b.ticket) })
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nlayout %s%s\nstart empty\n", Magic, h.Layout, noted(h.Note))
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.WriteTo(w)
}

func noted(note string) string {
	if note == "" {
		return ""
	}
	return " # " + strings.Join(strings.Fields(note), " ")
}

// String is "process.goroutine".
func (c Client) String() string { return fmt.Sprintf("%d.%d", c.Process, c.Goroutine) }

// invocation is the operation as a line has it, and response its result.
func (op *Operation) invocation() string {
	words := append([]string{string(op.Kind)}, op.Layers...)
	if op.Tree != "" {
		words = append(words, op.Tree)
	}
	if op.Parent != "" {
		words = append(words, "on", op.Parent)
	}
	if op.Image {
		words = append(words, "image")
	}
	return strings.Join(words, " ")
}

func (op *Operation) response() string {
	r := &op.Result
	words := []string{string(r.Outcome)}
	if r.Outcome == Done {
		switch op.Kind {
		case Exists:
			words = append(words, choose(r.Yes, "yes", "no"))
		case Look:
			words = append(words, choose(r.Links, "links", choose(r.Yes, "link", "nolink")))
		case Recover:
			words = append(words, choose(r.Yes, "all", "some"))
		case Delete:
			if r.Yes {
				words = append(words, "inplace")
			}
		}
	}
	return strings.Join(append(append(words, r.Layers...), r.Trees...), " ")
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// Parse reads a history. The error names the line. What the lines say is not
// judged, see [History.Assumptions].
func Parse(r io.Reader) (*History, error) {
	p := parser{h: &History{}, open: map[Client]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.line++
		if err := p.parse(lines.Text()); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", p.line+1, err)
	}
	if p.line < headerLines {
		return nil, fmt.Errorf("line %d: the file ends before the history begins", p.line+1)
	}
	return p.h, nil
}

const headerLines = 3

// maxTicket is far more than anybody draws, and what a picture's script can count.
const maxTicket = 1 << 52

type parser struct {
	h    *History
	line int
	open map[Client]int // pending operation of the client
}

func (p *parser) parse(text string) error {
	text, note, _ := strings.Cut(text, "#")
	words, note := strings.Fields(text), strings.TrimSpace(note)
	switch {
	case p.line == 1:
		if strings.Join(words, " ") != Magic {
			return fmt.Errorf("not a history: the first line must be %q", Magic)
		}
		return nil
	case p.line == 2:
		if len(words) != 2 || words[0] != "layout" || words[1] != "vfs" && words[1] != "overlay" {
			return fmt.Errorf("expected layout vfs, or layout overlay")
		}
		p.h.Layout, p.h.Note = words[1], note
		return nil
	case p.line == 3:
		if strings.Join(words, " ") != "start empty" {
			return fmt.Errorf("expected start empty: a history begins with a known state")
		}
		return nil
	case len(words) == 0:
		return nil
	}
	ticket, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || ticket <= 0 || ticket > maxTicket {
		return fmt.Errorf("%q is no ticket", words[0])
	}
	if ticket <= p.h.End {
		return fmt.Errorf("ticket %d after ticket %d: tickets are unique, and lines in their order", ticket, p.h.End)
	}
	p.h.End = ticket
	if len(words) < 3 {
		return fmt.Errorf("expected a ticket, a client, and what it does")
	}
	if words[2] == "killed" && len(words) == 3 {
		process, err := strconv.Atoi(words[1])
		if err != nil {
			return fmt.Errorf("%q is no process", words[1])
		}
		p.h.Kills = append(p.h.Kills, Kill{process, ticket, note})
		return nil
	}
	client, err := parseClient(words[1])
	if err != nil {
		return err
	}
	at, pending := p.open[client]
	if words[2] != ":" {
		if pending {
			return fmt.Errorf("client %v has an operation already: %s", client, p.h.Operations[at].invocation())
		}
		op, err := parseInvocation(words[2:])
		op.Client, op.Call = client, ticket
		p.open[client] = len(p.h.Operations)
		p.h.Operations = append(p.h.Operations, op)
		return err
	}
	if !pending {
		return fmt.Errorf("client %v has no operation to respond to", client)
	}
	delete(p.open, client)
	op := &p.h.Operations[at]
	op.Return, op.Note = ticket, note
	op.Result, err = op.parseResult(words[3:])
	return err
}

func parseClient(text string) (c Client, err error) {
	process, goroutine, ok := strings.Cut(text, ".")
	if ok {
		if c.Process, err = strconv.Atoi(process); err == nil {
			c.Goroutine, err = strconv.Atoi(goroutine)
		}
	}
	if !ok || err != nil || c.Process < 0 || c.Goroutine < 0 {
		return c, fmt.Errorf("invalid client %q: expected process.goroutine", text)
	}
	return c, nil
}
