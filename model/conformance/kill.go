//go:build linux

package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/afterlock/afterlock/model"
)

// Kill executes crash edges of a model's state graph with operating system
// processes, one for each process of the model: the one that crashes is killed
// by SIGKILL, and the kernel closes what it had open. n edges are tried, spread
// evenly over the graph, each on a shortest walk; after every step the world is
// compared with the state, and so it is seen that the kernel dropped the locks.
//
// A program that calls it calls [proc.Become] first thing. The error is as for
// [Run]. In the report EdgesRun is how many crash edges were executed.
func Kill(ctx context.Context, o Options, n int) (report Report, err error) {
	m := model.Find(o.Model)
	if m == nil || m.Protocol == nil || m.Symmetry != "" || len(m.Protocol.Upstream)+len(m.Protocol.Mounted) > 0 || m.Protocol.Pid != "Apart" {
		return report, fmt.Errorf("no model of processes of ours alone is called %q", o.Model)
	}
	report.Model = m.Name
	g, err := m.Graph(ctx, model.Options{})
	if err != nil {
		return report, err
	}
	begin := time.Now()
	r := &run{Options: o, m: m, g: g}
	s, done, err := open(o.Dir, m)
	if err != nil {
		return report, err
	}
	defer func() {
		report.Counts, report.Injected, report.Elapsed = s.counts, int64(len(s.injected)), time.Since(begin)
		if failed := done(); err == nil {
			err = failed
		}
	}()
	for _, p := range s.procs[1:] {
		p.runner, p.forked = new(forkedLibrary), true
	}
	walks := crashWalks(g)
	report.States, report.Edges = int64(g.States()), int64(len(walks))
	n = min(n, len(walks))
	for i := range n {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		w := walks[i*len(walks)/n]
		s.counts.Walks++
		at, edge, failure := r.walk(s, w)
		if isEnvironment(failure) {
			return report, failure
		}
		if failure != nil {
			report.Divergence = &Divergence{Model: m.Name, Step: at + 1, Reason: failure.Error(), Schedule: written(g, m.Name, w, s.choices)}
			if edge >= 0 {
				report.Divergence.Action = "with processes, " + g.Actions[g.Out(endOf(g, w[:at]))[w[at]].Action].String()
			}
			return report, nil
		}
		report.EdgesRun++
	}
	return report, nil
}

// crashWalks are a shortest walk over each crash edge, in the order of the
// states that they leave.
func crashWalks(g *model.Graph) (walks []walk) {
	for state := range g.States() {
		for k, e := range g.Out(state) {
			if g.Actions[e.Action].Slot == "Crash" {
				walks = append(walks, append(shortest(g, state), uint16(k)))
			}
		}
	}
	return walks
}
