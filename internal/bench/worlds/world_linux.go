package worlds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/internal/bench/schedule"
)

// Dimensions, in the order of their text.
const (
	program = iota
	fileSystem
	user
	space
	proc
	refuse
	shape
	place
	alias
	upstream
	company
	dimensions
)

// A Dimension is one respect in which worlds differ. The first value is the plain
// one.
type Dimension struct {
	Name   string
	Values []string
}

// Dimensions are what a world is made of.
var Dimensions = [dimensions]Dimension{
	program: {"program", []string{"delete", "remove", "add", "recover", "list", "cli-rm", "cli-recover", "cli-ls", "store-create", "store-delete", "store-recover"}},
	// Of the volume; "here" is the directory that the stage was given.
	fileSystem: {"fs", []string{"here", "tmpfs", "ext4", "nojournal", "xfs", "btrfs", "overlay", "fuse", "readonly"}},
	// An ordinary user owns what is deleted. Root of a name space is that user
	// outside, and has subordinate ids.
	user: {"user", []string{"self", "ordinary", "namespace"}},
	// Blocks and inodes are taken by files; a quota, and a file system that becomes
	// read-only after the first step, by what the calls answer.
	space: {"space", []string{"free", "noblocks", "noinodes", "quota", "turnsreadonly"}},
	// None, and fchmodat2 neither. Foreign: processes in a pid name space of their own with the /proc of another.
	proc:     {"proc", []string{"full", "none", "subset", "foreign"}},
	refuse:   {"refuse", refusalNames()},
	shape:    {"shape", shapeNames()},
	place:    {"place", []string{"beside", "mount", "lower", "project"}},
	alias:    {"alias", []string{"none", "symlink", "bind"}},
	upstream: {"upstream", []string{"none", "stale", "live", "sameprocess"}},
	company:  {"company", []string{"nobody", "reader", "recoverer", "writer", "cleaner"}},
}

// A World is a value of each dimension, by number.
type World [dimensions]byte

// value is the name of the world's value.
func (w World) value(dimension int) string {
	return Dimensions[dimension].Values[w[dimension]]
}

// is reports whether the dimension has one of the values.
func (w World) is(dimension int, values ...string) bool {
	return slices.Contains(values, w.value(dimension))
}

// String is the schedule that "afterlock replay" reads:
// world:PROGRAM[@DIMENSION=VALUE,...], without what is plain.
func (w World) String() string {
	return (&schedule.Schedule{Kind: "world", Program: w.value(program), World: strings.Join(w.settings(), ",")}).String()
}

// settings are the values that are not plain, as text.
func (w World) settings() (words []string) {
	for d := range w {
		if w[d] != 0 && d != program {
			words = append(words, Dimensions[d].Name+"="+w.value(d))
		}
	}
	return words
}

// Parse reads what String writes.
func Parse(text string) (w World, err error) {
	s, err := schedule.Parse(text)
	if err != nil {
		return w, err
	}
	if s.Kind != "world" || len(s.Steps)+len(s.Losses) > 0 {
		return w, s.Refuse("expected world:PROGRAM[@DIMENSION=VALUE,...]")
	}
	set := func(dimension int, value string) error {
		i := slices.Index(Dimensions[dimension].Values, value)
		if i < 0 {
			return s.Refuse("no %s %q; there are %s", Dimensions[dimension].Name, value, strings.Join(Dimensions[dimension].Values, ", "))
		}
		w[dimension] = byte(i)
		return nil
	}
	if err := set(program, s.Program); err != nil || s.World == "" {
		return w, err
	}
	for word := range strings.SplitSeq(s.World, ",") {
		name, value, _ := strings.Cut(word, "=")
		d := slices.IndexFunc(Dimensions[:], func(d Dimension) bool { return d.Name == name })
		if d <= program {
			return w, s.Refuse("cannot read %q; expected DIMENSION=VALUE", word)
		}
		if err := set(d, value); err != nil {
			return w, err
		}
	}
	return w, nil
}

// A partial world has values of some dimensions only.
type partial [dimensions]int8

const open = -1 // no value

// in reports whether w has all the values of p.
func (p partial) in(w partial) bool {
	for d, v := range p {
		if v != open && v != w[d] {
			return false
		}
	}
	return true
}

// values counts them.
func (p partial) values() (n int) {
	for _, v := range p {
		if v != open {
			n++
		}
	}
	return n
}

func (w World) partial() (p partial) {
	for d, v := range w {
		p[d] = int8(v)
	}
	return p
}

// String names the values.
func (p partial) String() string {
	var words []string
	for d, v := range p {
		if v != open {
			words = append(words, fmt.Sprintf("%s=%s", Dimensions[d].Name, Dimensions[d].Values[v]))
		}
	}
	return strings.Join(words, " with ")
}
