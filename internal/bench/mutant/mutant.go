// Package mutant has the catalogue of mutants, small changes of the source each
// of which a detector must meet, and the engine that tries them.
//
// A mutant of the catalogue is a text in catalogue/*.txt:
//
//	mutant: recovery trusts the lock
//	of: rule 2
//	detector: tempdir
//	message: live instance .* was recovered
//	file: tempdir/lock.go
//	 	named, err := r.kernel.StatName(r.fd, name)
//	-	if is("StatName", err, gone) {
//	+	if err != nil {
//	 		return false, nil
//
// "of" says what it breaks: a rule of the protocol, a class of mistakes, an
// order, an error path, or a checker. The message is a regular expression (RE2,
// on the detector's whole output; ^ and $ are ends of lines) that only a detector
// that has understood it prints. A mutant that nobody can tell from the original
// has "equivalent:" with the reason in place of detector and message. A file may
// be named several times, once per change; the lines that begin with a blank or
// "-", which must be in the file once and together, become those that begin with
// a blank or "+". An empty line is one of both. Lines that begin with "#" are
// comments.
//
// "part:" says which part of a stage meets it: no mutant gets all of them.
//
// A mutant without a file is one that rules make (see [Enumerate]), with the reason
// why it is equivalent, and with "change:" and what it does, as the command prints it
// without the line's number: so that no other one is meant when the function changes.
//
// A mutant that changes nothing but bodies of functions shares its build with all
// others; any other one needs a build of its own, which takes half a minute.
package mutant

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

// A Mutant is a change of the source, and what has to become of it.
type Mutant struct {
	Name       string         // what it does
	Of         string         // what it breaks
	Detector   string         // the one that must meet it, unless it is equivalent
	Part       string         // of it, if it is a stage: what does
	Message    *regexp.Regexp // in what that detector prints
	Equivalent string         // why nobody can tell it from the original
	Change     string         // what an enumerated one does
	Edits      []Edit
}

// An Edit replaces a text of a file, a path below the module, that has it once,
// or what is there at a position.
type Edit struct {
	File, Old, New string

	at int // of Old, if it is above 0
}

// Apply returns the changed source. The error says that it does not have Old once.
func (e Edit) Apply(source string) (string, error) {
	if e.at > 0 {
		return source[:e.at] + e.New + source[e.at+len(e.Old):], nil
	}
	if n := strings.Count(source, e.Old); n != 1 {
		return "", fmt.Errorf("%s has %d times, not once:\n%s", e.File, n, e.Old)
	}
	return strings.Replace(source, e.Old, e.New, 1), nil
}

//go:embed catalogue/*.txt
var catalogue embed.FS

// Catalogue returns the mutants of the catalogue, in the order of its files.
func Catalogue() (all []*Mutant, err error) {
	files, err := catalogue.ReadDir("catalogue")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := catalogue.ReadFile("catalogue/" + file.Name())
		if err != nil {
			return nil, err
		}
		mutants, err := Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("catalogue/%s: %w", file.Name(), err)
		}
		for _, m := range mutants {
			if names[m.Name] {
				return nil, fmt.Errorf("catalogue/%s: two mutants %q", file.Name(), m.Name)
			}
			names[m.Name] = true
		}
		all = append(all, mutants...)
	}
	return all, nil
}

// Parse reads mutants. The error names the line.
func Parse(text string) (all []*Mutant, err error) {
	var m *Mutant
	var e *Edit
	blank := 0 // empty lines that are part of a change if more of it follows
	number := 0
	fail := func(format string, args ...any) ([]*Mutant, error) {
		return nil, fmt.Errorf("line %d: %s", number, fmt.Sprintf(format, args...))
	}
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			blank++
			continue
		}
		if strings.ContainsRune(" \t+-", rune(line[0])) {
			if e == nil {
				return fail("a change without a file")
			}
			gap := ""
			if e.Old+e.New != "" {
				gap = strings.Repeat("\n", blank)
			}
			blank = 0
			e.Old, e.New = e.Old+gap, e.New+gap
			if line[0] != '+' {
				e.Old += line[1:] + "\n"
			}
			if line[0] != '-' {
				e.New += line[1:] + "\n"
			}
			continue
		}
		blank = 0
		if line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(line, ": ")
		if value = strings.TrimSpace(value); value == "" {
			return fail("expected KEY: VALUE, not %q", line)
		}
		if key == "mutant" {
			m, e = &Mutant{Name: value}, nil
			all = append(all, m)
			continue
		}
		if m == nil {
			return fail("%s without a mutant", key)
		}
		switch key {
		case "of":
			m.Of = value
		case "detector":
			m.Detector = value
		case "part":
			m.Part = value
		case "message":
			if m.Message, err = regexp.Compile("(?m)" + value); err != nil {
				return fail("%v", err)
			}
		case "equivalent":
			m.Equivalent = value
		case "change":
			m.Change = value
		case "file":
			m.Edits = append(m.Edits, Edit{File: value})
			e = &m.Edits[len(m.Edits)-1]
		default:
			return fail("no key %q", key)
		}
	}
	for _, m := range all {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("mutant %q: %w", m.Name, err)
		}
	}
	return all, nil
}

func (m *Mutant) check() error {
	detected := m.Detector != "" && m.Message != nil
	switch {
	case m.Of == "" && len(m.Edits) > 0:
		return fmt.Errorf("nothing says what it breaks")
	case detected == (m.Equivalent != "") || !detected && (m.Detector != "" || m.Message != nil):
		return fmt.Errorf("needs a detector and a message, or the reason why it is equivalent")
	case (len(m.Edits) == 0) != (m.Equivalent != "" && m.Change != ""):
		return fmt.Errorf("needs a file, or is a rule's: then a change and the reason why it is equivalent")
	}
	for _, e := range m.Edits {
		if e.Old == "" || e.Old == e.New {
			return fmt.Errorf("a change of %s that changes nothing", e.File)
		}
	}
	return nil
}
