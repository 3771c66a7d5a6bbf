// Package schedule is the one text in which every check says how a failure comes
// about, and which "afterlock replay" reads:
//
//	KIND:PROGRAM[@WORLD][/STEPS[/LOSS...]]
//
// PROGRAM is what runs: a model, a scenario, a program or a contest. WORLD is
// where, if there is a choice: a durability model, or the place of upstream.
// STEPS are joined by dots. A step is one of
//
//	2      edge 2 of those that leave the state of the model
//	2!1    the same; the call of it that fails is choice 1
//	A      process A makes a call
//	A7     process A makes seven calls
//	A7c    process A makes seven changes, and the calls between
//	A*     process A goes on to the end of its command
//	A7!    after seven calls process A is killed
//	A7!EIO after seven calls the next one fails with EIO
//
// and a LOSS is what a power loss at the end takes back: the places of changes in
// the journal, joined by dots, or "-". Each further LOSS is one in the recovery
// from the one before, and begins with the length of its journal: 4~0.2.
//
// What former versions printed is read too.
package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// A Schedule says how one run goes.
type Schedule struct {
	Kind    string
	Program string
	World   string // "": there is no choice
	Steps   []Step
	Losses  []Loss
}

// A Step is what one process does, or an edge of a model.
type Step struct {
	Process byte // 'A' to 'Z'; 0: Count is the number of an edge
	Count   int  // of calls
	Changes bool // calls that change nothing do not count
	End     byte // 0, ToEnd or Stopped
	How     string
}

// How a step ends.
const (
	ToEnd   = '*' // of the process's command
	Stopped = '!' // the process is killed or, with a How, its next call fails: by an errno, or that choice of an edge
)

// A Loss is one power loss.
type Loss struct {
	At   int // entries of the journal; -1, of the first: all
	Lost []int
}

// maxCount bounds the calls of a schedule, and every number in it.
const maxCount = 100_000

// An Error says why a text is no schedule, or one that cannot be played.
type Error struct{ Text, Reason string }

func (e *Error) Error() string { return fmt.Sprintf("schedule %q: %s", e.Text, e.Reason) }

// Refuse is an [Error] about the schedule.
func (s *Schedule) Refuse(format string, args ...any) error {
	return &Error{s.String(), fmt.Sprintf(format, args...)}
}

// String is the schedule as [Parse] reads it.
func (s *Schedule) String() string {
	var b strings.Builder
	b.WriteString(s.Kind + ":" + s.Program)
	if s.World != "" {
		b.WriteString("@" + s.World)
	}
	if len(s.Steps)+len(s.Losses) > 0 {
		b.WriteByte('/')
	}
	for i, step := range s.Steps {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(step.String())
	}
	for _, loss := range s.Losses {
		b.WriteString("/" + loss.String())
	}
	return b.String()
}

// String is the step as [Parse] reads it.
func (s Step) String() string {
	var b strings.Builder
	if s.Process != 0 {
		b.WriteByte(s.Process)
	}
	if s.Process == 0 || s.Changes || s.Count != implied(s.End) {
		b.WriteString(strconv.Itoa(s.Count))
	}
	if s.Changes {
		b.WriteByte('c')
	}
	if s.End != 0 {
		b.WriteByte(s.End)
	}
	return b.String() + s.How
}

// implied is the count of a step that says none.
func implied(end byte) int {
	if end == 0 {
		return 1
	}
	return 0
}

func (l Loss) String() string {
	text := "-"
	if len(l.Lost) > 0 {
		text = strings.Trim(strings.ReplaceAll(fmt.Sprint(l.Lost), " ", "."), "[]")
	}
	if l.At >= 0 {
		return fmt.Sprintf("%d~%s", l.At, text)
	}
	return text
}

// Parse reads a schedule. The error is an [*Error].
func Parse(text string) (*Schedule, error) {
	s, err := parse(modern(text))
	if err == nil && modern(s.String()) != s.String() {
		err = fmt.Errorf("without the slash at its end it is one that former versions printed, and cannot be read")
	}
	if err != nil {
		return nil, &Error{text, err.Error()}
	}
	return s, nil
}

func parse(text string) (s *Schedule, err error) {
	s = &Schedule{}
	var rest string
	var found bool
	if s.Kind, rest, found = strings.Cut(text, ":"); !found || s.Kind == "" {
		return nil, fmt.Errorf("expected KIND:PROGRAM[@WORLD][/STEPS[/LOSS...]], as it was printed")
	}
	if s.Kind == "soft" {
		return nil, fmt.Errorf(`there are none of kind "soft" any more: "box" kills real processes at each of their calls`)
	}
	fields := strings.Split(rest, "/")
	s.Program, s.World, found = strings.Cut(fields[0], "@")
	if s.Program == "" || found && s.World == "" || strings.Contains(s.World, "@") {
		return nil, fmt.Errorf("expected PROGRAM or PROGRAM@WORLD after %s and the colon", s.Kind)
	}
	if len(fields) > 1 && (fields[1] != "" || len(fields) > 2) {
		if s.Steps, err = parseSteps(fields[1]); err != nil {
			return nil, err
		}
	}
	for i, field := range fields[min(2, len(fields)):] {
		loss, err := parseLoss(field, i == 0)
		if err != nil {
			return nil, err
		}
		s.Losses = append(s.Losses, loss)
	}
	return s, nil
}

func parseSteps(text string) (steps []Step, err error) {
	if text == "" {
		return nil, nil
	}
	calls := 0
	for word := range strings.SplitSeq(text, ".") {
		step, ok := parseStep(word)
		if !ok {
			return nil, fmt.Errorf("step %d: cannot read %q; expected an edge such as 2 or 2!1, or calls such as A, A7, A7c, A*, A7! or A7!EIO", len(steps)+1, word)
		}
		if steps = append(steps, step); step.Process != 0 {
			calls += step.Count
		}
		if step.Count > maxCount || calls > maxCount {
			return nil, fmt.Errorf("step %d: more than %d calls", len(steps), maxCount)
		}
	}
	return steps, nil
}

func parseStep(word string) (s Step, ok bool) {
	if rest, how, stopped := strings.Cut(word, "!"); stopped {
		word, s.End, s.How = rest, Stopped, how
	} else if rest, ok := strings.CutSuffix(word, "*"); ok {
		word, s.End = rest, ToEnd
	}
	if word != "" && word[0] >= 'A' && word[0] <= 'Z' {
		s.Process, word = word[0], word[1:]
		word, s.Changes = strings.CutSuffix(word, "c")
		if s.How != "" && (s.How[0] < 'A' || s.How[0] > 'Z' || strings.Trim(s.How, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "") {
			return s, false
		}
		if word == "" && !s.Changes {
			s.Count = implied(s.End)
			return s, true
		}
	} else if choice, ok := number(s.How); s.End == ToEnd || s.End == Stopped && (!ok || strconv.Itoa(choice) != s.How) {
		return s, false
	}
	s.Count, ok = number(word)
	return s, ok && (s.Count > 0 || s.Process == 0 || s.End != 0)
}

// number reads an unsigned number; what is out of bounds is maxCount+1.
func number(text string) (n int, ok bool) {
	for _, digit := range []byte(text) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		n = min(n*10+int(digit-'0'), maxCount+1)
	}
	return n, text != ""
}

func parseLoss(text string, first bool) (l Loss, err error) {
	l.At = -1
	ok := true
	rest := text
	if !first {
		var at string
		var found bool
		at, rest, found = strings.Cut(text, "~")
		l.At, ok = number(at)
		ok = ok && found
	}
	if rest != "-" {
		for word := range strings.SplitSeq(rest, ".") {
			n, isNumber := number(word)
			ok = ok && isNumber && n <= maxCount
			l.Lost = append(l.Lost, n)
		}
	}
	if !ok || l.At > maxCount {
		expected := "- or numbers joined by dots"
		if !first {
			expected = "N~LOST"
		}
		return l, fmt.Errorf("lost %q: expected %s", text, expected)
	}
	return l, nil
}

// Letters are the steps one by one: a capital letter for each call, a small one
// for what ends a step. Every step has to be one of calls that ends so, or not.
func (s *Schedule) Letters(end byte) (letters []byte, err error) {
	for i, step := range s.Steps {
		if step.Process == 0 || step.Changes || step.How != "" || step.End != 0 && step.End != end {
			return nil, s.Refuse("step %d, %v, is none of %s:%s", i+1, step, s.Kind, s.Program)
		}
		for range step.Count {
			letters = append(letters, step.Process)
		}
		if step.End != 0 {
			letters = append(letters, step.Process|0x20)
		}
	}
	return letters, nil
}

// FromLetters are the steps of which [Schedule.Letters] makes the letters.
func FromLetters(letters []byte, end byte) (steps []Step) {
	for _, letter := range letters {
		process := letter &^ 0x20
		if n := len(steps); n == 0 || steps[n-1].Process != process || steps[n-1].End != 0 {
			steps = append(steps, Step{Process: process})
		}
		if last := &steps[len(steps)-1]; letter == process {
			last.Count++
		} else {
			last.End = end
		}
	}
	return steps
}
