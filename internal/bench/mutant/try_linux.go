package mutant

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Options choose what is tried.
type Options struct {
	Detectors []Detector // all, if empty
	Chosen    func(m *Mutant) bool
	Kills     int     // so many killers of a mutant are enough; 0: all detectors
	Before    *Matrix // whose killers are tried first, the parts that killed only
	Workers   int
	Log       func(text string)
	Finished  func(m *Matrix, r *Row) error // after each mutant, one call at a time
}

// Try tries mutants. What m has already, of the same source, is not tried again:
// m is empty, or what an earlier Try that was interrupted has left.
func (s *Source) Try(ctx context.Context, m *Matrix, o Options) error {
	detectors := o.Detectors
	if len(detectors) == 0 {
		detectors = Detectors
	}
	m.Enumerated, m.Sampled, m.Unbuilt, m.Source = s.Enumerated, s.Sampled, s.Unbuilt, s.Digest
	m.Commit = s.commit(ctx)
	m.Rows = slices.DeleteFunc(m.Rows, func(r *Row) bool { return r.Commit != "" })
	if o.Before == nil {
		for _, d := range detectors { // before anything else is run
			if _, err := s.parts(ctx, d, o.Log); err != nil {
				return err
			}
		}
	}
	defer func() {
		if m.Skipped == nil {
			m.Skipped = map[string][]string{}
		}
		maps.Copy(m.Skipped, s.skipped())
	}()
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		todo  = make(chan *Mutant)
	)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for range max(o.Workers, 1) {
		group.Go(func() {
			for mutant := range todo {
				mu.Lock()
				r := m.row(mutant.Name)
				if r == nil {
					r = &Row{Mutant: mutant.Name, Of: mutant.Of, Change: mutant.Change, Enumerated: mutant.Enumerated(), Expected: mutant.Detector, Equivalent: mutant.Equivalent, Runs: []Run{}}
					m.Rows = append(m.Rows, r)
				}
				r.Change, r.Equivalent = mutant.Change, mutant.Equivalent
				mu.Unlock()
				err := s.try(ctx, mutant, r, detectors, o)
				mu.Lock()
				minute, _ := Load()
				m.Load = max(m.Load, minute)
				if err == nil && o.Finished != nil {
					err = o.Finished(m, r)
				}
				if err != nil {
					errs = append(errs, err)
					stop()
				}
				mu.Unlock()
			}
		})
	}
	// Those of the checks themselves come last: their detectors are measured then.
	product := func(m *Mutant) int { return strings.Count(m.Detector, "./") }
	for _, mutant := range slices.SortedStableFunc(slices.Values(s.Mutants), func(a, b *Mutant) int { return cmp.Compare(product(a), product(b)) }) {
		if (o.Chosen == nil || o.Chosen(mutant)) && ctx.Err() == nil {
			todo <- mutant
		}
	}
	close(todo)
	group.Wait()
	if err := s.trySpecification(ctx, m, detectors, o); err != nil {
		errs = append(errs, err)
	}
	order := map[string]int{} // models come first
	for i, mutant := range s.Mutants {
		order[mutant.Name] = i + 1
	}
	for mutant, err := range s.Errors {
		if o.Chosen == nil || o.Chosen(mutant) {
			if r := m.row(mutant.Name); r == nil {
				m.Rows = append(m.Rows, &Row{Mutant: mutant.Name, Of: mutant.Of, Expected: mutant.Detector, Error: err.Error()})
			}
		}
	}
	slices.SortStableFunc(m.Rows, func(a, b *Row) int { return cmp.Compare(order[a.Mutant], order[b.Mutant]) })
	return errors.Join(errs...)
}

// try tries a mutant: first the part that killed it before, and the detector that
// must meet it. What survives all of them meets the parts that had no turn, too.
func (s *Source) try(ctx context.Context, m *Mutant, r *Row, detectors []Detector, o Options) error {
	first := m.Detector
	before := o.Before.row(m.Name)
	if m.Equivalent != "" && before != nil && len(before.Runs) > 0 && len(before.Killers()) == 0 {
		return nil // nobody noticed
	}
	if before != nil && o.Kills > 0 && len(r.Runs) == 0 {
		for _, killer := range before.Killers() {
			d, err := FindDetector(killer.Detector)
			if err != nil || len(r.Killers()) >= o.Kills || !slices.Contains(detectors, d) && len(o.Detectors) > 0 {
				continue
			}
			run, err := s.Detect(ctx, m, d, killer.Part, 0, o.Log)
			if err != nil {
				return err
			}
			if run.Verdict == Killed {
				r.Runs = append(r.Runs, run)
			}
		}
	}
	list := slices.Clone(detectors)
	if d, err := FindDetector(first); first != "" && err != nil {
		r.Error = err.Error()
		return nil
	} else if first != "" && (len(o.Detectors) == 0 || slices.Contains(list, d)) {
		list = slices.DeleteFunc(list, func(x Detector) bool { return x == d })
		list = append([]Detector{d}, list...)
	}
	for _, d := range list {
		if o.Kills > 0 && len(r.Killers()) >= o.Kills && (d.Name != first || r.Verdict() != NotMet) {
			break
		}
		if r.run(d.Name) != nil {
			continue
		}
		run, err := s.Detect(ctx, m, d, "", 0, o.Log)
		if err != nil {
			return err
		}
		r.Runs = append(r.Runs, run)
		if err := s.keep(m, &run); err != nil {
			return err
		}
	}
	// It has not survived what had no turn. That takes up to a minute, of one mutant in a hundred.
	for i := range r.Runs {
		if r.Verdict() != Survived {
			break
		}
		first := r.Runs[i]
		if first.Left == 0 {
			continue
		}
		d, err := FindDetector(first.Detector)
		if err != nil {
			return err
		}
		run, err := s.Detect(ctx, m, d, "", first.Left, o.Log)
		if err != nil {
			return err
		}
		run.Seconds += first.Seconds
		r.Runs[i] = run
		if err := s.keep(m, &run); err != nil {
			return err
		}
	}
	return nil
}

// keep writes what a detector said that met the mutant.
func (s *Source) keep(m *Mutant, run *Run) error {
	if run.Verdict == Survived || run.Verdict == NotReached {
		return nil
	}
	path := filepath.Join(s.Work, "outputs", fmt.Sprintf("%d-%s.txt", s.number[m], strings.ReplaceAll(run.Detector, "/", "-")))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(m.Name+"\n"+run.output), 0o600)
}

const (
	mustFail      = "must-fail model"
	mustFailProof = "must-fail proof"
)

// checksModels is the test of package model that checks each model of the manifest.
const checksModels = "TestEveryModelIsAsTLCRecordedIt"

// trySpecification adds the mutants of the specification: the models that have one in place of
// an action, and of which a property must be refuted. One process checks all of them.
func (s *Source) trySpecification(ctx context.Context, m *Matrix, detectors []Detector, o Options) error {
	d, err := FindDetector("model")
	if err != nil || !slices.Contains(detectors, d) {
		return err
	}
	text, err := s.read("spec/manifest.json")
	if err != nil {
		return err
	}
	var models []struct{ Model, Kind, Purpose, Property string }
	if err := json.Unmarshal([]byte(text), &models); err != nil {
		return err
	}
	rows, names := map[string]*Row{}, []string{}
	for _, spec := range models {
		r := &Row{Mutant: "model " + spec.Model, Of: mustFail, Change: spec.Purpose + " Refuted: " + spec.Property, Expected: d.Name}
		if spec.Kind == "mustfail" && m.row(r.Mutant) == nil && (o.Chosen == nil || o.Chosen(&Mutant{Name: r.Mutant})) {
			rows[spec.Model], names = r, append(names, spec.Model)
		}
	}
	purposes := map[string]string{}
	for _, spec := range models {
		purposes[spec.Model] = spec.Purpose
	}
	if err := s.tryProofs(ctx, m, purposes, o); err != nil || len(rows) == 0 {
		return err
	}
	program, err := s.detector(ctx, d, nil)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "-test.v", "-test.run", "^"+checksModels+"$/^("+strings.Join(names, "|")+")$")
	cmd.Dir = filepath.Join(s.Root, d.Tests)
	output, _ := cmd.CombinedOutput() // a model that is not refuted makes it fail, too
	for _, name := range names {
		r, run := rows[name], Run{Detector: d.Name, Verdict: NotReached}
		match := regexp.MustCompile(`(?m)^ *--- (PASS|FAIL): (` + checksModels + "/" + name + `) \(([\d.]+)s\)$`).FindSubmatch(output)
		if match != nil {
			run.Verdict, run.Part = map[string]string{"PASS": Killed, "FAIL": Survived}[string(match[1])], string(match[2])
			run.Seconds, _ = strconv.ParseFloat(string(match[3]), 64)
		}
		r.Runs = append(r.Runs, run)
		if err := m.add(r, o); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// add adds a row that is finished.
func (m *Matrix) add(r *Row, o Options) error {
	m.Rows = append(m.Rows, r)
	if o.Finished == nil {
		return nil
	}
	return o.Finished(m, r)
}

// tryProofs adds the same without bounds: a solver must find the step that does not keep a
// clause. What it says of each is the answer wanted, or the mutant has survived.
func (s *Source) tryProofs(ctx context.Context, m *Matrix, purposes map[string]string, o Options) error {
	d := Detector{Name: "proof"} // of these alone
	program, err := s.detector(ctx, d, nil)
	if err != nil {
		return err
	}
	all, err := list(ctx, d, program)
	if err != nil {
		return err
	}
	for _, p := range all {
		r := &Row{Mutant: "proof " + p.Name, Of: mustFailProof, Change: purposes[p.Name], Expected: d.Name}
		if m.row(r.Mutant) != nil || o.Chosen != nil && !o.Chosen(&Mutant{Name: r.Mutant}) || ctx.Err() != nil {
			continue
		}
		run := s.execute(ctx, d, program, []*part{p}, timeout, 3*timeout, "LC_ALL=C")
		switch run.Part = p.Name; run.Verdict {
		case Survived: // nothing is wrong
			run.Verdict = Killed
		case Killed:
			run.Verdict = Survived
		default:
			o.Log(fmt.Sprintf("%s: %s: %s", r.Mutant, run.Verdict, tail(run.output)))
		}
		r.Runs = append(r.Runs, run)
		if err := m.add(r, o); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// commit is the hash of the source's commit, with "+" if it is not quite that.
func (s *Source) commit(ctx context.Context) string {
	output, err := exec.CommandContext(ctx, "git", "-C", s.Root, "rev-parse", "HEAD").Output()
	if err != nil {
		return ""
	}
	commit := strings.TrimSpace(string(output))
	if output, err := exec.CommandContext(ctx, "git", "-C", s.Root, "status", "--porcelain", "--", "*.go", "*.txt").Output(); err != nil || len(output) > 0 {
		commit += "+"
	}
	return commit
}
