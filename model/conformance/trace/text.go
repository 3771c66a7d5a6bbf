package trace

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/internal/kernel"
)

// A Trace is what a recording holds.
type Trace struct {
	Path    string
	Files   int // how many files every tree has
	Events  []Event
	Holes   int // records that a kill has cut off, and that say nothing
	Dropped int // events after the mapping was full
}

// magic begins a file with a trace: one event a line, in the order of tickets.
//
//	afterlock trace text 1
//	files 2
//	# a creator and a recoverer
//	0 p1 call OpenUnnamed dir=3
//	1 p1 return OpenUnnamed result=5
//	2 p2 found List lock-a1
//	3 p1 return StatName ENOENT
//	4 p1 gone
//
// Ids may be short: the bytes that are left out are 0.
const magic = "afterlock trace text 1\n"

// IsTrace says whether a file that begins so is a trace.
func IsTrace(beginning []byte) bool { return bytes.HasPrefix(beginning, []byte(magic)) }

// WriteText writes the trace as a file has it.
func (t *Trace) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%sfiles %d\n", magic, t.Files)
	if t.Holes+t.Dropped > 0 {
		fmt.Fprintf(b, "holes %d\ndropped %d\n", t.Holes, t.Dropped)
	}
	for i := range t.Events {
		fmt.Fprintf(b, "%d %v\n", t.Events[i].Ticket, &t.Events[i])
	}
	return b.Flush()
}

// Save writes the trace to a new file, for [Open].
func (t *Trace) Save(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(t.WriteText(file), file.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// Open reads a trace that [Trace.Save] has written, or somebody else. The error names
// path and reason.
func Open(path string) (*Trace, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Decode(path, content)
}

// Decode reads a trace from memory; path is for its errors.
func Decode(path string, content []byte) (*Trace, error) {
	if !IsTrace(content) {
		return nil, fmt.Errorf("%s: not a trace: the first line is not %q", path, magic[:len(magic)-1])
	}
	t := &Trace{Path: path}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if number == 1 || len(words) == 0 {
			continue
		}
		if err := t.parseLine(words); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, number, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if t.Files == 0 {
		return nil, fmt.Errorf("%s: no line says how many files a tree has, such as: files 2", path)
	}
	return t, nil
}

func (t *Trace) parseLine(words []string) error {
	switch words[0] {
	case "files", "holes", "dropped":
		if len(words) != 2 {
			return fmt.Errorf("%s needs a number", words[0])
		}
		n, err := strconv.ParseUint(words[1], 10, 31)
		switch {
		case err != nil:
			return fmt.Errorf("%s %q: not a number", words[0], words[1])
		case words[0] == "holes":
			t.Holes = int(n)
		case words[0] == "dropped":
			t.Dropped = int(n)
		case n < 1 || n > maxFiles:
			return fmt.Errorf("a tree has 1 to %d files, not %d", maxFiles, n)
		default:
			t.Files = int(n)
		}
		return nil
	}
	e, err := parseEvent(words)
	if err != nil {
		return err
	}
	if n := len(t.Events); n > 0 && t.Events[n-1].Ticket >= e.Ticket {
		return fmt.Errorf("ticket %d comes after ticket %d", e.Ticket, t.Events[n-1].Ticket)
	}
	t.Events = append(t.Events, e)
	return nil
}

func parseEvent(words []string) (e Event, err error) {
	e = Event{Fd: -1, Dir: -1, Result: -1}
	if len(words) < 3 {
		return e, fmt.Errorf("an event is a ticket, a process and a kind, such as: 7 p1 gone")
	}
	if e.Ticket, err = strconv.ParseUint(words[0], 10, 32); err != nil {
		return e, fmt.Errorf("%q: not a ticket", words[0])
	}
	process, isProcess := strings.CutPrefix(words[1], "p")
	number, err := strconv.ParseUint(process, 10, 32)
	if err != nil || !isProcess {
		return e, fmt.Errorf("%q: not a process, such as p1", words[1])
	}
	e.Process = uint32(number)
	for kind := Call; kind < kinds; kind++ {
		if kind.String() == words[2] {
			e.Kind = kind
		}
	}
	if e.Kind == 0 {
		return e, fmt.Errorf("%q: not a kind of event", words[2])
	}
	rest := words[3:]
	if e.Kind <= Found {
		if len(rest) == 0 {
			return e, fmt.Errorf("%v of what?", e.Kind)
		}
		method, ok := methodNumbers[rest[0]]
		if !ok {
			return e, fmt.Errorf("%q: not a call of the protocol", rest[0])
		}
		e.Method = method
		rest = rest[1:]
	}
	for _, word := range rest {
		if err := e.parseField(word); err != nil {
			return e, err
		}
	}
	return e, nil
}

var methodNumbers = func() map[string]kernel.Method {
	numbers := make(map[string]kernel.Method)
	for m := range kernel.Method(kernel.Methods) {
		numbers[m.String()] = m
	}
	return numbers
}()

// parseField reads key=value, a name or an errno.
func (e *Event) parseField(word string) error {
	key, value, isPair := strings.Cut(word, "=")
	if !isPair {
		if errno, ok := parseErrno(word); ok && e.Kind == Return {
			e.Errno = errno
			return nil
		}
		return e.parseNameField(word)
	}
	base, bits := 10, 63
	if key == "victim" {
		base, bits = 16, 64
	}
	n, err := strconv.ParseUint(value, base, bits)
	fits := n <= math.MaxInt32
	switch {
	case err != nil:
		return fmt.Errorf("%s: not a number", word)
	case key == "inode":
		e.Inode = n
	case key == "victim":
		e.Victim = n
	case key == "links" && n <= 2:
		e.Links = uint8(n)
	case key == "fd" && fits:
		e.Fd = int32(n)
	case key == "dir" && fits:
		e.Dir = int32(n)
	case key == "result" && fits:
		e.Result = int32(n)
	case key == "trees" && fits:
		e.Entry = int32(n)
	default:
		return fmt.Errorf("%s: no such field, or not such a value", word)
	}
	return nil
}

func (e *Event) parseNameField(word string) error {
	text, isData := strings.CutPrefix(word, "temp-dir-")
	switch number, isEntry := strings.CutPrefix(word, "entry-"); {
	case word == ".":
		e.Name = RootName
		return nil
	case word == "other":
		e.Name = OtherName
		return nil
	case isEntry:
		return e.parseEntry(number)
	case isData:
		e.Name = DataName
	case strings.HasPrefix(word, "lock-"):
		e.Name, text = LockName, word[len("lock-"):]
	default:
		return fmt.Errorf("%q: neither a name nor an error", word)
	}
	id, number, hasEntry := strings.Cut(text, "/")
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) < 1 || len(raw) > len(e.ID) {
		return fmt.Errorf("%q: not an id in hexadecimal", word)
	}
	copy(e.ID[:], raw)
	if e.ID == (ID{}) {
		return fmt.Errorf("%q: an id is not 0", word)
	}
	if hasEntry {
		return e.parseEntry(number)
	}
	return nil
}

func (e *Event) parseEntry(number string) error {
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return fmt.Errorf("%q: not the number of an entry", number)
	}
	e.Name, e.Entry = EntryName, int32(n)
	return nil
}
