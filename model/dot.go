package model

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteDOT writes the graph in the language of Graphviz: a node for each state,
// labelled with its canonical text, an edge for each step.
func (g *Graph) WriteDOT(w io.Writer) error {
	out := bufio.NewWriter(w)
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\l`)
	fmt.Fprintln(out, "digraph model {\n\tnode [shape=box]")
	for state := range g.keys {
		fmt.Fprintf(out, "\t%d [label=\"%s\\l\"]\n", state, escape.Replace(g.Text(state)))
	}
	for state := range g.keys {
		for _, edge := range g.Out(state) {
			fmt.Fprintf(out, "\t%d -> %d [label=\"%s\"]\n", state, edge.To, escape.Replace(g.Actions[edge.Action].String()))
		}
	}
	fmt.Fprintln(out, "}")
	return out.Flush()
}
