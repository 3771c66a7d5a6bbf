package linearizability

import (
	"fmt"
	"slices"
	"strings"
)

// arguments are how many words each kind has after it, at least and at most.
var arguments = map[Kind][2]int{
	Create: {2, 2}, Delete: {1, 1 << 10}, List: {}, Exists: {1, 1}, Read: {1, 1}, Look: {1, 1}, Recover: {},
}

func parseInvocation(words []string) (op Operation, err error) {
	op.Kind = Kind(words[0])
	bounds, known := arguments[op.Kind]
	rest := words[1:]
	switch {
	case !known:
		return op, fmt.Errorf("no operation %q", words[0])
	case len(rest) < bounds[0] || len(rest) > bounds[1]:
		return op, fmt.Errorf("%s has %d words after it", op.Kind, len(rest))
	}
	if op.Kind == Create {
		rest, op.Tree = rest[:1], rest[1]
	}
	op.Layers = slices.Clone(rest)
	return op, nil
}

// outcomes are those that each kind can have, beside failed.
var outcomes = map[Kind][]Outcome{
	Create:  {Done, AlreadyExists, Busy, Indefinite},
	Delete:  {Done, Unknown, Leftover, Indefinite},
	List:    {Done},
	Exists:  {Done},
	Read:    {Done, Unknown, Torn},
	Look:    {Done},
	Recover: {Done},
}

func (op *Operation) parseResult(words []string) (r Result, err error) {
	if len(words) == 0 {
		return r, fmt.Errorf("no outcome")
	}
	r.Outcome = Outcome(words[0])
	if r.Outcome != Failed && !slices.Contains(outcomes[op.Kind], r.Outcome) {
		return r, fmt.Errorf("%s has no outcome %q", op.Kind, words[0])
	}
	rest := words[1:]
	wrong := func(want string) error {
		return fmt.Errorf("%s of %s wants %s after it, and has %q", r.Outcome, op.Kind, want, strings.Join(rest, " "))
	}
	yes := func(a, b string) error {
		if len(rest) == 0 || rest[0] != a && rest[0] != b {
			return wrong(a + " or " + b)
		}
		r.Yes, rest = rest[0] == a, rest[1:]
		return nil
	}
	switch {
	case r.Outcome == Unknown && op.Kind == Delete:
		if len(rest) != 1 || !slices.Contains(op.Layers, rest[0]) {
			return r, wrong("one of its layers")
		}
		r.Layers, rest = rest, nil
	case r.Outcome != Done:
	case op.Kind == Exists:
		err = yes("yes", "no")
	case op.Kind == Recover:
		err = yes("all", "some")
	case op.Kind == Look:
		if err = yes("link", "nolink"); err == nil {
			r.Trees, rest = rest, nil
		}
	case op.Kind == List:
		r.Layers, rest = rest, nil
	case op.Kind == Read:
		if len(rest) != 1 {
			return r, wrong("a tree")
		}
		r.Trees, rest = rest, nil
	}
	if err == nil && len(rest) > 0 {
		err = wrong("nothing")
	}
	return r, err
}
