package crashsim

import (
	"context"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// A Need is what one claim needs to be true, under each durability model.
type Need struct {
	Claim world.Claim
	About string // what was done: "deletion" or "addition"
	// Fsyncs has for each model the smallest sets of fsyncs under which the claim
	// is true. An empty set says that it needs none; no set at all that it is
	// false with every fsync that there is.
	Fsyncs map[string][][]string
}

// Cell is the need under one model in words.
func (n Need) Cell(model string) string {
	var words []string
	for _, set := range n.Fsyncs[model] {
		if len(set) == 0 {
			return "none"
		}
		words = append(words, strings.Join(set, "+"))
	}
	if len(words) == 0 {
		return "false"
	}
	return strings.Join(words, " or ")
}

// Weakest is the weakest model under which the claim needs no fsync, or "-".
func (n Need) Weakest() string {
	weakest := "-"
	for _, model := range []string{"ordered", "perDirectory", "weak"} {
		if n.Cell(model) == "none" {
			weakest = model
		}
	}
	return weakest
}

// WriteNeeds prints a table of needs.
func WriteNeeds(out io.Writer, needs []Need) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ABOUT\tCLAIM\tORDERED\tPERDIRECTORY\tWEAK\tWEAKEST WITHOUT FSYNC")
	for _, n := range needs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.About, n.Claim, n.Cell("ordered"), n.Cell("perDirectory"), n.Cell("weak"), n.Weakest())
	}
	return w.Flush()
}

// deletionClaims and additionClaims are what [Needs] is about.
var (
	deletionClaims = []world.Claim{world.LiveKept, world.HolderOnly, world.CallsSucceed, world.ForeignKept, world.NothingLeft, world.ReachableWhole, world.WholeOrFlagged, world.NoLeak, world.DataHasLock}
	additionClaims = []world.Claim{world.LiveKept, world.NothingLeft, world.ReachableWhole, world.WholeOrFlagged, world.NoLeak, world.DataHasLock}
)

// Needs finds out which claim needs which fsyncs, by trying every set of them
// under every durability model, for the deletion of two layers and for the
// addition of one. A process recovers beside them and one is killed. It takes
// about a second on two processors.
func Needs(ctx context.Context) ([]Need, error) {
	deletion, err := needs(ctx, "deletion", Scenario{Deleters: 1, Victims: 2, Files: 2, Recoverers: 1, Kills: 1},
		[]string{"flag", "record", "data"}, deletionClaims)
	if err != nil {
		return nil, err
	}
	addition, err := needs(ctx, "addition", Scenario{Adders: 1, Files: 2, Recoverers: 1, Kills: 1}, AllSyncs, additionClaims)
	return append(deletion, addition...), err
}

func needs(ctx context.Context, about string, s Scenario, syncs []string, claims []world.Claim) ([]Need, error) {
	sets := make([][]string, 1<<len(syncs))
	for set := range sets {
		sets[set] = []string{}
		for i, name := range syncs {
			if set>>i&1 != 0 {
				sets[set] = append(sets[set], name)
			}
		}
	}
	var all []job
	for m := range disk.Durabilities {
		for _, set := range sets {
			t := s
			t.Syncs = set
			all = append(all, job{t, disk.Durability(m), true})
		}
	}
	broken := make([]map[world.Claim]bool, len(all))
	report, err := runJobs(ctx, all, 1, Options{})
	if err != nil {
		return nil, err
	}
	for i := range all {
		broken[i] = make(map[world.Claim]bool)
		for _, f := range report.Findings {
			if f.Durability == all[i].model.String() && slices.Equal(f.Scenario.Syncs, all[i].scenario.Syncs) {
				broken[i][f.Claim] = true
			}
		}
	}
	var result []Need
	for _, claim := range claims {
		n := Need{Claim: claim, About: about, Fsyncs: make(map[string][][]string)}
		for m := range disk.Durabilities {
			holds := func(set int) bool { return !broken[m*len(sets)+set][claim] }
			var least [][]string
			for set := range sets {
				if holds(set) && minimal(set, holds) {
					least = append(least, sets[set])
				}
			}
			slices.SortStableFunc(least, func(a, b []string) int { return len(a) - len(b) })
			n.Fsyncs[disk.Durability(m).String()] = least
		}
		result = append(result, n)
	}
	return result, nil
}

// minimal reports whether no smaller set within set holds.
func minimal(set int, holds func(int) bool) bool {
	for smaller := range set {
		if smaller&^set == 0 && bits.OnesCount(uint(smaller)) < bits.OnesCount(uint(set)) && holds(smaller) {
			return false
		}
	}
	return true
}
