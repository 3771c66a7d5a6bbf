package subjects

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// ErrUnavailable is matched by the error of what cannot be run here: the module
// cannot be had, this user may not mount, the kernel has no such file system. The
// verdict is then skipped.
var ErrUnavailable = errors.New("not available here")

// Unavailable reports whether nothing else is wrong than that something cannot be run
// here: of errors that are joined, each has to say so.
func Unavailable(err error) bool {
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return Unavailable(e.Unwrap())
	case interface{ Unwrap() []error }:
		parts := e.Unwrap()
		return slices.Contains(parts, ErrUnavailable) || !slices.ContainsFunc(parts, func(part error) bool { return !Unavailable(part) })
	}
	return err == ErrUnavailable
}

// Load is the average load of the last minute, 0 where the kernel does not tell.
func Load() (average float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, _ = fmt.Sscan(string(text), &average)
	}
	return average
}

// A Verdict is one of four words.
type Verdict string

const (
	Pass      Verdict = "pass"
	Fail      Verdict = "fail"
	Undecided Verdict = "undecided" // not refuted, and not enough was done to say more
	Skipped   Verdict = "skipped"   // something that belongs to the check cannot be run here
)

// A Report is what a check of a store has found. The verdict follows from it, see
// [Report.Verdict]. A check calls its methods from one goroutine.
type Report struct {
	Tables   []*Table `json:"tables"`
	Problems []string `json:"problems,omitempty"` // who has lost what, and how often
	Short    []string `json:"short,omitempty"`    // counts that are too small to say anything
	Skips    []string `json:"skips,omitempty"`    // what was not run, and why
	Notes    []string `json:"notes,omitempty"`    // what the reader of the tables has to know
}

// Table adds a table.
func (r *Report) Table(title string, columns ...string) *Table {
	t := &Table{Title: title, Columns: columns, Rows: [][]any{}}
	r.Tables = append(r.Tables, t)
	return t
}

// Problem makes the verdict fail: one line, which says who has lost what.
func (r *Report) Problem(format string, args ...any) {
	r.Problems = append(r.Problems, strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

// Skip says what was not run, and why. Without problems the verdict is skipped, or
// undecided.
func (r *Report) Skip(what string, why error) {
	r.Skips = append(r.Skips, fmt.Sprintf("%s skipped, because %s", what, brief(why.Error())))
}

// brief is text on one line. A program that fails may have printed megabytes.
func brief(text string) string {
	const most = 500
	if characters := []rune(text); len(characters) > most {
		text = string(characters[:most]) + "…"
	}
	return strings.Join(strings.Fields(text), " ")
}

// Note adds a line for the reader of the tables.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// AtLeast wants n to be at least least, and 1: otherwise the verdict is undecided,
// unless there is a problem. Every number that could be 0 is asserted with it.
func (r *Report) AtLeast(n, least int, what string) {
	if least = max(least, 1); n < least {
		r.Short = append(r.Short, fmt.Sprintf("%d %s, at least %d expected", n, what, least))
	}
}

// Lacks notes n failures for which the machine has too little of something: they are
// nobody's loss, and without them nothing can be said.
func (r *Report) Lacks(n int, what string) {
	if n > 0 {
		r.Short = append(r.Short, fmt.Sprintf("%d %s failed because the machine has too little of something", n, what))
	}
}

// Verdict is fail if there is a problem, undecided if a count is short or no table
// has a row, skipped if something was not run, else pass.
func (r *Report) Verdict() Verdict {
	rows := 0
	for _, t := range r.Tables {
		rows += len(t.Rows)
	}
	switch {
	case len(r.Problems) > 0:
		return Fail
	case len(r.Short) > 0, rows == 0 && len(r.Skips) == 0:
		return Undecided
	case len(r.Skips) > 0:
		return Skipped
	}
	return Pass
}

// Because says why the verdict is what it is; of pass it says nothing.
func (r *Report) Because() string {
	switch r.Verdict() {
	case Fail:
		return strings.Join(r.Problems, "; ")
	case Undecided:
		if len(r.Short) == 0 {
			return "nothing was counted"
		}
		return strings.Join(r.Short, "; ")
	case Skipped:
		return strings.Join(r.Skips, "; ")
	}
	return ""
}

// A Table is rows of cells: text, numbers, durations. The command aligns them, and
// prints them as they are in JSON.
type Table struct {
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// Row adds a row. It has as many cells as there are columns: anything else is a
// mistake of the check, and panics.
func (t *Table) Row(cells ...any) {
	if len(cells) != len(t.Columns) {
		panic(fmt.Sprintf("table %q: %d cells for %d columns", t.Title, len(cells), len(t.Columns)))
	}
	t.Rows = append(t.Rows, cells)
}
