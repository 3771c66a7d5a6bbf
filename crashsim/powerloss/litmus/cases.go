//go:build linux

package main

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
)

// A litmus is one case: a short program, of which a power loss may leave a part.
type litmus struct {
	name   string
	given  string   // what is durable before
	do     string   // the program
	forbid []string // trees that must not be left: names that are there, and, with a !, that are not
	kept   bool     // after the last step everything has to be durable

	row, column string // its place in the table
	dir         string // where it runs
}

// An operation is one that changes names or content, alone.
type operation struct {
	name, given, do    string
	file, source, goal string // what can be synced for its sake: itself, the directory that it leaves, and that it comes to
}

var operations = []operation{
	{"create", "mkdir a", "create a/f", "a/f", "", "a"},
	{"write of a new file", "mkdir a", "write a/f new", "a/f", "", "a"},
	{"mkdir", "mkdir a", "mkdir a/d", "a/d", "", "a"},
	{"symlink", "mkdir a", "symlink a/s", "", "", "a"},
	{"link", "mkdir a; mkdir b; write a/f old", "link a/f b/f", "b/f", "", "b"},
	{"unlink", "mkdir a; write a/f old", "unlink a/f", "", "a", ""},
	{"rmdir", "mkdir a; mkdir a/d", "rmdir a/d", "", "a", ""},
	{"rename", "mkdir a; write a/f old", "rename a/f a/g", "a/g", "", "a"},
	{"rename, to another directory", "mkdir a; mkdir b; write a/f old", "rename a/f b/f", "b/f", "a", "b"},
	{"rename of a directory, to another one", "mkdir a; mkdir b; mkdir a/d; write a/d/x old", "rename a/d b/d", "b/d", "a", "b"},
	{"replace", "mkdir a; write a/f old; write a/g new", "rename a/g a/f", "a/f", "", "a"},
	{"replace, from another directory", "mkdir a; mkdir b; write a/f old; write b/g new", "rename b/g a/f", "a/f", "b", "a"},
	{"write, replace", "mkdir a; write a/f old", "write a/g new; rename a/g a/f", "a/f", "", "a"},
	{"write, fsync, replace", "mkdir a; write a/f old", "write a/g new; fsync a/g; rename a/g a/f", "a/f", "", "a"},
	{"exchange", "mkdir a; write a/f old; write a/g new", "exchange a/f a/g", "a/f", "", "a"},
	{"overwrite", "mkdir a; write a/f old", "write a/f new", "a/f", "", "a"},
}

// columns are the syncs after an operation. The last two are about something else, in
// another directory.
var columns = []string{"nothing", "the file", "the directory it leaves", "its directory", "another file", "metadata, saved elsewhere"}

// after are the steps of a column; ok: the operation has it.
func (o operation) after(column string) (steps string, ok bool) {
	var path string
	switch column {
	case "nothing":
		return "", true
	case "the file":
		path = o.file
	case "the directory it leaves":
		path = o.source
	case "its directory":
		path = o.goal
	case "another file":
		return "; write c/o new; fsync c/o", true
	default:
		return "; " + strings.ReplaceAll(save, "m/", "c/") + "; fsync c", true
	}
	return "; fsync " + path, path != ""
}

// save is how a store saves its metadata, but for the sync of the directory.
const save = "write m/spare new; fsync m/spare; exchange m/spare m/state"

// A promise is one that the protocol makes, or could make, and the programs that may break
// it: each S and T in them is every sync of its list in turn.
type promise struct {
	name, given, do    string
	s, t               []string
	forbid             []string
	ordered, unordered string // the S that tempdir and layerstore make, where names are ordered and elsewhere
	tolerated          string // why it need not be kept
}

var promises = []promise{
	{
		name:  "what is reachable is whole (rule 11)",
		given: "mkdir home; mkdir home/v; write home/v/x old; write home/v/y old; mkdir temp; mkdir m; write m/o old",
		do:    "rename home/v temp/v; S; unlink temp/v/x; T; unlink temp/v/y; rmdir temp/v",
		s:     []string{"", "fsync temp", "fsync home"}, t: []string{"", "fsync temp/v", "write m/o new; fsync m/o"},
		forbid:    []string{"home/v/ !home/v/x=old", "home/v/ !home/v/y=old"},
		unordered: "fsync temp",
	},
	{
		name:  "the record goes after the layer, so that nothing leaks",
		given: "mkdir home; mkdir home/v; write home/v/x old; mkdir temp; mkdir m; write m/state old; write m/spare older",
		do:    "rename home/v temp/v; S; " + save + "; fsync m",
		s:     []string{"", "fsync temp", "fsync home"}, t: []string{""},
		forbid:    []string{"m/state=new home/v/"},
		unordered: "fsync temp",
	},
	{
		name:  "the flag is there before anything moves",
		given: "mkdir home; mkdir home/v; write home/v/x old; mkdir temp; mkdir m; write m/state old; write m/spare older",
		do:    save + "; S; rename home/v temp/v; T",
		s:     []string{"", "fsync m"}, t: []string{"", "fsync temp", "fsync home"},
		forbid:  []string{"m/state=old !home/v/"},
		ordered: "fsync m", unordered: "fsync m",
	},
	{
		name:  "metadata is old or new",
		given: "mkdir m; write m/state old; write m/spare older",
		do:    "write m/spare new; S; exchange m/spare m/state; T",
		s:     []string{"", "fsync m/spare"}, t: []string{"", "fsync m"},
		forbid:  []string{"!m/state=old !m/state=new"},
		ordered: "fsync m/spare", unordered: "fsync m/spare",
	},
	{
		name:  "a layer that is recorded is there, with its names",
		given: "mkdir home; mkdir temp; mkdir m; write m/state old; write m/spare older",
		do:    "mkdir temp/n; create temp/n/x; syncfs; rename temp/n home/n; S; " + save + "; fsync m",
		s:     []string{"", "fsync home"}, t: []string{""},
		forbid:    []string{"m/state=new !home/n/x=empty"},
		unordered: "fsync home",
	},
	{
		name:  "a layer that is recorded has its content",
		given: "mkdir home; mkdir temp; mkdir m; write m/state old; write m/spare older",
		do:    "mkdir temp/n; write temp/n/x new; S; rename temp/n home/n; fsync home; " + save + "; fsync m",
		s:     []string{"", "fsync temp/n/x", "syncfs"}, t: []string{""},
		ordered: "syncfs", unordered: "syncfs",
		forbid: []string{"m/state=new !home/n/x=new"},
	},
	{
		name:  "a directory that is reported as gone is gone",
		given: "mkdir home; mkdir home/v; write home/v/x old; mkdir temp; mkdir m; write m/said old",
		do:    "rename home/v temp/v; S; write m/said new; fsync m/said",
		s:     []string{"", "fsync temp", "fsync home"}, t: []string{""},
		forbid:  []string{"m/said=new home/v/"},
		ordered: "fsync temp", unordered: "fsync temp",
	},
	{
		name:  "a file that is reported as gone is gone",
		given: "mkdir home; write home/v old; mkdir temp; mkdir m; write m/said old",
		do:    "rename home/v temp/v; S; write m/said new; fsync m/said",
		s:     []string{"", "fsync temp", "fsync home", "fsync home; fsync temp"}, t: []string{""},
		forbid:  []string{"m/said=new home/v=old"},
		ordered: "fsync temp", unordered: "fsync home; fsync temp",
	},
	{
		name:  "a file that is reported as there is there, with its content",
		given: "mkdir home; mkdir m; write m/said old",
		do:    "write home/v new; S; write m/said new; fsync m/said",
		s:     []string{"", "fsync home", "fsync home/v", "fsync home/v; fsync home"}, t: []string{""},
		forbid:  []string{"m/said=new !home/v=new"},
		ordered: "fsync home/v; fsync home", unordered: "fsync home/v; fsync home",
	},
	{
		name:  "no data without its lock file",
		given: "mkdir root; mkdir m; write m/o old",
		do:    "create root/lock; S; mkdir root/data; T",
		s:     []string{"", "fsync root"}, t: []string{"", "fsync root/data", "write m/o new; fsync m/o"},
		forbid:    []string{"root/data/ !root/lock=empty"},
		tolerated: "recovery adopts such data (rule 3)",
	},
	{
		name:  "the lock file goes after the data",
		given: "mkdir root; create root/lock; mkdir root/data; create root/data/x; mkdir m; write m/o old",
		do:    "unlink root/data/x; rmdir root/data; S; unlink root/lock; T",
		s:     []string{"", "fsync root"}, t: []string{"", "write m/o new; fsync m/o"},
		forbid:    []string{"root/data/ !root/lock=empty"},
		tolerated: "recovery adopts such data (rule 3)",
	},
}

// allCases are the programs of operations and promises.
var allCases = sync.OnceValue(func() (cases []*litmus) {
	for _, o := range operations {
		for _, column := range columns {
			if steps, ok := o.after(column); ok {
				cases = append(cases, &litmus{
					name: o.name + " / " + column, given: o.given + "; mkdir c; write c/o old; write c/state old; write c/spare older", do: o.do + steps,
					kept: column != "nothing", row: o.name, column: column,
				})
			}
		}
	}
	for _, p := range promises {
		for _, s := range p.s {
			for _, t := range p.t {
				do := strings.NewReplacer("S;", s+";", "T;", t+";").Replace(p.do + ";")
				cases = append(cases, &litmus{
					name: p.name + " / " + cmp.Or(s, "-") + " / " + cmp.Or(t, "-"), given: p.given, do: do, forbid: p.forbid, row: p.name, column: s,
				})
			}
		}
	}
	for i, c := range cases {
		c.dir = fmt.Sprintf("%03d", i)
		words := make([]string, 0, 16)
		for _, s := range parse(c.do) {
			words = append(words, s.String())
		}
		c.do = strings.Join(words, "; ")
	}
	return cases
})
