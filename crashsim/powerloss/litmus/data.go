//go:build linux

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// A seen tree is what some power losses left.
type seen struct {
	steps  int // of the program that had returned
	tree   string
	states int // different contents of the disk
}

// A table is what was seen of one file system under one kernel.
type table struct {
	fs, kernel, how string
	cases           map[string]*result
}

type result struct {
	do   string
	seen []seen
}

// String is the form of the files in data.
func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of Linux %s: %s\n", t.fs, t.kernel, t.how)
	for _, c := range allCases() {
		r := t.cases[c.name]
		if r == nil {
			continue
		}
		fmt.Fprintf(&b, "\n%s: %s\n", c.name, r.do)
		for _, s := range r.seen {
			fmt.Fprintf(&b, "%d\t%d\t%s\n", s.steps, s.states, s.tree)
		}
	}
	return b.String()
}

// parseTable reads what String wrote.
func parseTable(text string) (*table, error) {
	t := &table{cases: make(map[string]*result)}
	var r *result
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		fields := strings.SplitN(line, "\t", 3)
		before, after, ok := strings.Cut(line, ": ")
		switch {
		case n == 1:
			t.how = after
			if _, err := fmt.Sscanf(before, "%s of Linux %s", &t.fs, &t.kernel); err != nil {
				return nil, fmt.Errorf("line 1: %w", err)
			}
		case line == "":
		case len(fields) == 3:
			steps, err := strconv.Atoi(fields[0])
			states, failed := strconv.Atoi(fields[1])
			if err != nil || failed != nil || r == nil {
				return nil, fmt.Errorf("line %d: %q", n, line)
			}
			r.seen = append(r.seen, seen{steps, fields[2], states})
		case ok:
			r = &result{do: after}
			t.cases[before] = r
		default:
			return nil, fmt.Errorf("line %d: %q", n, line)
		}
	}
	return t, lines.Err()
}

// add counts one state.
func (r *result) add(steps int, tree string) {
	for i := range r.seen {
		if s := &r.seen[i]; s.steps == steps && s.tree == tree {
			s.states++
			return
		}
	}
	r.seen = append(r.seen, seen{steps, tree, 1})
	slices.SortFunc(r.seen, func(a, b seen) int {
		return cmp.Or(a.steps-b.steps, strings.Compare(a.tree, b.tree))
	})
}

// A count is how many states are wrong, of how many; and one of them.
type count struct {
	wrong, of int
	example   string
}

func (n *count) note(s seen, wrong bool) {
	n.of += s.states
	if wrong {
		n.wrong += s.states
		n.example = s.tree
	}
}

// matches reports whether a tree has all that the pattern says: "a/ !b/c b/d=new" is
// the directory a, no name b/c, and the file b/d, which says new.
func matches(pattern, tree string) bool {
	words := strings.Fields(tree)
	for p := range strings.FieldsSeq(pattern) {
		name, not := strings.CutPrefix(p, "!")
		if slices.Contains(words, name) == not {
			return false
		}
	}
	return true
}

// lost are states in which something was not durable after the last step.
func (r *result) lost(t *trace) (n count) {
	for _, s := range r.seen {
		if s.steps == len(t.steps) {
			n.note(s, s.tree != t.moments[len(t.moments)-1])
		}
	}
	return n
}

// bystanders are files of which the content does not matter to what is asked: it is
// written over in place, which no file system orders.
var bystanders = regexp.MustCompile(`\b(c/o|c/spare)=\w+`)

// disordered are states that are no moment of the program.
func (r *result) disordered(t *trace) (n count) {
	var moments []string
	for _, m := range t.moments {
		moments = append(moments, bystanders.ReplaceAllString(m, "$1"))
	}
	for _, s := range r.seen {
		n.note(s, !slices.Contains(moments, bystanders.ReplaceAllString(s.tree, "$1")))
	}
	return n
}

// broken are states that the case forbids.
func (r *result) broken(c *litmus) (n count) {
	for _, s := range r.seen {
		n.note(s, slices.ContainsFunc(c.forbid, func(p string) bool { return matches(p, s.tree) }))
	}
	return n
}

// A containment says how a model stands to what was seen.
type containment struct {
	trees, outside int // different trees, by case and by steps that had returned
	example        string
	allowed, met   int // trees that the model allows, and those of them that were seen
}

// contained holds the table against the model.
func (t *table) contained(m disk.Durability) (n containment) {
	for _, c := range allCases() {
		r := t.cases[c.name]
		if r == nil {
			continue
		}
		program := follow(c)
		for returned := range len(program.steps) + 1 {
			worlds := program.worlds(m, returned)
			met := make([]bool, len(worlds))
			for _, s := range r.seen {
				if s.steps != returned {
					continue
				}
				n.trees++
				in := false
				for i := range worlds {
					if worlds[i].may(s.tree) {
						in, met[i] = true, true
					}
				}
				if !in {
					n.outside++
					n.example = fmt.Sprintf("%s, after %d steps: %s", c.name, returned, s.tree)
				}
			}
			for _, is := range met {
				n.allowed++
				if is {
					n.met++
				}
			}
		}
	}
	return n
}
