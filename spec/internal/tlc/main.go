// Command tlc runs models of the specification through TLC and compares what
// it sees with spec/manifest.json: exit code, refuted property, length of the
// counterexample, states, depth and digest. scripts/tlc runs it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/spec/internal/manifest"
)

// digestLimit is the number of states up to which a graph is dumped.
const digestLimit = 150_000

var (
	record  = flag.Bool("record", false, "write what TLC saw to the manifest")
	workers = flag.Int("workers", 1, "TLC's `workers`; counterexamples are shortest with one only")
	heap    = flag.String("heap", "6g", "most memory for Java's `heap`")
	dir     = flag.String("spec", "spec", "the specification's `directory`")
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: scripts/tlc [flags] [MODEL|KIND ...]\n"+
			"Kinds: "+strings.Join(model.Kinds, " ")+". None means all.\n"+
			"By hand, in a copy of spec/, for TLC leaves files there: "+plain("$TLA2TOOLS_JAR", "MODEL.cfg", "MODULE"))
		flag.PrintDefaults()
	}
	flag.Parse()
	jar, err := findTLC()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tlc:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, jar, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "tlc:", err)
		os.Exit(1)
	}
}

// findTLC returns the absolute path of TLC's jar, if Java can run it.
func findTLC() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", errors.New("java is not on the PATH; install a Java runtime, version 11 or newer")
	}
	jar := os.Getenv("TLA2TOOLS_JAR")
	if jar == "" {
		return "", errors.New("TLA2TOOLS_JAR is not set; let it name a tla2tools.jar of https://github.com/tlaplus/tlaplus")
	}
	if _, err := os.Stat(jar); err != nil {
		return "", fmt.Errorf("TLA2TOOLS_JAR: %w", err)
	}
	return filepath.Abs(jar)
}

func run(ctx context.Context, jar string, wanted []string) error {
	configs, err := manifest.Configs(*dir)
	if err != nil {
		return err
	}
	recorded, err := manifest.Load(*dir)
	if err != nil && !(*record && errors.Is(err, os.ErrNotExist)) {
		return err
	}
	var rows []manifest.Row
	for _, config := range configs {
		row, err := manifest.Read(*dir, config)
		if err != nil {
			return err
		}
		if len(wanted) == 0 || slices.Contains(wanted, row.Model) || slices.Contains(wanted, row.Kind) {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return fmt.Errorf("no model is called, or is of the kind, %s", strings.Join(wanted, ", "))
	}
	fmt.Printf("%-28s %-9s %-34s %10s %11s %6s %8s\n", "model", "kind", "verdict", "distinct", "generated", "depth", "seconds")
	wrong, start := 0, time.Now()
	for _, row := range rows {
		seen, err := check(ctx, jar, row)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Model, err)
		}
		verdict := seen.Verdict
		if seen.Verdict == manifest.Refuted {
			verdict = fmt.Sprintf("%s in %d", seen.Property, seen.Length)
		}
		fmt.Printf("%-28s %-9s %-34s %10d %11d %6d %8.1f\n", seen.Model, seen.Kind, verdict, seen.Distinct, seen.Generated, seen.Depth, seen.Seconds)
		complaints := expected(row, seen)
		at := slices.IndexFunc(recorded, func(r manifest.Row) bool { return r.Model == row.Model })
		switch {
		case *record && len(complaints) > 0:
		case *record && at < 0:
			recorded = append(recorded, seen)
		case *record:
			recorded[at] = seen
		case at < 0:
			complaints = append(complaints, "the manifest does not have it")
		default:
			complaints = append(complaints, same(recorded[at], seen)...)
		}
		for _, complaint := range complaints {
			fmt.Printf("    %s\n", complaint)
		}
		if len(complaints) > 0 {
			wrong++
			printSteps(seen)
			fmt.Printf("    in a copy of %s: %s\n", *dir, plain(jar, row.Config, row.Module))
		}
		if *record { // after every model, so that a long run can be cut off
			if err := save(recorded, configs); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%d models, %.0f s\n", len(rows), time.Since(start).Seconds())
	if wrong > 0 {
		return fmt.Errorf("%d of %d models are not as expected", wrong, len(rows))
	}
	return nil
}

// plain is the command that runs TLC on a model by hand.
func plain(jar, config, module string) string {
	return fmt.Sprintf("java -cp %s tlc2.TLC -workers 1 -config %s %s.tla", jar, config, module)
}

// printSteps prints the counterexample of a model that is not as expected, if there
// is one: a line for each state.
func printSteps(seen manifest.Row) {
	for i, step := range seen.Steps {
		disk := step.Disk
		if i > 0 && disk == seen.Steps[i-1].Disk {
			disk = "the same"
		}
		fmt.Printf("    %3d. %-28s %s\n", i+1, step.Action, disk)
	}
	if seen.Loop != "" {
		fmt.Printf("         %s\n", seen.Loop)
	}
}

func save(rows []manifest.Row, configs []string) error {
	rows = slices.DeleteFunc(rows, func(r manifest.Row) bool { return !slices.Contains(configs, r.Config) })
	if err := manifest.Save(*dir, rows); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*dir, "COUNTEREXAMPLES.md"), []byte(manifest.Counterexamples(rows)), 0o644)
}

// expected compares a run with what the .cfg file says.
func expected(row, seen manifest.Row) (complaints []string) {
	if seen.Verdict != row.Verdict || seen.Property != row.Property {
		complaints = append(complaints, fmt.Sprintf("expected: %s %s; seen: %s %s", row.Verdict, row.Property, seen.Verdict, seen.Property))
	}
	return complaints
}

// same compares a run with the recorded one.
func same(want, seen manifest.Row) (complaints []string) {
	differ := func(what string, want, seen any) {
		if want != seen {
			complaints = append(complaints, fmt.Sprintf("%s: recorded %v, seen %v", what, want, seen))
		}
	}
	differ("exit code", want.Exit, seen.Exit)
	differ("property", want.Property, seen.Property)
	differ("distinct states", want.Distinct, seen.Distinct)
	differ("generated states", want.Generated, seen.Generated)
	if *workers == 1 {
		differ("depth", want.Depth, seen.Depth)
		if want.Loop == "" { // for liveness TLC takes one of several
			differ("counterexample", want.Length, seen.Length)
		}
	}
	if want.Digest != nil && seen.Digest != nil {
		differ("digest", *want.Digest, *seen.Digest)
	} else {
		differ("digest", want.Digest != nil, seen.Digest != nil)
	}
	return complaints
}

// check runs one model. A model that must fail is run twice: with its property
// for the counterexample, without it for the size of the whole graph.
func check(ctx context.Context, jar string, row manifest.Row) (manifest.Row, error) {
	config, err := os.ReadFile(filepath.Join(*dir, row.Config))
	if err != nil {
		return row, err
	}
	symmetric := bytes.Contains(config, []byte("\nSYMMETRY "))
	dump := !symmetric && row.Kind != "large"
	start := time.Now()
	out, err := tlc(ctx, jar, row.Module, string(config), dump && row.Verdict == manifest.Holds)
	if err != nil {
		return row, err
	}
	row.Exit = out.exit
	row.Verdict, row.Property = manifest.Holds, ""
	if out.exit != 0 {
		row.Verdict, row.Property = manifest.Refuted, out.property(row.Properties)
		row.Steps = out.steps
		row.Length = len(out.steps)
		row.Loop = out.loop
		if row.Property == "" {
			return row, fmt.Errorf("TLC ended with exit code %d:\n%s", out.exit, out.text[max(0, strings.Index(out.text, "Error: ")):])
		}
		if out, err = tlc(ctx, jar, row.Module, checks.ReplaceAllString(string(config), ""), dump); err != nil {
			return row, err
		}
		if out.exit != 0 {
			return row, fmt.Errorf("without properties TLC ended with exit code %d:\n%s", out.exit, out.text)
		}
	}
	row.Seconds = float64(time.Since(start).Milliseconds()/100) / 10
	row.Distinct, row.Generated, row.Depth = out.distinct, out.generated, out.depth
	row.Actions, row.Digest = out.actions, out.digest
	switch {
	case symmetric:
		row.NoDigest = "symmetry keeps one state of each class"
	case row.Digest == nil:
		row.NoDigest = "the graph is too large to dump"
	}
	row.Files, err = manifest.NewSources(*dir).Hashes(row)
	return row, err
}

var (
	checks   = regexp.MustCompile(`(?m)^(INVARIANTS?|PROPERT(Y|IES)) .*$`)
	states   = regexp.MustCompile(`(?m)^(\d+) states generated, (\d+) distinct states found, 0 states left`)
	depth    = regexp.MustCompile(`The depth of the complete state graph search is (\d+)`)
	violated = regexp.MustCompile(`(?m)^Error: (?:Invariant|Action property|Temporal property) (\S+) (?:is|was) violated`)
	inModule = regexp.MustCompile(`(?m)^Error: Action property line .* of module (\w+) is violated`)
	loop     = regexp.MustCompile(`(?m)^(?:State \d+: )?Back to state (\d+)`)
	stateAt  = regexp.MustCompile(`(?m)^State \d+: <([^>]*?)(?: line .*)?>$`)
)

// A result is what one run of TLC printed and dumped.
type result struct {
	text                       string
	exit                       int
	distinct, generated, depth int
	steps                      []manifest.Step
	loop                       string
	actions                    []string
	digest                     *manifest.Digest
}

// property returns which of the properties was refuted. TLC names a part of a
// refined specification by its place; it is then the one property that ends in
// Spec and whose module that is.
func (r *result) property(properties []string) string {
	if m := violated.FindStringSubmatch(r.text); m != nil && slices.Contains(properties, m[1]) {
		return m[1]
	}
	if m := inModule.FindStringSubmatch(r.text); m != nil && slices.Contains(properties, m[1]+"Spec") {
		return m[1] + "Spec"
	}
	return ""
}

// tlc runs TLC once, in a directory of its own.
func tlc(ctx context.Context, jar, module, config string, dump bool) (*result, error) {
	scratch, err := os.MkdirTemp("", "tlc")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	file := filepath.Join(scratch, "model.cfg")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return nil, err
	}
	graph := filepath.Join(scratch, "graph.dot")
	arguments := []string{"-XX:+UseParallelGC", "-Xmx" + *heap, "-Djava.io.tmpdir=" + scratch, "-cp", jar, "tlc2.TLC",
		"-workers", strconv.Itoa(*workers), "-fp", "0", "-seed", "0", "-lncheck", "final", "-noGenerateSpecTE",
		"-metadir", scratch, "-config", file}
	if dump {
		arguments = append(arguments, "-dump", "dot,actionlabels", graph)
	}
	command := exec.CommandContext(ctx, "java", append(arguments, module+".tla")...)
	command.Dir = *dir
	text, err := command.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r := &result{text: string(text), exit: command.ProcessState.ExitCode()}
	if m := states.FindStringSubmatch(r.text); m != nil {
		r.generated, _ = strconv.Atoi(m[1])
		r.distinct, _ = strconv.Atoi(m[2])
	}
	if m := depth.FindStringSubmatch(r.text); m != nil {
		r.depth, _ = strconv.Atoi(m[1])
	}
	if r.steps, err = trace(r.text); err != nil {
		return nil, err
	}
	if m := loop.FindStringSubmatch(r.text); m != nil {
		r.loop = "and so on for ever, from state " + m[1]
	} else if strings.Contains(r.text, "Stuttering") {
		r.loop = "and then nothing, for ever"
	}
	if dump && r.exit == 0 && r.distinct <= digestLimit {
		f, err := os.Open(graph)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		digest, actions, err := manifest.DigestGraph(f)
		if err != nil {
			return nil, err
		}
		r.digest = &digest
		for action := range actions {
			r.actions = append(r.actions, action)
		}
		slices.Sort(r.actions)
	}
	return r, nil
}

// trace reads the counterexample that TLC printed, if it did.
func trace(text string) ([]manifest.Step, error) {
	var steps []manifest.Step
	found := stateAt.FindAllStringSubmatchIndex(text, -1)
	for _, at := range found {
		body, _, _ := strings.Cut(text[at[1]:], "\n\n")
		state, err := manifest.ParseState(strings.TrimSpace(body))
		if err != nil {
			return nil, fmt.Errorf("counterexample: %w", err)
		}
		action := text[at[2]:at[3]]
		if action == "Initial predicate" {
			action = ""
		}
		steps = append(steps, manifest.Step{Action: action, Disk: manifest.Disk(state)})
	}
	return steps, nil
}
