package subjects

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// withoutPart are the variants that lack a part of the patch.
var withoutPart = []string{"patched-creator", "patched-recoverer", "patched-rechecks"}

var patchParts = []part{
	{"build", false, (*trial).patchedBuilds},
	{"together", false, (*trial).patchedTogether},
	{"schedule", true, (*trial).patchedSchedule},
	{"instances", true, (*trial).patchedInstances},
	{"puts", true, (*trial).patchedPuts},
	{"cost", true, (*trial).cost},
	{"hold", true, (*trial).patchedHolds},
	{"tests", true, (*trial).patchedTests},
}

// PatchParts are the names of what [Workshop.Patch] does.
func PatchParts() []string { return namesOf(patchParts) }

// Patch applies the patch of docs/UPSTREAM.md to copies of the release, whole and
// without one of its parts each, and runs what there is on them: they build
// elsewhere; the counterexamples of the models are steered; processes run free; the
// release's own tests have the outcomes that they have without the patch. The same
// goes for the document's second step, recovery out of the locks. The patched
// release has to lose nothing, and what lacks a part has to lose something, or the
// checks are blind. See [trial.do] for its error. It takes about ten minutes.
func (w *Workshop) Patch(ctx context.Context, o Run) (*Report, error) {
	o.Runs, o.Seconds = cmp.Or(o.Runs, 20), cmp.Or(o.Seconds, 20)
	p := &trial{Workshop: w, Report: &Report{}, Run: o, steps: []string{"released", "patched"}}
	if _, err := w.Copy(ctx, "patched-opened"); err == nil {
		p.steps = append(p.steps, "patched-opened")
	} else {
		p.Note("without the second step: %v", err)
	}
	return p.do(ctx, patchParts)
}

// patchedPackages are those that the patch changes, and that use what it changes.
var patchedPackages = []string{"./internal/rawfilelock", "./internal/staging_lockfile", "./internal/tempdir", "./pkg/lockfile"}

func (p *trial) patchedBuilds(ctx context.Context) error {
	if _, err := p.Copy(ctx, "released"); err != nil { // to be compared
		return err
	}
	table := p.Table("Builds of the patched packages, their tests included", "system", "outcome")
	for _, target := range []string{"linux/amd64", "linux/386", "linux/s390x", "freebsd/amd64", "darwin/arm64", "windows/amd64"} {
		system, architecture, _ := strings.Cut(target, "/")
		outcome := "builds"
		if _, err := p.Go(ctx, "patched", []string{"GOOS=" + system, "GOARCH=" + architecture}, append([]string{"vet"}, patchedPackages...)...); err != nil {
			outcome = "fails"
			p.Problem("the patched packages do not build for %s: %v", target, err)
		}
		table.Row(target, outcome)
	}
	return nil
}

// judge wants the patched release to lose nothing, and what is wanted to lose.
func (p *trial) judge(check, variant string, loses bool, lost, runs int, example string) {
	switch {
	case variant == "patched" && lost > 0:
		p.Problem("%s: patched loses %d of %d: %s", check, lost, runs, example)
	case loses && lost < runs:
		p.Problem("%s: %s loses %d of %d, all expected: the check sees too little", check, variant, lost, runs)
	}
}

// together plays the counterexample of UpstreamClosesCreated: goroutines of one
// process, and another process.
func (p *trial) patchedTogether(ctx context.Context) error {
	table := p.Table("Goroutines: one process creates and recovers, another recovers; the counterexample of UpstreamClosesCreated, played step by step", "variant", "runs", "live data lost")
	for _, variant := range []string{"released", "patched-rechecks", "patched"} {
		output, err := p.Go(ctx, variant+"-played", nil, "test", "-v", "-count="+strconv.Itoa(p.Runs), "-run=TestTogether", "./internal/tempdir")
		if err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		lost, kept := bytes.Count(output, []byte("live data lost: true\n")), bytes.Count(output, []byte("live data lost: false\n"))
		table.Row(variant, lost+kept, lost)
		p.AtLeast(lost+kept, p.Runs, "runs of goroutines with "+variant)
		p.judge("goroutines", variant, variant != "patched", lost, lost+kept, "see TestTogether")
	}
	output, err := p.Go(ctx, "patched-played", nil, "test", "-v", "-run=TestCheckPath", "./internal/rawfilelock")
	if err != nil || !bytes.Contains(output, []byte("--- PASS: TestCheckPath")) {
		p.Problem("the test of CheckPath: %v: %s", err, output)
	}
	return nil
}

// patchedSchedule steers the models' counterexamples, call by call.
func (p *trial) patchedSchedule(ctx context.Context) error {
	return p.schedule(ctx, p.Report, []string{"released", "patched-creator", "patched-recoverer", "patched"}, p.Runs, p.log, func(variant string, moments []SteeredMoment) {
		most := SteeredMoment{} // what a schedule does depends on the moment
		for _, m := range moments {
			p.AtLeast(m.Runs, p.Runs, "steered runs of "+variant)
			if m.Lost() >= most.Lost() {
				most = m
			}
		}
		p.judge("schedule, "+most.Name, variant, variant != "patched", most.Lost(), most.Runs, most.Example)
	})
}

// patchedInstances runs creators beside recoverers.
func (p *trial) patchedInstances(ctx context.Context) error {
	pairs := [][2]string{{"released", "released"}, {"patched-creator", "patched-creator"}, {"patched-recoverer", "patched-recoverer"},
		{"released", "patched"}, {"patched", "released"}, {"patched", "compat"}, {"compat", "patched"}, {"patched", "patched"}}
	return p.instances(ctx, p.Report, p.Run, pairs, func(pair [2]string) bool {
		return pair[0] != "released" && pair[1] != "released" && !slices.Contains(withoutPart, pair[0])
	})
}

// patchedPuts runs fleets that put layers by the public interface.
func (p *trial) patchedPuts(ctx context.Context) error {
	var fleets []putFleet
	for _, variant := range p.steps {
		fleets = append(fleets, putFleet{{variant, 8}})
	}
	return p.puts(ctx, p.Report, p.Run, fleets, func(f putFleet) bool { return f[0].variant != "released" })
}

// costRounds is how often a variant is timed, in turns.
const costRounds = 7

var benchmarkLine = regexp.MustCompile(`(?m)^BenchmarkInstance\S*\s+\d+\s+([\d.]+) ns/op`)

// cost times the life of an instance with nothing in it.
func (p *trial) cost(ctx context.Context) error {
	table := p.Table(fmt.Sprintf("Cost: one instance made and cleaned up with nothing in it, on tmpfs, %d times in turns", costRounds), "variant", "median", "least", "most")
	times := make(map[string][]time.Duration)
	variants := []string{"released", "patched"}
	err := onTmpfs(ctx, p.Dir, storeSize, func(dir string) error {
		for range costRounds {
			for _, variant := range variants {
				output, err := p.Go(ctx, variant+"-timed", []string{"TMPDIR=" + dir, "GOTMPDIR=" + p.dir}, "test", "-run=-", "-bench=Instance", "-benchtime=5000x", "./"+internals)
				if err != nil {
					return fmt.Errorf("%w: %s", err, output)
				}
				found := benchmarkLine.FindSubmatch(output)
				if found == nil {
					return fmt.Errorf("no time in %q", output)
				}
				ns, err := strconv.ParseFloat(string(found[1]), 64)
				if err != nil {
					return err
				}
				times[variant] = append(times[variant], time.Duration(ns))
			}
		}
		return nil
	})
	for _, variant := range variants {
		if t := slices.Sorted(slices.Values(times[variant])); len(t) > 0 {
			table.Row(variant, t[len(t)/2], t[0], t[len(t)-1])
		}
	}
	return err
}

// patchedHolds measures how long locks of the store are held.
func (p *trial) patchedHolds(ctx context.Context) error {
	return p.holds(ctx, p.steps, []string{"tmpfs"}, heldTurns, 3)
}

// patchedTests runs the release's own, with the patch and without it, and with
// recovery out of the locks on top of it.
func (p *trial) patchedTests(ctx context.Context) error {
	p.table = p.Table("Tests of the release; a test of the command itself needs bats", "tests", "released", "variant", "remark")
	run := func(packages []string) func(string) (outcomes, error) {
		return func(variant string) (outcomes, error) { return p.tests(ctx, variant, packages...) }
	}
	err := errors.Join(p.same("unit", p.steps, run(patchedPackages)), p.same("store, overlay, vfs", p.steps, run(storePackages)))
	for _, driver := range []string{"overlay", "vfs"} {
		if err == nil {
			err = p.same("bats, "+driver, p.steps, func(variant string) (outcomes, error) { return p.bats(ctx, variant, driver) })
		}
	}
	return err
}
