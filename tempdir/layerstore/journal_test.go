//go:build linux

package layerstore_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// An image is what a disk has: names, and content of files in pieces, whose names are
// "0" and "1" in the file. So the durability models of the simulated disk decide about
// both: they know names only.
type image struct {
	names map[disk.Name]int32
	data  map[disk.Name]string
}

// firstPiece is the size of the first piece of a file. The rest is the second; writes
// over a file can reach the disk one without the other. That is so by sectors; a small
// piece makes a few records do what many would.
const firstPiece = 64

// A change is what power loss may undo, for as long as nothing made it durable.
type change struct {
	disk.Change        // of an exchange, Over is what goes to From
	device      uint64 // of the file system
	content     string // of a piece
}

func (c *change) piece() bool { return c.Kind == disk.Save }

func (i image) apply(c *change) {
	switch {
	case c.piece():
		i.data[c.To] = c.content
	case c.Kind == disk.Link:
		i.names[c.To] = c.Node
	case c.Kind == disk.Unlink:
		delete(i.names, c.From)
	default:
		delete(i.names, c.From)
		if c.Over >= 0 {
			i.names[c.From] = c.Over
		}
		i.names[c.To] = c.Node
	}
}

func (i image) copy() image { return image{maps.Clone(i.names), maps.Clone(i.data)} }

// A node is an inode of the real disk.
type node struct {
	mode   fs.FileMode
	target string // of a symbolic link
	device uint64
}

// A journal watches real directories, and keeps what calls changed in them and what is
// not durable yet: not what a call says, but what it did. Only what a sync is
// about is taken from the call, and that by its inode.
type journal struct {
	model   disk.Durability // of names of one file system; pieces are ordered by nothing
	watched []string        // nodes 0, 1, ...
	nodes   []node
	inodes  map[[2]uint64]int32
	now     image     // with everything
	durable image     // without what is pending
	pending []*change // in the order in which they were made
	needs   []uint64  // of pending: what each survives only with
	fresh   int       // the first of pending that no look has seen
	drawn   map[string]string
}

func newJournal(model disk.Durability, watched ...string) *journal {
	j := &journal{model: model, watched: watched, inodes: map[[2]uint64]int32{}, drawn: map[string]string{},
		now: image{map[disk.Name]int32{}, map[disk.Name]string{}}}
	for _, dir := range watched {
		j.node(dir, must(os.Lstat(dir)))
	}
	j.durable = j.now.copy()
	j.scan()
	j.settle()
	return j
}

// node returns the number of an inode.
func (j *journal) node(path string, info fs.FileInfo) int32 {
	s := info.Sys().(*syscall.Stat_t)
	key := [2]uint64{uint64(s.Dev), s.Ino}
	n, known := j.inodes[key]
	if !known {
		n = int32(len(j.nodes))
		j.inodes[key] = n
		made := node{mode: info.Mode(), device: uint64(s.Dev)}
		if made.mode&fs.ModeSymlink != 0 {
			made.target = must(os.Readlink(path))
		}
		j.nodes = append(j.nodes, made)
	}
	return n
}

// scan finds what has changed on the real disk.
func (j *journal) scan() {
	seen := image{map[disk.Name]int32{}, map[disk.Name]string{}}
	var order []disk.Name // parents first
	var walk func(n int32, path string)
	walk = func(n int32, path string) {
		for _, entry := range must(os.ReadDir(path)) {
			below := filepath.Join(path, entry.Name())
			child, name := j.node(below, must(entry.Info())), disk.Name{Dir: n, Name: entry.Name()}
			seen.names[name] = child
			order = append(order, name)
			switch j.nodes[child].mode.Type() {
			case fs.ModeDir:
				walk(child, below)
			case 0:
				text := string(must(os.ReadFile(below)))
				cut := min(len(text), firstPiece)
				for i, piece := range []string{text[:cut], text[cut:]} {
					if at := (disk.Name{Dir: child, Name: fmt.Sprint(i)}); piece != "" {
						seen.data[at] = piece
						order = append(order, at)
					}
				}
			}
		}
	}
	for n, dir := range j.watched {
		walk(int32(n), dir)
	}
	gone := map[int32]disk.Name{} // by node; a file with two names loses one of them
	for name, n := range j.now.names {
		if seen.names[name] != n {
			gone[n] = name
		}
	}
	for _, at := range order {
		n, isName := seen.names[at]
		switch before, was := j.now.names[at]; {
		case !isName:
			if j.now.data[at] != seen.data[at] {
				j.add(&change{Change: disk.Change{Kind: disk.Save, Node: at.Dir, From: disk.Name{Dir: -1}, To: at, Over: -1}, content: seen.data[at]})
			}
		case was && before == n:
		default:
			c := &change{Change: disk.Change{Kind: disk.Link, Node: n, From: disk.Name{Dir: -1}, To: at, Over: -1}}
			if from, moved := gone[n]; moved {
				c.Kind, c.From = disk.Rename, from
				delete(gone, n)
				if over, exchanged := seen.names[from]; exchanged && was && over == before {
					c.Over = over
					delete(gone, over)
				}
			}
			if j.now.names[at] == n {
				continue // the other half of an exchange
			}
			if was && c.Over < 0 {
				delete(gone, before)
				if c.Kind == disk.Link {
					j.add(&change{Change: disk.Change{Kind: disk.Unlink, Node: before, From: at, To: disk.Name{Dir: -1}, Over: -1}})
				}
			}
			j.add(c)
		}
	}
	left := slices.Collect(maps.Values(gone))
	slices.SortFunc(left, func(a, b disk.Name) int { return int(b.Dir - a.Dir) }) // children were made later
	for _, from := range left {
		j.add(&change{Change: disk.Change{Kind: disk.Unlink, Node: j.now.names[from], From: from, To: disk.Name{Dir: -1}, Over: -1}})
	}
	for key, n := range j.inodes {
		if int(n) >= len(j.watched) && !slices.Contains(slices.Collect(maps.Values(j.now.names)), n) {
			delete(j.inodes, key) // its number may be used again
		}
	}
}

func (j *journal) add(c *change) {
	c.Directory = j.nodes[c.Node].mode.IsDir()
	c.device = j.nodes[c.Node].device
	j.now.apply(c)
	if len(j.pending) == disk.MaxPending {
		j.settle()
	}
	j.pend(c)
}

func (j *journal) pend(c *change) {
	needs := uint64(0)
	for i, before := range j.pending {
		model := disk.Weak
		if !c.piece() && !before.piece() && c.device == before.device {
			model = j.model
		}
		if model.Carries(&before.Change, &c.Change) {
			needs |= j.needs[i] | 1<<i
		}
	}
	j.pending, j.needs = append(j.pending, c), append(j.needs, needs)
}

// sync makes durable what the sync is about, with what that needs.
func (j *journal) sync(wanted func(*change) bool) {
	set := uint64(0)
	for i, c := range j.pending {
		if wanted(c) {
			set |= j.needs[i] | 1<<i
		}
	}
	pending := j.pending
	fresh := j.fresh
	j.pending, j.needs = nil, nil
	for i, c := range pending {
		if set>>i&1 != 0 {
			j.durable.apply(c)
			if i < fresh {
				j.fresh--
			}
		} else {
			j.pend(c)
		}
	}
}

// settle is what time does.
func (j *journal) settle() { j.sync(func(*change) bool { return true }) }

// synced notes a sync of one inode, or of its file system.
func (j *journal) synced(s *unix.Stat_t, all bool) {
	n, known := j.inodes[[2]uint64{uint64(s.Dev), s.Ino}]
	j.sync(func(c *change) bool {
		return all && c.device == uint64(s.Dev) || !all && known && (c.From.Dir == n || c.To.Dir == n)
	})
}

// worlds visits what power loss may leave now and could not before: for every two
// changes of which one may survive without the other, a set with as little as possible
// and one with as much as possible. all: what it could leave before, too.
func (j *journal) worlds(all bool, visit func(image)) {
	fresh := ^(uint64(1)<<j.fresh - 1)
	every := uint64(1)<<len(j.pending) - 1
	if all {
		fresh = every
	}
	j.fresh = len(j.pending)
	sets := []uint64{every}
	if all {
		sets = append(sets, 0)
	}
	for i := range j.pending {
		without := every
		for k := range j.pending {
			if (j.needs[k]|1<<k)>>i&1 != 0 {
				without &^= 1 << k
			}
		}
		sets = append(sets, j.needs[i]|1<<i, without)
	}
	slices.Sort(sets)
	for _, set := range slices.Compact(sets) {
		if set&fresh == 0 && !all {
			continue
		}
		left := j.durable.copy()
		for i, c := range j.pending {
			if set>>i&1 != 0 {
				left.apply(c)
			}
		}
		visit(left)
	}
}

// text describes an image; what is drawn at random is numbered.
func (j *journal) text(i image) string {
	var b strings.Builder
	j.each(i, func(path string, n int32) {
		of := j.nodes[n]
		for _, name := range strings.Split(path, "/") {
			b.WriteString("/" + j.plain(name))
		}
		b.WriteString(" " + of.mode.String() + " " + j.plain(of.target))
		for _, piece := range []string{"0", "1"} {
			b.WriteString(" " + j.plain(i.data[disk.Name{Dir: n, Name: piece}]))
		}
		b.WriteString("\n")
	})
	return b.String()
}

// plain is a text in which what is drawn at random is numbered.
func (j *journal) plain(text string) string {
	plain, known := j.drawn[text]
	if !known {
		plain = strconv.Quote(text)
		if len(text) == 17 && text[16] < 3 { // a token
			plain = fmt.Sprint("token ", text[16])
		}
		plain = drawnAtRandom.ReplaceAllStringFunc(plain, func(s string) string {
			if j.drawn[s] == "" {
				j.drawn[s] = fmt.Sprint("#", len(j.drawn))
			}
			return j.drawn[s]
		})
		j.drawn[text] = plain
	}
	return plain
}

func (i image) content(n int32) string {
	text := i.data[disk.Name{Dir: n, Name: "0"}]
	if rest := i.data[disk.Name{Dir: n, Name: "1"}]; rest != "" {
		text += strings.Repeat("\x00", firstPiece-len(text)) + rest
	}
	return text
}

// each visits the names of an image, parents first.
func (j *journal) each(i image, visit func(path string, n int32)) {
	below := map[int32][]disk.Name{}
	for at := range i.names {
		below[at.Dir] = append(below[at.Dir], at)
	}
	var walk func(n int32, path string)
	walk = func(n int32, path string) {
		slices.SortFunc(below[n], func(a, b disk.Name) int { return strings.Compare(a.Name, b.Name) })
		for _, at := range below[n] {
			visit(path+"/"+at.Name, i.names[at])
			walk(i.names[at], path+"/"+at.Name)
		}
	}
	for n := range j.watched {
		walk(int32(n), fmt.Sprint(n))
	}
}

// put makes the image below other directories.
func (j *journal) put(i image, dirs []string) {
	made := map[int32]string{}
	j.each(i, func(path string, n int32) {
		number, rest, _ := strings.Cut(path, "/")
		at := filepath.Join(dirs[number[0]-'0'], rest)
		switch of := j.nodes[n]; {
		case of.mode.IsDir():
			must(0, os.Mkdir(at, of.mode.Perm()))
		case of.target != "":
			must(0, os.Symlink(of.target, at))
		case made[n] != "":
			must(0, os.Link(made[n], at))
		default:
			made[n] = at
			must(0, os.WriteFile(at, []byte(i.content(n)), of.mode.Perm()))
		}
	})
}

// mutators are the methods that change what is on a disk, of both seams.
var mutators = map[string]bool{}
