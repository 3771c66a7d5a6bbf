// Package manifest holds what is known about the models of the specification:
// which there are, what each has to show, and what the recorded run of TLC saw.
// It needs no Java.
package manifest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// Name is the manifest's file name in the spec directory.
const Name = "manifest.json"

// Verdicts of a model.
const (
	Holds   = model.Holds   // every property of the .cfg holds
	Refuted = model.Refuted // TLC refutes the one property of the .cfg
)

// A Row is one model and its recorded run.
type Row struct {
	Model      string            `json:"model"`
	Module     string            `json:"module"`
	Config     string            `json:"cfg"`
	Kind       string            `json:"kind"`
	Purpose    string            `json:"purpose"`
	Verdict    string            `json:"verdict"`
	Exit       int               `json:"exit"`                     // of TLC
	Property   string            `json:"property,omitempty"`       // the refuted one
	Properties []string          `json:"properties"`               // those of the .cfg
	Replaced   []string          `json:"replaced,omitempty"`       // actions that the .cfg swaps, and their mutants
	Distinct   int               `json:"distinct"`                 // states of the whole graph
	Generated  int               `json:"generated"`                // states generated for it
	Depth      int               `json:"depth"`                    // of the whole graph
	Seconds    float64           `json:"seconds"`                  // of the recorded runs
	Length     int               `json:"counterexample,omitempty"` // states in it
	Loop       string            `json:"loop,omitempty"`           // how it goes on, if it breaks a liveness property
	Actions    []string          `json:"actions,omitempty"`        // names on the graph's edges
	Digest     *Digest           `json:"digest"`
	NoDigest   string            `json:"no_digest,omitempty"` // why Digest is null
	Files      map[string]string `json:"sha256"`              // of the .cfg and what it leads to in every module it uses
	Steps      []Step            `json:"steps,omitempty"`     // the counterexample
}

// A Digest identifies a state graph whatever the order in which it was found;
// see "Digest" in spec/README.md.
type Digest struct {
	States string `json:"states"`
	Edges  string `json:"edges"`
	Count  int    `json:"labelled_edges"`
}

// A Step is one state of a counterexample and the action that led to it.
type Step struct {
	Action string `json:"action"`
	Disk   string `json:"disk"`
}

// Load reads the manifest of the spec directory dir.
func Load(dir string) ([]Row, error) {
	text, err := os.ReadFile(filepath.Join(dir, Name))
	if err != nil {
		return nil, err
	}
	var rows []Row
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", Name, err)
	}
	return rows, nil
}

// Save writes the manifest, its rows in the order of kinds and names. Steps are
// kept for COUNTEREXAMPLES.md, which has none of probes.
func Save(dir string, rows []Row) error {
	for i := range rows {
		if rows[i].Kind == "probe" {
			rows[i].Steps = nil
		}
	}
	rank := func(r Row) string {
		return fmt.Sprintf("%02d %s", slices.Index(model.Kinds, r.Kind), r.Model)
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(rank(a), rank(b)) })
	text, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, Name), append(text, '\n'), 0o644)
}

// Read describes the model of one .cfg file, without what only a run can tell.
func Read(dir, config string) (Row, error) {
	text, err := os.ReadFile(filepath.Join(dir, config))
	if err != nil {
		return Row{}, err
	}
	s, err := model.ReadSource(strings.TrimSuffix(config, ".cfg"), string(text))
	if err != nil {
		return Row{}, err
	}
	row := Row{Model: s.Name, Config: config, Module: s.Module, Kind: s.Kind, Purpose: s.Purpose, Verdict: Holds,
		Property: s.Refuted, Properties: s.Properties, Replaced: s.Replaced()}
	if s.Refuted != "" {
		row.Verdict = Refuted
	}
	return row, nil
}

// Configs returns the .cfg files of the spec directory.
func Configs(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.cfg"))
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths, err
}

var uses = regexp.MustCompile(`(?m)^EXTENDS\s+(\w+(?:\s*,\s*\w+)*)|INSTANCE\s+(\w+)`)

// Modules returns the files of the module and of all modules of the spec that
// it uses, in order.
func Modules(dir, module string) ([]string, error) {
	seen := map[string]bool{}
	var visit func(string) error
	visit = func(module string) error {
		file := module + ".tla"
		text, err := os.ReadFile(filepath.Join(dir, file))
		if os.IsNotExist(err) {
			return nil // a standard module
		}
		if err != nil || seen[file] {
			return err
		}
		seen[file] = true
		for _, m := range uses.FindAllStringSubmatch(comment.ReplaceAllString(string(text), "$1"), -1) {
			for _, used := range word.FindAllString(m[1]+m[2], -1) {
				if err := visit(used); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := visit(module)
	var files []string
	for file := range seen {
		files = append(files, file)
	}
	slices.Sort(files)
	return files, err
}
