package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterlock/afterlock/internal/scratch"
)

// former are stages of earlier versions, and which stage does now what they did.
var former = map[string]string{"race": "traces"}

// Select returns the stages with these names in the order of all, or all if
// there are no names. The error names a stage that does not exist.
func Select(all []Stage, names []string) ([]Stage, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, stage := range all {
		known = append(known, stage.Name)
	}
	for _, name := range names {
		if now, ok := former[name]; ok && !slices.Contains(known, name) {
			return nil, fmt.Errorf("stage %s is part of stage %s now: --run %s", name, now, now)
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no stage %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	var selected []Stage
	for _, stage := range all {
		if slices.Contains(names, stage.Name) {
			selected = append(selected, stage)
		}
	}
	return selected, nil
}

// Run runs the stages one after the other, all of them, whatever the verdicts,
// and reports. When ctx is done, the running stage and those after it are
// undecided. The error says that there is no directory to work in.
func Run(ctx context.Context, stages []Stage, config Config, log *slog.Logger, display *Display) (Report, error) {
	report := Report{Seed: config.Seed, Stages: []Outcome{}}
	begin := time.Now()
	places, err := openPlaces(ctx, config.Dir)
	if err != nil && ctx.Err() == nil {
		return report, err
	}
	for _, stage := range stages {
		display.started(stage)
		outcome := runStage(ctx, stage, Env{
			Config: config, Scratch: places.scratch(), Memory: places.memory(),
			Log:      log.With("stage", stage.Name),
			Progress: func(text string) { display.progress(stage, text) },
		})
		display.finished(stage, outcome)
		report.Stages = append(report.Stages, outcome)
	}
	if err := places.close(); err != nil {
		report.Left = shortened(err.Error())
	}
	report.Seconds = time.Since(begin).Seconds()
	report.conclude(config.AllowSkips)
	return report, nil
}

// tmpfs is where Linux has one that everybody may write to.
const tmpfs = "/dev/shm"

// places are the scratch directories of a run: in the directory that the user
// chose and, if that is not in memory, in memory.
type places []*scratch.Dir

func openPlaces(ctx context.Context, dir string) (all places, err error) {
	first, err := scratch.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	all = places{first}
	if name, err := scratch.FileSystem(tmpfs); err != nil || name != "tmpfs" {
		return all, nil
	}
	if name, err := scratch.FileSystem(dir); err == nil && name == "tmpfs" {
		return all, nil
	}
	if second, err := scratch.Open(ctx, tmpfs); err == nil {
		all = append(all, second)
	}
	return all, nil
}

func (p places) scratch() string {
	if len(p) == 0 {
		return "" // interrupted
	}
	return p[0].Path()
}

func (p places) memory() string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1].Path()
}

func (p places) close() (err error) {
	for _, dir := range p {
		err = errors.Join(err, dir.Close())
	}
	return err
}

func runStage(ctx context.Context, stage Stage, env Env) Outcome {
	config, log := env.Config, env.Log
	log.Debug("started", "seed", config.Seed)
	begin := time.Now()
	result, err := Result{}, ctx.Err()
	if err == nil {
		result, err = stage.Run(ctx, env)
	}
	if err != nil && ctx.Err() != nil {
		err = errInterrupted // whatever fails then, fails because of that
	}
	verdict, because, problems := judge(result, explained(err, config.Dir))
	outcome := Outcome{
		Stage: stage.Name, Ran: result.Ran, Counts: result.Counts, Line: result.Line,
		Verdict: verdict, Because: because, Problems: problems,
		Skips: result.Skips, Elsewhere: result.Elsewhere && verdict == Skipped,
		Elapsed: time.Since(begin),
	}
	if verdict == Skipped {
		outcome.Ran, outcome.Counts = "", nil // zeros say nothing more
	}
	if outcome.Counts == nil {
		outcome.Counts = []Count{}
	}
	outcome.Seconds = outcome.Elapsed.Seconds()
	outcome.Because = shortened(outcome.Because)
	for i, problem := range outcome.Problems {
		outcome.Problems[i] = shortened(problem)
	}
	if verdict == Fail || verdict == Environment || verdict == Undecided {
		outcome.Repeat = result.Repeat
		if outcome.Repeat == "" {
			outcome.Repeat = repeat(stage.Name, config)
		}
	}
	log.Debug("finished", "verdict", verdict, "took", outcome.Elapsed)
	return outcome
}

// shortened keeps the beginning of a text of many lines, such as what a process
// said when it crashed.
func shortened(text string) string {
	const most = 20
	if lines := strings.Split(strings.TrimRight(text, "\n"), "\n"); len(lines) > most {
		return strings.Join(lines[:most], "\n") + fmt.Sprintf("\nand %d more lines", len(lines)-most)
	}
	return text
}

// repeat is the command that runs the stage once more with the same choices.
func repeat(stage string, config Config) string {
	words := []string{"afterlock", "verify", "--run", stage, "--seed", strconv.FormatUint(config.Seed, 10)}
	if config.Deep {
		words = append(words, "--deep")
	}
	if config.Shard.N > 0 {
		words = append(words, "--shard", fmt.Sprintf("%d/%d", config.Shard.I, config.Shard.N))
	}
	words = append(words, "--dir", shellQuote(config.Dir))
	if config.Duration > 0 {
		words = append(words, "--duration", config.Duration.String())
	}
	return strings.Join(words, " ")
}

// shellQuote quotes a word for a shell if it needs that.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
