package linearizability

import (
	"fmt"
	"slices"
	"strings"
)

// arguments are how many words each kind has after it, at least and at most.
var arguments = map[Kind][2]int{
	Create: {2, 5}, Delete: {1, 1 << 10}, List: {}, Exists: {1, 1}, Read: {1, 1}, Look: {1, 1}, Recover: {},
	Mount: {1, 1}, Unmount: {1, 1},
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
		more := rest[2:]
		rest, op.Tree = rest[:1], rest[1]
		if len(more) > 1 && more[0] == "on" {
			op.Parent, more = more[1], more[2:]
		}
		if len(more) > 0 && more[0] == "image" {
			op.Image, more = true, more[1:]
		}
		if len(more) > 0 {
			return op, fmt.Errorf("create has %q after it, expected \"on\" with a parent, or image", strings.Join(more, " "))
		}
	}
	op.Layers = slices.Clone(rest)
	return op, nil
}

// outcomes are those that each kind can have, beside failed.
var outcomes = map[Kind][]Outcome{
	Create:  {Done, AlreadyExists, NoParent, Busy, Indefinite},
	Delete:  {Done, Unknown, HasChildren, Mounted, Leftover, Indefinite},
	List:    {Done},
	Exists:  {Done},
	Read:    {Done, Unknown, Torn},
	Look:    {Done},
	Recover: {Done},
	Mount:   {Done, Unknown, Indefinite},
	Unmount: {Done, Unknown, Unmounted, Indefinite},
}

func (op *Operation) parseResult(words []string) (r Result, err error) {
	if len(words) == 0 {
		return r, fmt.Errorf("no outcome")
	}
	r.Outcome = Outcome(words[0])
	if r.Outcome != Failed && r.Outcome != Exhausted && !slices.Contains(outcomes[op.Kind], r.Outcome) {
		return r, fmt.Errorf("%s has no outcome %q", op.Kind, words[0])
	}
	rest := words[1:]
	wrong := func(want string) error {
		return fmt.Errorf("%s of %s expected %s after it, and has %q", r.Outcome, op.Kind, want, strings.Join(rest, " "))
	}
	yes := func(a, b string) error {
		if len(rest) == 0 || rest[0] != a && rest[0] != b {
			return wrong(a + " or " + b)
		}
		r.Yes, rest = rest[0] == a, rest[1:]
		return nil
	}
	switch {
	case op.Kind == Delete && (r.Outcome == Unknown || r.Outcome == HasChildren || r.Outcome == Mounted):
		if len(rest) != 1 || !slices.Contains(op.Layers, rest[0]) {
			return r, wrong("one of its layers")
		}
		r.Layers, rest = rest, nil
	case r.Outcome != Done:
	case op.Kind == Exists:
		err = yes("yes", "no")
	case op.Kind == Recover:
		err = yes("all", "some")
	case op.Kind == Look && len(rest) > 0 && rest[0] == "links":
		r.Yes, r.Links, r.Trees, rest = true, true, rest[1:], nil
	case op.Kind == Look:
		if err = yes("link", "nolink"); err == nil {
			r.Trees, rest = rest, nil
		}
	case op.Kind == Delete && len(rest) > 0:
		err = yes("inplace", "inplace")
	case op.Kind == List:
		r.Layers, rest = rest, nil
	case op.Kind == Read:
		if len(rest) == 0 {
			return r, wrong("a tree")
		}
		r.Trees, rest = rest, nil
	}
	if err == nil && len(rest) > 0 {
		err = wrong("nothing")
	}
	return r, err
}
