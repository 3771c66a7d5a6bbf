package mutant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// product are the packages that mutants are enumerated of.
var product = []string{"internal/kernel", "tempdir", "tempdir/compat", "tempdir/layerstore"}

// hooks are files of the product that only checks use.
var hooks = []string{"internal/kernel/around.go", "internal/kernel/disk.go", "internal/kernel/hook.go"}

// A Source is a module with mutants.
type Source struct {
	Root   string // of the module
	Work   string // directory for what is built, one for every state of the source; other users run programs there
	Digest string // of the source

	Mutants    []*Mutant // named and enumerated
	Enumerated int       // all that the rules make
	Sampled    int       // of them, chosen
	Unbuilt    int       // of them, that do not compile
	Errors     map[*Mutant]error

	module  string
	number  map[*Mutant]int
	own     map[*Mutant]bool
	overlay string
	mu      sync.Mutex
	built   map[string]bool

	listing sync.Mutex
	listed  map[string][]*part // by the detector's name
}

// Open reads the source at root, enumerates its mutants, of which a sample is
// taken, without that of the size past, adds those of the catalogue, and makes a
// source in which all are. What it builds is kept in work, and used again by the
// next one of the same source.
func Open(ctx context.Context, root, work string, sample, past int) (*Source, error) {
	s := &Source{Root: root, Errors: map[*Mutant]error{}, number: map[*Mutant]int{}, own: map[*Mutant]bool{}, built: map[string]bool{}, listed: map[string][]*part{}}
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	s.module = strings.Fields(string(gomod))[1]
	if s.Digest, err = digest(root); err != nil {
		return nil, err
	}
	s.Work = filepath.Join(work, fmt.Sprintf("%.16s-%d-%d", s.Digest, sample, past))
	if err := os.MkdirAll(s.Work, 0o755); err != nil {
		return nil, err
	}
	named, err := Catalogue()
	if err != nil {
		return nil, err
	}
	enumerated, err := s.enumerate()
	if err != nil {
		return nil, err
	}
	s.Enumerated = len(enumerated)
	named = s.excuse(named, enumerated)
	var known []*Mutant
	if past > 0 {
		known = Sample(enumerated, past)
	}
	enumerated = slices.DeleteFunc(Sample(enumerated, sample), func(m *Mutant) bool { return slices.Contains(known, m) })
	s.Sampled = len(enumerated)
	return s, s.weave(ctx, append(named, enumerated...))
}

// digest is of every file that a build depends on.
func digest(root string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".txt", ".mod", ".sum", ".cfg", ".tla", ".json":
			if filepath.Base(path) == matrixFile {
				return nil
			}
			text, err := os.ReadFile(path)
			fmt.Fprintf(h, "%s %d\n", strings.TrimPrefix(path, root), len(text))
			h.Write(text)
			return err
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func (s *Source) read(file string) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.Root, file))
	return string(text), err
}

func (s *Source) enumerate() (all []*Mutant, err error) {
	for _, dir := range product {
		files, err := os.ReadDir(filepath.Join(s.Root, dir))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			path := filepath.Join(dir, f.Name())
			match, err := build.Default.MatchFile(filepath.Join(s.Root, dir), f.Name())
			if err != nil || !match || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || slices.Contains(hooks, path) {
				continue
			}
			text, err := s.read(path)
			if err != nil {
				return nil, err
			}
			mutants, err := Enumerate(path, text)
			if err != nil {
				return nil, err
			}
			all = append(all, mutants...)
		}
	}
	return all, nil
}

var complaint = regexp.MustCompile(`mutant(\d+)\.go:\d+`)

// weave makes the source with all mutants, without those that do not compile. Of
// enumerated ones that is counted, of others an error.
func (s *Source) weave(ctx context.Context, mutants []*Mutant) error {
	for {
		files, own, errs := schemata(s.module, s.read, mutants)
		for m, err := range errs {
			s.Errors[m] = err
		}
		s.number, s.own = map[*Mutant]int{}, map[*Mutant]bool{}
		for i, m := range mutants {
			s.number[m] = i + 1
		}
		for _, m := range own {
			s.own[m] = true
		}
		var err error
		if s.overlay, err = s.write("all", files); err != nil {
			return err
		}
		packages := map[string]bool{}
		for file := range files {
			packages["./"+filepath.Dir(file)] = true
		}
		output, err := s.goTool(ctx, append([]string{"build", "-overlay", s.overlay, "-gcflags=-e"}, slices.Sorted(maps.Keys(packages))...)...)
		if err == nil {
			s.Mutants = mutants
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		broken := map[int]bool{}
		for _, match := range complaint.FindAllStringSubmatch(output, -1) {
			n, _ := strconv.Atoi(match[1])
			broken[n] = true
		}
		if len(broken) == 0 {
			return fmt.Errorf("the source with all mutants does not compile: %s", output)
		}
		mutants = slices.DeleteFunc(mutants, func(m *Mutant) bool {
			bad := broken[s.number[m]]
			if bad && m.Enumerated() {
				s.Unbuilt++
			} else if bad {
				s.Errors[m] = errors.New("it does not compile: " + firstAbout(output, s.number[m]))
			}
			return bad
		})
	}
}

func firstAbout(output string, number int) string {
	for line := range strings.Lines(output) {
		if strings.Contains(line, fmt.Sprintf("mutant%d.go:", number)) {
			return strings.TrimSpace(line)
		}
	}
	return output
}

// Enumerated reports whether the mutant follows from a rule, and is not of the
// catalogue.
func (m *Mutant) Enumerated() bool { return m.Change != "" }

// excuse takes the reasons why enumerated mutants are equivalent out of the catalogue.
func (s *Source) excuse(named, enumerated []*Mutant) []*Mutant {
	byName := map[string]*Mutant{}
	for _, m := range enumerated {
		byName[m.Name] = m
	}
	return slices.DeleteFunc(named, func(m *Mutant) bool {
		if len(m.Edits) > 0 {
			return false
		}
		if e := byName[m.Name]; e == nil {
			s.Errors[m] = errors.New("the rules make no such mutant any more")
		} else if _, change, _ := strings.Cut(e.Change, ": "); change != m.Change {
			s.Errors[m] = fmt.Errorf("by the rules it is another one now: %s", e.Change)
		} else {
			e.Equivalent = m.Equivalent
		}
		return true
	})
}

// write writes files of an overlay, and what tells the Go tool of them.
func (s *Source) write(name string, files map[string]string) (string, error) {
	dir := filepath.Join(s.Work, name)
	replace := map[string]string{}
	for file, text := range files {
		to := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if old, err := os.ReadFile(to); err != nil || string(old) != text {
			if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
				return "", err
			}
		}
		replace[filepath.Join(s.Root, file)] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o644)
}

func (s *Source) goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.Root
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// program builds the program of a detector and returns its path: the one that has
// all mutants or, for a mutant that needs it, its own.
func (s *Source) program(ctx context.Context, pkg string, test bool, m *Mutant) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	overlay, dir := s.overlay, "all"
	if m != nil && s.own[m] {
		files, err := m.apply(s.read)
		if err != nil {
			return "", err
		}
		dir = fmt.Sprintf("own%d", s.number[m])
		if overlay, err = s.write(dir, files); err != nil {
			return "", err
		}
	}
	name := filepath.Join(s.Work, dir, "bin", filepath.Base(pkg))
	command := []string{"build"}
	if test {
		name = filepath.Join(s.Work, dir, "bin", strings.ReplaceAll(pkg, "/", "-")+".test")
		command = []string{"test", "-c", "-vet=off"}
	}
	if !s.built[name] {
		output, err := s.goTool(ctx, append(command, "-overlay", overlay, "-ldflags=-s -w", "-o", name, "./"+pkg)...)
		if err != nil {
			return "", fmt.Errorf("%w: %s", err, output)
		}
		s.built[name] = true
	}
	return name, nil
}
