package crashsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// A Scenario is what the processes of one enumeration do, and what they may
// rely on.
type Scenario struct {
	Deleters   int  // processes that delete layers of their own
	Victims    int  // layers that each of them deletes at once; 0: they are gone already
	Files      int  // files in a layer
	Loose      bool // layers that are deleted are files themselves, and Files is 0
	Adders     int  // processes that add one layer
	Recoverers int  // processes that recover
	Rounds     int  // how often each of them does, 0: once
	Kills      int  // processes that are killed while the others go on

	Named bool // unnamed files do not work: lock files are created, and then locked

	Batch int // names that one call of a listing returns, 0: all

	// Syncs are the fsyncs that are made: of PowerLoss.tla, "flag" and "record"
	// by the store and "data" by the library, and "content", of what is added,
	// by the store.
	Syncs []string
}

// AllSyncs are the names that Scenario.Syncs may have.
var AllSyncs = []string{"flag", "record", "data", "content"}

const maxActors = 3

// String is the scenario in the words that [ParseScenario] reads.
func (s Scenario) String() string {
	var words []string
	if s.Deleters > 0 {
		words = append(words, fmt.Sprintf("delete=%dx%dx%d", s.Deleters, s.Victims, s.Files))
	}
	if s.Loose {
		words = append(words, "loose=1")
	}
	if s.Adders > 0 {
		words = append(words, fmt.Sprintf("add=%dx%d", s.Adders, s.Files))
	}
	if s.Recoverers > 0 {
		words = append(words, fmt.Sprintf("recover=%d", s.Recoverers))
		if s.Rounds > 0 {
			words[len(words)-1] += fmt.Sprintf("x%d", s.Rounds)
		}
	}
	if s.Kills > 0 {
		words = append(words, fmt.Sprintf("kill=%d", s.Kills))
	}
	if s.Named {
		words = append(words, "named=1")
	}
	if s.Batch > 0 {
		words = append(words, fmt.Sprintf("batch=%d", s.Batch))
	}
	if len(s.Syncs) > 0 {
		words = append(words, "sync="+strings.Join(s.Syncs, "+"))
	}
	return strings.Join(words, ",")
}

// ParseScenario reads what String writes.
func ParseScenario(text string) (s Scenario, err error) {
	for word := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(word, "=")
		var numbers []int
		for part := range strings.SplitSeq(value, "x") {
			n, err := strconv.Atoi(part)
			if err == nil && n >= 0 && n <= 16 {
				numbers = append(numbers, n)
			}
		}
		switch {
		case key == "delete" && len(numbers) == 3:
			s.Deleters, s.Victims, s.Files = numbers[0], numbers[1], numbers[2]
		case key == "add" && len(numbers) == 2:
			s.Adders, s.Files = numbers[0], numbers[1]
		case key == "recover" && len(numbers) == 1:
			s.Recoverers = numbers[0]
		case key == "recover" && len(numbers) == 2:
			s.Recoverers, s.Rounds = numbers[0], numbers[1]
		case key == "batch" && len(numbers) == 1:
			s.Batch = numbers[0]
		case key == "kill" && len(numbers) == 1:
			s.Kills = numbers[0]
		case key == "loose" && value == "1":
			s.Loose = true
		case key == "named" && value == "1":
			s.Named = true
		case key == "sync":
			for name := range strings.SplitSeq(value, "+") {
				if !slices.Contains(AllSyncs, name) {
					return s, fmt.Errorf("scenario %q: no fsync %q; there are: %s", text, name, strings.Join(AllSyncs, ", "))
				}
				s.Syncs = append(s.Syncs, name)
			}
		default:
			return s, fmt.Errorf("scenario %q: cannot read %q; expected words such as delete=1x3x2,add=1x2,recover=1,kill=1,sync=flag+data", text, word)
		}
	}
	switch actors := s.Deleters + s.Adders + s.Recoverers; {
	case actors == 0 || actors > maxActors:
		return s, fmt.Errorf("scenario %q: has %d processes, expected 1 to %d", text, actors, maxActors)
	case s.Loose && s.Files > 0:
		return s, fmt.Errorf("scenario %q: layers are files, and have %d files in them", text, s.Files)
	case s.Deleters*s.Victims > 6:
		return s, fmt.Errorf("scenario %q: has %d victims, expected at most 6", text, s.Deleters*s.Victims)
	}
	return s, nil
}

func (s *Scenario) syncs(name string) bool { return slices.Contains(s.Syncs, name) }

// Names on the disk.
const (
	rootName   = "tempdirs"
	layersName = "layers"
	metaName   = "meta"
	foreign    = "notes"
)

// A batch is what one deleter or adder is about.
type batch struct {
	layers []string // homes
	record string
}

func (s *Scenario) deletion(i int) batch {
	b := batch{record: fmt.Sprintf("%s/d%d", metaName, i)}
	for v := range s.Victims {
		b.layers = append(b.layers, fmt.Sprintf("%s/v%d-%d", layersName, i, v))
	}
	return b
}

func (s *Scenario) addition(i int) batch {
	return batch{[]string{fmt.Sprintf("%s/new%d", layersName, i)}, fmt.Sprintf("%s/a%d", metaName, i)}
}

// batches are all that have records.
func (s *Scenario) batches() (all []batch) {
	for i := range s.Deleters {
		all = append(all, s.deletion(i))
	}
	for i := range s.Adders {
		all = append(all, s.addition(i))
	}
	return all
}

func (s *Scenario) files() (names []string) {
	for i := range s.Files {
		names = append(names, fmt.Sprintf("f%d", i))
	}
	return names
}

// want is what must be true of every tree of the scenario.
func (s *Scenario) want() world.Want {
	var whole world.Tree
	for _, name := range s.files() {
		whole = append(whole, world.Node{Path: name, Kind: world.File})
	}
	w := world.Want{Root: rootName, Foreign: []string{foreign}}
	for i, b := range s.batches() {
		for _, home := range b.layers {
			w.Layers = append(w.Layers, world.Layer{Home: home, Tree: whole, Loose: s.Loose && i < s.Deleters, Record: b.record})
		}
	}
	if s.Victims == 0 {
		for i := range s.Deleters {
			w.Layers = append(w.Layers, world.Layer{Home: layersName + "/gone", Record: s.deletion(i).record})
		}
	}
	return w
}

// done says in w that the process has reported success: what it deleted is gone,
// what it added is there.
func (s *Scenario) done(w *world.Want, process int) {
	if process < s.Deleters {
		for v := range s.Victims {
			w.Layers[process*s.Victims+v].Reply = world.Gone
		}
	} else if process < s.Deleters+s.Adders {
		w.Layers[s.Deleters*s.Victims+process-s.Deleters].Reply = world.There
	}
}
