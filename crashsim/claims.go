package crashsim

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

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
