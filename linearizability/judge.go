package linearizability

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// A Verdict is one of three words. Undecided is not ok.
type Verdict string

// The verdicts.
const (
	OK        Verdict = "ok"
	Illegal   Verdict = "illegal"   // no order of the operations explains what they answered
	Undecided Verdict = "undecided" // not refuted in time
)

// ErrAssumption matches the errors of [Judge] about histories that were not
// recorded as they should be: they say nothing about the store.
var ErrAssumption = errors.New("the history breaks an assumption")

// DefaultTimeout is how long [Judge] takes for one partition at most.
const DefaultTimeout = 10 * time.Second

// A Judgement is the verdict on one history.
type Judgement struct {
	Verdict    Verdict
	Operations int
	Partitions int      // that were judged: each layer, and all of them together if an operation has several, or a parent
	Where      string   // the partition that is not ok, with its size
	Reason     string   // why it is not ok, in one line
	Core       []string // if it is illegal, operations of it that are illegal by themselves, none of them too many
	Elapsed    time.Duration

	timeout time.Duration
	subject *subject
	drawn   []porcupine.Operation // of the partition that is not ok; of its core, if it has one
}

// Judge judges the history, each partition for the timeout at most (0:
// [DefaultTimeout]). The error matches [ErrAssumption], or is ctx's.
func Judge(ctx context.Context, h *History, timeout time.Duration) (*Judgement, error) {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	if err := h.Assumptions(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAssumption, err)
	}
	begin := time.Now()
	s := newSubject(h)
	if len(s.owners) > maxNumber {
		return nil, fmt.Errorf("%w: %d deletions, and there is room for %d", ErrAssumption, len(s.owners), maxNumber)
	}
	j := &Judgement{Verdict: OK, Operations: len(h.Operations), subject: s, timeout: timeout}
	defer func() { j.Elapsed = time.Since(begin) }()
	model := s.porcupineModel()
	for _, part := range s.partitions() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		operations := s.project(part.layers, part.disk)
		if len(operations) == 0 {
			continue
		}
		j.Partitions++
		result := porcupine.CheckOperationsTimeout(model, operations, timeout)
		if result == porcupine.Ok || result == porcupine.Unknown && j.Verdict == Undecided {
			continue
		}
		j.drawn = operations
		j.Where = fmt.Sprintf("%s (%d steps)", part.name(), len(operations))
		if result == porcupine.Illegal {
			j.Verdict = Illegal
			if core, moves := s.core(part, timeout); core != nil {
				j.drawn = moves
				for _, op := range core {
					j.Core = append(j.Core, fmt.Sprintf("%d %v %s", op.Call, op.Client, words(op)))
				}
			}
			j.Reason = j.explain(model)
			return j, nil
		}
		// Another partition may still be illegal.
		j.Verdict, j.Reason = Undecided, fmt.Sprintf("not decided within %v", timeout)
	}
	if j.Partitions == 0 {
		j.Verdict, j.Where, j.Reason = Undecided, "all layers", "no operation says anything about a layer"
	}
	return j, nil
}

// A part is a partition: layers that are judged together.
type part struct {
	layers []string
	disk   bool
}

func (p part) name() string {
	if p.disk {
		return "layer " + p.layers[0]
	}
	return "all layers together: " + strings.Join(p.layers, ", ")
}

func (s *subject) partitions() []part {
	layers := s.layers()
	var parts []part
	for _, layer := range layers {
		parts = append(parts, part{[]string{layer}, true})
	}
	for i := range s.h.Operations {
		if op := &s.h.Operations[i]; len(layers) > 1 && (op.Kind == List || len(op.Layers) > 1 || op.Parent != "") {
			return append(parts, part{layers, false})
		}
	}
	return parts
}

// explain names the step that no linearization can have: the longest one that
// there is, and what would have to come next.
func (j *Judgement) explain(model porcupine.Model) string {
	_, info := porcupine.CheckOperationsVerbose(model, j.drawn, j.timeout)
	var longest []int
	for _, partial := range info.PartialLinearizations()[0] {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	in := map[int]bool{}
	for _, id := range longest {
		in[id] = true
	}
	next := -1
	for id := range j.drawn {
		if !in[id] && (next < 0 || j.drawn[id].Return < j.drawn[next].Return) {
			next = id
		}
	}
	if next < 0 {
		return "no linearization"
	}
	op := &j.drawn[next]
	return fmt.Sprintf("after %d of %d steps nothing explains %q (tickets %d to %d)",
		len(longest), len(j.drawn), op.Input.(*move).text, op.Call, op.Return)
}

// maxCore is how many operations of a core are told on one line.
const maxCore = 12

// String is the judgement on one line.
func (j *Judgement) String() string {
	text := fmt.Sprintf("%s: %d operations in %d partitions", j.Verdict, j.Operations, j.Partitions)
	if j.Verdict != OK {
		text += fmt.Sprintf("; %s: %s", j.Where, j.Reason)
	}
	if n := len(j.Core); n > 0 {
		text += fmt.Sprintf("; enough are %d: %s", n, strings.Join(j.Core[:min(n, maxCore)], ", "))
	}
	return text
}
