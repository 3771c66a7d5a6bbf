// Package manifest holds what is known about the models of the specification:
// which there are, what each has to show, and what the recorded run of TLC saw.
// It needs no Java.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Name is the manifest's file name in the spec directory.
const Name = "manifest.json"

// Verdicts of a model.
const (
	Holds   = "holds"   // every property of the .cfg holds
	Refuted = "refuted" // TLC refutes the one property of the .cfg
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
	Files      map[string]string `json:"sha256"`              // of the .cfg and every module it uses
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

// Save writes the manifest, its rows in the order of kinds and names.
func Save(dir string, rows []Row) error {
	rank := func(r Row) string {
		kinds := []string{"gate", "large", "liveness", "power", "mixed", "store", "harmless", "mustfail", "probe"}
		return fmt.Sprintf("%02d %s", slices.Index(kinds, r.Kind), r.Model)
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(rank(a), rank(b)) })
	text, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, Name), append(text, '\n'), 0o644)
}

var (
	headerLine = regexp.MustCompile(`(?m)^\\\* (Purpose|Module|Kind|Expect): (.*)$`)
	swapLine   = regexp.MustCompile(`(?m)^ +([A-Z]\w+) +<- (\w+)$`)
	checkLine  = regexp.MustCompile(`(?m)^(?:INVARIANTS?|PROPERT(?:Y|IES)) (.*)$`)
)

// bound are the constants that a .cfg binds to a definition without being a
// mutant for it.
var bound = []string{"Pid", "Package", "RootName"}

// Read describes the model of one .cfg file, without what only a run can tell.
func Read(dir, config string) (Row, error) {
	text, err := os.ReadFile(filepath.Join(dir, config))
	if err != nil {
		return Row{}, err
	}
	row := Row{Model: strings.TrimSuffix(config, ".cfg"), Config: config}
	for _, m := range headerLine.FindAllStringSubmatch(string(text), -1) {
		switch m[1] {
		case "Purpose":
			row.Purpose = m[2]
		case "Module":
			row.Module = m[2]
		case "Kind":
			row.Kind = m[2]
		case "Expect":
			row.Verdict = Holds
			if property, ok := strings.CutSuffix(m[2], " is refuted"); ok {
				row.Verdict, row.Property = Refuted, property
			} else if m[2] != Holds {
				return Row{}, fmt.Errorf("%s: Expect: %q", config, m[2])
			}
		}
	}
	for _, m := range checkLine.FindAllStringSubmatch(string(text), -1) {
		row.Properties = append(row.Properties, strings.Fields(m[1])...)
	}
	for _, m := range swapLine.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(bound, m[1]) {
			row.Replaced = append(row.Replaced, m[1], m[2])
		}
	}
	switch {
	case row.Purpose == "" || row.Module == "" || row.Kind == "" || row.Verdict == "":
		return Row{}, fmt.Errorf("%s: Purpose, Module, Kind or Expect is missing", config)
	case row.Verdict == Refuted && !slices.Equal(row.Properties, []string{row.Property}):
		return Row{}, fmt.Errorf("%s: a model that must fail checks the one property %s", config, row.Property)
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

var usesLine = regexp.MustCompile(`(?m)^EXTENDS (.*)$|INSTANCE (\w+)`)

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
		for _, m := range usesLine.FindAllStringSubmatch(string(text), -1) {
			for _, used := range strings.FieldsFunc(m[1]+m[2], func(r rune) bool { return r == ',' || r == ' ' }) {
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

// Hashes returns the SHA-256 of the model's .cfg and of every module it uses.
func Hashes(dir string, row Row) (map[string]string, error) {
	files, err := Modules(dir, row.Module)
	if err != nil {
		return nil, err
	}
	hashes := map[string]string{}
	for _, file := range append(files, row.Config) {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		hashes[file] = hex.EncodeToString(sum[:])
	}
	return hashes, nil
}
