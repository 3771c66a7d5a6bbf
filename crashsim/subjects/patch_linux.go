package subjects

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// withoutPart are the variants that lack a part of the patch.
var withoutPart = []string{"patched-creator", "patched-recoverer", "patched-rechecks"}

// A patching is one run of [Workshop.Patch].
type patching struct {
	*Workshop
	*Report
	Run
	steps []string // the release, the patch, and if there is a place for it the second step
}

var patchParts = []struct {
	name string
	do   func(*patching, context.Context) error
}{
	{"build", (*patching).builds},
	{"together", (*patching).together},
	{"schedule", (*patching).schedule},
	{"instances", (*patching).instances},
	{"puts", (*patching).puts},
	{"cost", (*patching).cost},
	{"hold", (*patching).hold},
	{"tests", (*patching).tests},
}

// PatchParts are the names of what [Workshop.Patch] does.
func PatchParts() (names []string) {
	for _, part := range patchParts {
		names = append(names, part.name)
	}
	return names
}

// Patch applies the patch of docs/UPSTREAM.md to copies of the release, whole and
// without one of its parts each, and runs what there is on them: they build
// elsewhere; the counterexamples of the models are steered; processes run free; the
// release's own tests have the outcomes that they have without the patch. The same
// goes for the document's second step, recovery out of the locks. The patched
// release has to lose nothing, and what lacks a part has to lose something, or the
// checks are blind.
//
// What cannot be done here is skipped. It takes about ten minutes.
func (w *Workshop) Patch(ctx context.Context, o Run) (*Report, error) {
	o.Runs, o.Seconds = cmp.Or(o.Runs, 20), cmp.Or(o.Seconds, 20)
	p := &patching{w, &Report{}, o, []string{"released", "patched"}}
	for _, name := range o.Words {
		if !slices.Contains(PatchParts(), name) {
			return p.Report, fmt.Errorf("no part %q: they are %s", name, strings.Join(PatchParts(), ", "))
		}
	}
	if _, err := w.Copy(ctx, "patched-opened"); err == nil {
		p.steps = append(p.steps, "patched-opened")
	} else {
		p.Note("without the second step: %v", err)
	}
	for _, part := range patchParts {
		if len(o.Words) > 0 && !slices.Contains(o.Words, part.name) {
			continue
		}
		fmt.Fprintf(w.log, "%s of the patch\n", part.name)
		switch err := part.do(p, ctx); {
		case ctx.Err() != nil:
			return p.Report, ctx.Err()
		case Unavailable(err):
			p.Skip(part.name, err)
		case err != nil:
			return p.Report, err
		}
	}
	return p.Report, nil
}

// patchedPackages are those that the patch changes, and that use what it changes.
var patchedPackages = []string{"./internal/rawfilelock", "./internal/staging_lockfile", "./internal/tempdir", "./pkg/lockfile"}

func (p *patching) builds(ctx context.Context) error {
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
func (p *patching) judge(check, variant string, loses bool, lost, runs int, example string) {
	switch {
	case variant == "patched" && lost > 0:
		p.Problem("%s: patched loses %d of %d: %s", check, lost, runs, example)
	case loses && lost < runs:
		p.Problem("%s: %s loses %d of %d, all expected: the check sees too little", check, variant, lost, runs)
	}
}

// together plays the counterexample of UpstreamClosesCreated: goroutines of one
// process, and another process.
func (p *patching) together(ctx context.Context) error {
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

// schedule steers the models' counterexamples, call by call.
func (p *patching) schedule(ctx context.Context) error {
	table := p.Table("Schedule: a put beside recoveries of other processes, steered call by call as in the models' counterexamples", "variant", "models", "moment", "runs", "exists in", "lost")
	for _, variant := range []string{"released", "patched-creator", "patched-recoverer", "patched"} {
		report, err := p.Steered(ctx, variant, p.Runs)
		if err != nil {
			return err
		}
		most := SteeredMoment{} // what a schedule does depends on the moment
		for _, m := range report.Moments {
			table.Row(variant, report.Model, m.Name, m.Runs, m.Played, m.Lost())
			p.AtLeast(m.Runs, p.Runs, "steered runs of "+variant)
			if m.Lost() >= most.Lost() {
				most = m
			}
		}
		p.judge("schedule, "+most.Name, variant, variant != "patched", most.Lost(), most.Runs, most.Example)
	}
	return nil
}

// instances runs creators beside recoverers.
func (p *patching) instances(ctx context.Context) error {
	seconds := p.Seconds / 4
	table := p.Table(fmt.Sprintf("Instances: 2 processes that stage and commit, 2 that recover, one of either killed again and again, %g s a pair", seconds),
		"creators", "recoverers", "instances", "lost", "incomplete", "recoveries", "kills", "data left")
	pairs := [][2]string{{"released", "released"}, {"patched-creator", "patched-creator"}, {"patched-recoverer", "patched-recoverer"},
		{"released", "patched"}, {"patched", "released"}, {"patched", "compat"}, {"compat", "patched"}, {"patched", "patched"}}
	for _, pair := range pairs {
		safe := pair[0] != "released" && pair[1] != "released" && !slices.Contains(withoutPart, pair[0])
		did, err := p.pair(ctx, p.Report, pair[0], pair[1], Run{Seconds: seconds, Dir: p.Dir, Log: p.log}, safe)
		if err != nil {
			return err
		}
		judgeInstances(p.Report, table, pair[0], pair[1], did, safe)
	}
	return nil
}

// puts runs fleets that put layers by the public interface.
func (p *patching) puts(ctx context.Context) error {
	table := p.Table(fmt.Sprintf("Puts: 8 processes that put, read back and delete layers in one overlay store on tmpfs, %g s a fleet", p.Seconds),
		"variant", "puts", "failed", "incomplete", "not deleted")
	released, err := p.Driver(ctx, "released")
	if err != nil {
		return err
	}
	for _, variant := range p.steps {
		driver, err := p.Driver(ctx, variant)
		if err != nil {
			return err
		}
		var did, nobody puts
		for round := 0; round == 0 || variant != "released" && again(p.Report, round, did.lost(), did.tried, leastPuts); round++ {
			fmt.Fprintf(p.log, "puts: 8 %s, %g s\n", variant, p.Seconds)
			if err := onTmpfs(ctx, p.Dir, storeSize, func(dir string) error {
				return putFleet{compat: 8}.run(ctx, map[string]string{"released": released, "compat": driver}, dir, p.Seconds, &nobody, &did)
			}); err != nil {
				return err
			}
		}
		table.Row(variant, did.tried, did.failed, did.incomplete, did.undeleted)
		if variant != "released" {
			p.AtLeast(did.tried-did.failed, leastPuts, "puts of "+variant)
			p.Lacks(did.other, "puts of "+variant)
			if did.lost() > 0 {
				p.Problem("%d of %s puts of %s are lost: %s", did.lost(), Number(did.tried), variant, did.example)
			}
		}
	}
	return nil
}

// costRounds is how often a variant is timed, in turns.
const costRounds = 7

var benchmarkLine = regexp.MustCompile(`(?m)^BenchmarkInstance\S*\s+\d+\s+([\d.]+) ns/op`)

// cost times the life of an instance with nothing in it.
func (p *patching) cost(ctx context.Context) error {
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

// hold measures how long the next command after a kill holds locks of the store.
func (p *patching) hold(ctx context.Context) error {
	const rounds = 3
	table := p.Table(fmt.Sprintf("Locks: a deletion of %d files is killed; how long the next command holds locks, on tmpfs, median of %d [least..most] in milliseconds", heldFiles, rounds),
		"store", "variant", "layers.lock", "storage.lock")
	a := &adoption{Workshop: p.Workshop, report: p.Report}
	for _, graph := range []string{"overlay", "vfs"} {
		runs := make(map[string][]holding)
		for range rounds {
			for _, variant := range p.steps {
				h, err := a.hold(ctx, variant+"-held", graph, "tmpfs")
				if err != nil {
					return err
				}
				p.AtLeast(h.left, heldFiles/10, "names left by a kill")
				runs[variant] = append(runs[variant], h)
			}
		}
		for _, variant := range p.steps {
			table.Row(graph, variant, spread(runs[variant], func(h holding) time.Duration { return h.layers }),
				spread(runs[variant], func(h holding) time.Duration { return h.store }))
		}
	}
	return nil
}

// tests runs the release's own, with the patch and without it, and with recovery out
// of the locks on top of it.
func (p *patching) tests(ctx context.Context) error {
	table := p.Table("Tests of the release; a test of the command itself needs bats", "tests", "variant", "outcomes", "differ")
	a := &adoption{Workshop: p.Workshop, report: p.Report}
	suites := []struct {
		name string
		run  func(variant string) (outcomes, error)
	}{
		{"unit", func(variant string) (outcomes, error) { return a.tests(ctx, variant, patchedPackages...) }},
		{"store, overlay, vfs", func(variant string) (outcomes, error) {
			return a.tests(ctx, variant, ".", "./drivers/overlay", "./drivers/vfs")
		}},
		{"bats, overlay", func(variant string) (outcomes, error) { return a.bats(ctx, variant, "overlay") }},
		{"bats, vfs", func(variant string) (outcomes, error) { return a.bats(ctx, variant, "vfs") }},
	}
	for _, suite := range suites {
		if _, err := exec.LookPath("bats"); err != nil && strings.HasPrefix(suite.name, "bats") {
			p.Skip(suite.name, err)
			continue
		}
		var released outcomes
		for _, variant := range p.steps {
			found, err := suite.run(variant)
			if err != nil {
				return err
			}
			if variant == "released" {
				released = found
			}
			differ := differences(released, found)
			for _, name := range differ {
				p.Problem("%s: %s without the patch, %s with %s", name, cmp.Or(released[name], "not run"), cmp.Or(found[name], "not run"), variant)
			}
			p.AtLeast(found.count("pass"), 1, suite.name+" tests that pass with "+variant)
			table.Row(suite.name, variant, found.String(), len(differ))
		}
	}
	return nil
}
