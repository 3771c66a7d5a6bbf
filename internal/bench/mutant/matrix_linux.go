package mutant

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

const matrixFile = "matrix.json"

// MatrixPath is where the committed matrix is, below the module.
const MatrixPath = "internal/bench/mutant/" + matrixFile

// A Matrix is what detectors make of mutants.
type Matrix struct {
	Commit     string  `json:"commit"`
	Source     string  `json:"source"`         // digest
	Sample     int     `json:"sample"`         // what was asked for
	Past       int     `json:"past,omitempty"` // without the sample of this size
	Enumerated int     `json:"enumerated"`
	Sampled    int     `json:"sampled"`
	Unbuilt    int     `json:"unbuilt"`
	Seconds    float64 `json:"seconds"` // of all runs, for readers of the file
	Load       float64 `json:"load"`    // the highest while they ran
	// Skipped are, by detector, the tests that could not be run where the matrix was made:
	// what only they kill survives in it.
	Skipped map[string][]string `json:"skipped,omitempty"`
	Rows    []*Row              `json:"mutants"`
}

// A Row is what detectors make of one mutant.
type Row struct {
	Mutant     string `json:"mutant"`
	Of         string `json:"of"`
	Change     string `json:"change,omitempty"` // of an enumerated one
	Enumerated bool   `json:"enumerated,omitempty"`
	Expected   string `json:"expected,omitempty"` // the detector that must meet it
	Equivalent string `json:"equivalent,omitempty"`
	Error      string `json:"error,omitempty"`  // why it could not be tried
	Commit     string `json:"commit,omitempty"` // where it was tried, if not at the matrix's commit
	Runs       []Run  `json:"runs"`
}

// Killers are the runs that killed it, the first one first.
func (r *Row) Killers() (all []Run) {
	for _, run := range r.Runs {
		if run.Verdict == Killed {
			all = append(all, run)
		}
	}
	return all
}

// Verdicts of a mutant, beside those of runs: [Killed], by the detector that must or
// if none has to, by any; [Survived]; [Undecided], if nobody killed it, and one timed
// out or said something else than the catalogue; [NotReached].
const (
	NotMet        = "not met" // but killed by another detector than the one that must
	Equivalent    = "equivalent"
	NotEquivalent = "not equivalent" // the catalogue says it is, and somebody killed it
	NotTried      = "not tried"      // it cannot be
)

// Verdict is what became of the mutant.
func (r *Row) Verdict() string {
	is := func(verdicts ...string) func(Run) bool {
		return func(run Run) bool { return slices.Contains(verdicts, run.Verdict) }
	}
	killers := r.Killers()
	switch {
	case r.Error != "":
		return NotTried
	case r.Equivalent != "" && len(killers) > 0:
		return NotEquivalent
	case r.Equivalent != "":
		return Equivalent
	case slices.ContainsFunc(killers, func(run Run) bool { return r.Expected == "" || run.Detector == r.Expected }):
		return Killed
	case len(killers) > 0:
		return NotMet
	case !slices.ContainsFunc(r.Runs, func(run Run) bool { return !is(NotReached)(run) }):
		return NotReached
	case slices.ContainsFunc(r.Runs, func(run Run) bool { return !is(Survived, NotReached)(run) }):
		return Undecided
	}
	return Survived
}

// MarshalJSON adds the verdict, for readers of the file.
func (r *Row) MarshalJSON() ([]byte, error) {
	type plain Row
	return json.Marshal(struct {
		*plain
		Verdict string `json:"verdict"`
	}{(*plain)(r), r.Verdict()})
}

// Only returns the detector that alone kills the mutant, when every other one was
// tried and left it alive or did not reach it; "" if there is none. A mutant of the
// specification is the model's: nothing else executes that.
func (r *Row) Only() (detector string) {
	for _, d := range Detectors {
		if (r.Of == mustFail || r.Of == mustFailProof) && d.Name != r.Expected {
			continue
		}
		if run := r.run(d.Name); run == nil || !slices.Contains([]string{Killed, Survived, NotReached}, run.Verdict) {
			return ""
		}
	}
	if killers := r.Killers(); len(killers) == 1 {
		return killers[0].Detector
	}
	return ""
}

// KilledBy returns the detector that by the matrix or, where it has no kill, by the
// catalogue kills the mutant; "" if two do: it is nobody's only kill.
func (m *Matrix) KilledBy(mutant *Mutant) string {
	switch r := m.row(mutant.Name); {
	case r == nil || len(r.Killers()) == 0:
		return mutant.Detector
	case len(r.Killers()) == 1:
		return r.Killers()[0].Detector
	}
	return ""
}

func (r *Row) run(detector string) *Run {
	for i := range r.Runs {
		if r.Runs[i].Detector == detector {
			return &r.Runs[i]
		}
	}
	return nil
}

// ReadMatrix reads a matrix.
func ReadMatrix(path string) (*Matrix, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &Matrix{}
	return m, json.Unmarshal(text, m)
}

// Write writes a matrix, with a line for each mutant.
func (m *Matrix) Write(path string) error {
	head := *m
	head.Seconds = m.Took()
	head.Rows = nil
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(string(text), "null}") + "[")
	for i, r := range m.Rows {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n%s", line)
	}
	b.WriteString("\n]}\n")
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o666); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Took is how many seconds all runs took together.
func (m *Matrix) Took() (seconds float64) {
	for _, r := range m.Rows {
		for _, run := range r.Runs {
			seconds += run.Seconds
		}
	}
	return math.Round(seconds)
}

func (m *Matrix) row(name string) *Row {
	if m == nil {
		return nil
	}
	for _, r := range m.Rows {
		if r.Mutant == name {
			return r
		}
	}
	return nil
}
