package model

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/afterlock/afterlock/spec"
)

// A Model is one model of the specification: what a .cfg file says, under the
// same name. Exactly one of Protocol, Peers, What, Store, Save, Readers and
// Power is set.
type Model struct {
	Name    string
	Kind    string // as in spec/README.md: gate, large, liveness and so on
	Purpose string
	// Formula is SPECIFICATION, Symmetry is SYMMETRY or "".
	Formula, Symmetry string
	// Properties are those of the .cfg. A model that must fail or is a probe
	// has one, and it is refuted.
	Properties []string

	Protocol *Config
	Peers    *PeersConfig
	What     *WhatConfig
	Store    *StoreConfig
	Save     *SaveConfig
	Readers  *ReadersConfig
	Power    *PowerConfig
}

// A WhatConfig is the CONSTANTS of a model of TempDir.tla.
type WhatConfig struct {
	Creator, Recoverer, Victim, Addition []string
	Swap                                 map[string]string
}

// models are the parsed .cfg files, by kind and name. They are part of the
// program, and a test parses each: so it panics on an error.
var models = sync.OnceValue(func() (list []*Model) {
	files, err := spec.Configs.ReadDir(".")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		text, err := spec.Configs.ReadFile(file.Name())
		if err != nil {
			panic(err)
		}
		m, err := Parse(strings.TrimSuffix(file.Name(), ".cfg"), string(text))
		if err != nil {
			panic(err)
		}
		list = append(list, m)
	}
	slices.SortStableFunc(list, func(a, b *Model) int { return slices.Index(Kinds, a.Kind) - slices.Index(Kinds, b.Kind) })
	return list
})

// Models returns every model of the manifest, in its order. The slice is the
// caller's, what it points to is not. The first call parses all .cfg files.
func Models() []*Model { return slices.Clone(models()) }

// Find returns the model of that name, or nil.
func Find(name string) *Model {
	for _, m := range models() {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// MustFail says whether the one property of the model has to be refuted.
func (m *Model) MustFail() bool { return m.Kind == "mustfail" || m.Kind == "probe" }

// Swap is the definitions that the model replaces, and their mutants.
func (m *Model) Swap() map[string]string {
	switch {
	case m.Protocol != nil:
		return m.Protocol.Swap
	case m.Peers != nil:
		return m.Peers.Swap
	case m.What != nil:
		return m.What.Swap
	case m.Store != nil:
		return m.Store.Swap
	case m.Save != nil:
		return m.Save.Swap
	case m.Readers != nil:
		return m.Readers.Swap
	}
	return m.Power.Swap
}

func (m *Model) system() system {
	switch {
	case m.Protocol != nil:
		return newProtocol(*m.Protocol, noScheme, m.Formula, m.Symmetry, m.Properties)
	case m.Peers != nil:
		return newPeers(*m.Peers, m.Formula, m.Properties)
	case m.What != nil:
		for _, name := range m.Properties {
			if name != "OwnedIsStaged" {
				panic(unknown{"property", name})
			}
		}
		return newTempDir(m.What.Creator, m.What.Recoverer, m.What.Victim, m.What.Addition, m.What.Swap["Reap"] != "")
	case m.Store != nil:
		return newLayerStore(*m.Store, m.Symmetry, m.Properties)
	case m.Save != nil:
		return newSave(*m.Save, m.Properties)
	case m.Readers != nil:
		return newReaders(*m.Readers, m.Properties)
	}
	return newPowerLoss(*m.Power, m.Properties)
}

// Actions are the instances of the model's actions, in the order of Next.
func (m *Model) Actions() []Action { return m.system().actions() }

// A Report is what the exploration of one model found.
type Report struct {
	Model     string           `json:"model"`
	Kind      string           `json:"kind"`
	Verdict   string           `json:"verdict"`            // "holds" or "refuted"
	Property  string           `json:"property,omitempty"` // the refuted one
	Distinct  int64            `json:"distinct"`
	Generated int64            `json:"generated"`
	Depth     int              `json:"depth"` // in states
	Deadlocks int64            `json:"deadlocks"`
	Length    int              `json:"counterexample,omitempty"` // states in it
	Actions   map[string]int64 `json:"actions"`                  // steps of each; 0 means that it never fires
	Digest    *Digest          `json:"digest,omitempty"`

	Counterexample *Counterexample `json:"trace,omitempty"`
}

// Verdicts of a Report.
const (
	Holds   = "holds"
	Refuted = "refuted"
)

// Check explores the whole graph of the model, also beyond a broken property,
// and reports. With digest it computes the digest too, if the model has no
// symmetry. The error is that of ctx.
func (m *Model) Check(ctx context.Context, o Options, digest bool) (*Report, error) {
	r, e, err := m.explore(ctx, o)
	if err != nil {
		return nil, err
	}
	isLive := slices.Contains(m.Properties, goneInTheEnd)
	if digest = digest && m.Symmetry == ""; digest || isLive {
		g, err := e.graph(ctx, o.Workers)
		if err != nil {
			return nil, err
		}
		if digest {
			d, err := g.Digest(ctx, o.Workers)
			if err != nil {
				return nil, err
			}
			r.Digest = &d
		}
		if isLive && e.broken == nil {
			found, err := g.fairLasso(ctx, e.sys.(live))
			if err != nil {
				return nil, err
			}
			if found != nil {
				r.refuted(goneInTheEnd, g.counterexample(found))
			}
		}
	}
	return r, nil
}

// Refute explores only up to the first broken property: the quickest way to a
// shortest counterexample. It does not decide GoneInTheEnd.
func (m *Model) Refute(ctx context.Context, o Options) (*Report, error) {
	o.StopAtFirst = true
	r, _, err := m.explore(ctx, o)
	return r, err
}

// Graph explores the model and keeps the whole graph in memory.
func (m *Model) Graph(ctx context.Context, o Options) (*Graph, error) {
	_, e, err := m.explore(ctx, o)
	if err != nil {
		return nil, err
	}
	return e.graph(ctx, o.Workers)
}

func (m *Model) explore(ctx context.Context, o Options) (*Report, *exploration, error) {
	e, err := explore(ctx, m.system(), o)
	if err != nil {
		return nil, nil, err
	}
	r := &Report{Model: m.Name, Kind: m.Kind, Verdict: Holds, Distinct: e.distinct(), Generated: e.generated,
		Depth: len(e.levels), Deadlocks: e.deadlocks, Actions: map[string]int64{}}
	for i, a := range e.sys.actions() {
		r.Actions[a.Name] += e.counts[i]
	}
	if e.broken != nil {
		r.refuted(e.broken.property, e.counterexample())
	}
	return r, e, nil
}

func (r *Report) refuted(property string, c *Counterexample) {
	r.Verdict, r.Property = Refuted, property
	r.Counterexample, r.Length = c, len(c.States)
}
