package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Recorded is what spec/manifest.json says about one model: what TLC saw.
type Recorded struct {
	Model      string   `json:"model"`
	Kind       string   `json:"kind"`
	Purpose    string   `json:"purpose"`
	Verdict    string   `json:"verdict"`
	Property   string   `json:"property"`
	Properties []string `json:"properties"`
	Replaced   []string `json:"replaced"` // definitions, each followed by its mutant
	Distinct   int64    `json:"distinct"`
	Generated  int64    `json:"generated"`
	Depth      int      `json:"depth"`
	Length     int      `json:"counterexample"`
	Actions    []string `json:"actions"` // that fire; nil if TLC's graph was not dumped
	Digest     *Digest  `json:"digest"`  // likewise
}

// ParseManifest reads the text of spec/manifest.json.
func ParseManifest(text []byte) ([]Recorded, error) {
	var rows []Recorded
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return rows, nil
}

// Differences says in one line each where a report of [Model.Check] differs
// from what TLC saw. The report must have a digest if the row has one. The
// length of a counterexample to a property about whole behaviours is not
// compared: TLC's is one of several, not a shortest one.
func (want Recorded) Differences(got *Report) (lines []string) {
	differ := func(what string, want, got any) {
		if want != got {
			lines = append(lines, fmt.Sprintf("%s: TLC has %v, Go has %v", what, want, got))
		}
	}
	differ("verdict", want.Verdict, got.Verdict)
	differ("property", want.Property, got.Property)
	differ("distinct states", want.Distinct, got.Distinct)
	differ("generated states", want.Generated, got.Generated)
	differ("depth", want.Depth, got.Depth)
	if want.Property != goneInTheEnd {
		differ("states of the counterexample", want.Length, got.Length)
	}
	if want.Digest != nil {
		seen := Digest{}
		if got.Digest != nil {
			seen = *got.Digest
		}
		differ("digest", *want.Digest, seen)
	}
	if want.Actions != nil {
		differ("actions that fire", strings.Join(want.Actions, " "), strings.Join(got.Fired(), " "))
	}
	return lines
}

// Fired returns the sorted names of the actions that fired.
func (r *Report) Fired() (names []string) {
	for name, n := range r.Actions {
		if n > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// NeverFire returns the sorted names of the actions that are in the reports and
// fired in none of them. A mutant of a model that must fail may be refuted by
// what it does not do, and is left out.
func NeverFire(reports []*Report) (names []string) {
	fired := map[string]bool{}
	for _, r := range reports {
		m := Find(r.Model)
		for name, n := range r.Actions {
			if m.MustFail() && slices.Contains(slices.Collect(maps.Values(m.Swap())), name) {
				continue
			}
			fired[name] = fired[name] || n > 0
		}
	}
	for name, ok := range fired {
		if !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
