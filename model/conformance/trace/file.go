package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
)

// A Trace is what a recording holds.
type Trace struct {
	Path    string
	Files   int // how many files every tree has
	Events  []Event
	Holes   int // records that a kill has cut off, and that say nothing
	Dropped int // events after the mapping was full
}

// IsTrace says whether a file that begins so is a trace, in either form.
func IsTrace(beginning []byte) bool {
	return bytes.HasPrefix(beginning, []byte(binaryMagic)) || bytes.HasPrefix(beginning, []byte(textMagic))
}

// Open reads a trace: a recording, a copy that [Recording.Save] made, or text.
// The error names path and reason.
func Open(path string) (*Trace, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Decode(path, content)
}

// Decode reads a trace from memory; path is for its errors.
func Decode(path string, content []byte) (*Trace, error) {
	switch {
	case bytes.HasPrefix(content, []byte(binaryMagic)):
		return decode(path, content)
	case bytes.HasPrefix(content, []byte(textMagic)):
		return decodeText(path, content)
	}
	return nil, fmt.Errorf("%s: not a trace: the first line is neither %q nor %q", path,
		binaryMagic[:len(binaryMagic)-1], textMagic[:len(textMagic)-1])
}

type headerFields struct{ capacity, files, next uint64 }

func parseHeader(content []byte) (h headerFields, err error) {
	if len(content) < headerBytes {
		return h, fmt.Errorf("truncated: %d bytes, and the header alone has %d", len(content), headerBytes)
	}
	if !bytes.HasPrefix(content, []byte(binaryMagic)) {
		return h, errors.New("the first line is not that of a recording")
	}
	h = headerFields{
		capacity: binary.LittleEndian.Uint64(content[capacityAt:]),
		files:    binary.LittleEndian.Uint64(content[filesAt:]),
		next:     binary.LittleEndian.Uint64(content[nextAt:]),
	}
	switch {
	case h.capacity == 0 || h.capacity > maxRecords:
		return h, fmt.Errorf("corrupt header: room for %d events", h.capacity)
	case h.files == 0 || h.files > maxFiles:
		return h, fmt.Errorf("corrupt header: %d files in a tree", h.files)
	}
	return h, nil
}

// decode reads the binary form.
func decode(path string, content []byte) (*Trace, error) {
	h, err := parseHeader(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	n := min(h.next, h.capacity)
	if have := uint64(len(content)-headerBytes) / recordBytes; have < n {
		return nil, fmt.Errorf("%s: truncated: %d of %d events", path, have, n)
	}
	t := &Trace{Path: path, Files: int(h.files), Dropped: int(min(h.next-n, math.MaxInt32)), Events: make([]Event, 0, n)}
	for ticket := range n {
		at := headerBytes + ticket*recordBytes
		var w words
		for i := range w {
			w[i] = binary.LittleEndian.Uint64(content[at+uint64(i)*8:])
		}
		if w[0] == 0 {
			t.Holes++ // begun, and never committed
			continue
		}
		if w[0] != w.checksum(ticket) {
			return nil, fmt.Errorf("%s: corrupt: event %d has a wrong checksum", path, ticket)
		}
		e, err := w.unpack(ticket)
		if err != nil {
			return nil, fmt.Errorf("%s: corrupt: event %d: %w", path, ticket, err)
		}
		t.Events = append(t.Events, e)
	}
	return t, nil
}

// Encode writes a trace in the binary form. Tickets must increase.
func (t *Trace) Encode() []byte {
	n := 0
	if len(t.Events) > 0 {
		n = int(t.Events[len(t.Events)-1].Ticket) + 1
	}
	content := append(header(max(n, 1), t.Files), make([]byte, n*recordBytes)...)
	binary.LittleEndian.PutUint64(content[nextAt:], uint64(n+t.Dropped))
	for i := range t.Events {
		var w words
		w.pack(&t.Events[i])
		w[0] = w.checksum(t.Events[i].Ticket)
		for j, word := range w {
			binary.LittleEndian.PutUint64(content[headerBytes+int(t.Events[i].Ticket)*recordBytes+8*j:], word)
		}
	}
	return content
}
