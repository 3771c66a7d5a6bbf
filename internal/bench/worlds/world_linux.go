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
	rootIs
	use
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
	// Of the layer store in one of two layouts, from "store-create" on.
	program: {"program", []string{
		"delete", "remove", "release", "add", "recover", "list", "cli-rm", "cli-recover", "cli-ls",
		"store-create", "store-delete", "store-recover", "store-list", "overlay-create", "overlay-delete",
	}},
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
	// Others: everybody may put things into it, and into the victim's directory, and somebody
	// did. Exposed: and take them away. Orphaned: a live instance has lost its lock file.
	rootIs: {"root", []string{"own", "others", "exposed", "orphaned"}},
	// Who uses the victim, which matters to a layer store. Unrelated: something else is
	// used, by a name that leads to it from the victim's directory.
	use: {"use", []string{"nobody", "whole", "part", "overlay", "relative", "unrelated", "held"}},
}

// together are three dimensions or more whose values, all or some, are to meet: most of
// what people met was an ordinary user's, or what the kernel does not tell to root.
var together = []string{
	"program user=ordinary|namespace shape=closed|foreign|acl|mounted|deadvictim",
	"program user=ordinary|namespace place=mount|lower|project",
	"program=delete|release|remove|recover|store-delete|cli-rm user=self refuse=mountroot-hidden|flags-hidden|statx-ENOSYS shape=immutable|frozen|pinned|mounts|mounted alias=none",
}

// A set is dimensions, and values of them that are to meet; nil: all.
type set struct {
	dimensions []int
	values     [][]int8
}

// parseSet reads one of together.
func parseSet(text string) (s set) {
	for word := range strings.FieldsSeq(text) {
		name, values, some := strings.Cut(word, "=")
		d := slices.IndexFunc(Dimensions[:], func(d Dimension) bool { return d.Name == name })
		var numbers []int8
		for value := range strings.SplitSeq(values, "|") {
			if some {
				numbers = append(numbers, int8(slices.Index(Dimensions[d].Values, value)))
			}
		}
		s.dimensions, s.values = append(s.dimensions, d), append(s.values, numbers)
	}
	return s
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

// has reports whether the world has all values of a text: DIMENSION=VALUE|VALUE ...
func (w World) has(text string) bool {
	for word := range strings.FieldsSeq(text) {
		name, values, _ := strings.Cut(word, "=")
		d := slices.IndexFunc(Dimensions[:], func(d Dimension) bool { return d.Name == name })
		if !w.is(d, strings.Split(values, "|")...) {
			return false
		}
	}
	return true
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

// FromBytes makes a world of any bytes: one for each dimension, and what is missing is
// plain.
func FromBytes(data []byte) (w World) {
	for d := range min(len(data), dimensions) {
		w[d] = data[d] % byte(len(Dimensions[d].Values))
	}
	return w
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
func (p *partial) in(w *partial) bool {
	for d, v := range p {
		if v != open && v != w[d] {
			return false
		}
	}
	return true
}

// of is p without other dimensions than those of the set.
func (p partial) of(set []int) partial {
	only := nothing
	for _, d := range set {
		only[d] = p[d]
	}
	return only
}

// mask has a bit for each dimension of which p has a value.
func (p *partial) mask() (bits int) {
	for d, v := range p {
		if v != open {
			bits |= 1 << d
		}
	}
	return bits
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

func (w World) partial() *partial {
	var p partial
	for d, v := range w {
		p[d] = int8(v)
	}
	return &p
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
