package gate

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

// A fake is a stage with a result that is known beforehand.
type fake struct {
	name   string
	result Result
	err    error
	run    func(context.Context, Env)
}

func (f fake) stage() Stage {
	return Stage{f.name, "a stage of the tests", func(ctx context.Context, env Env) (Result, error) {
		if f.run != nil {
			f.run(ctx, env)
		}
		return f.result, f.err
	}}
}

var work = []Count{AtLeast("things", 7, 5)}

func runFakes(t *testing.T, ctx context.Context, fakes ...fake) (Report, string) {
	t.Helper()
	var stages []Stage
	for _, f := range fakes {
		stages = append(stages, f.stage())
	}
	var out bytes.Buffer
	display := NewDisplay(&out, false)
	dir := t.TempDir()
	report, err := Run(ctx, stages, Config{Seed: 42, Dir: dir}, slog.New(slog.DiscardHandler), display)
	require.NoError(t, err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
	return report, out.String()
}

func TestVerdictFollowsFromCountsAndProblems(t *testing.T) {
	for _, tt := range []struct {
		name    string
		result  Result
		err     error
		verdict Verdict
		because string
	}{
		{name: "enough was done", result: Result{Counts: work}, verdict: Pass},
		{name: "a count is at its minimum", result: Result{Counts: []Count{AtLeast("things", 5, 5)}}, verdict: Pass},
		{name: "a count is below its minimum", result: Result{Counts: []Count{AtLeast("things", 4, 5)}}, verdict: Undecided, because: "4 things, at least 5 expected"},
		{name: "a count of zero cannot pass, whatever its minimum", result: Result{Counts: []Count{AtLeast("things", 0, 0)}}, verdict: Undecided, because: "0 things, at least 1 expected"},
		{name: "nor without a constructor", result: Result{Counts: []Count{{Name: "things"}}}, verdict: Undecided, because: "0 things, at least 1 expected"},
		{name: "nothing is counted", result: Result{}, verdict: Undecided, because: "nothing was counted"},
		{name: "only what must not happen is counted", result: Result{Counts: []Count{Never("lost", 0)}}, verdict: Undecided, because: "nothing was counted"},
		{name: "nothing bad happened", result: Result{Counts: append([]Count{Never("lost", 0)}, work...)}, verdict: Pass},
		{name: "something bad happened", result: Result{Counts: append([]Count{Never("lost", 1)}, work...)}, verdict: Fail},
		{name: "something bad happened, and too little was done", result: Result{Counts: []Count{Never("lost", 1), AtLeast("things", 0, 5)}}, verdict: Fail},
		{name: "a problem", result: Result{Counts: work, Problems: []string{"wrong"}}, verdict: Fail},
		{name: "a problem before the environment failed", result: Result{Problems: []string{"wrong"}}, err: errors.New("full"), verdict: Fail},
		{name: "a problem in a skipped stage", result: Result{Skipped: true, Because: "no", Problems: []string{"wrong"}}, verdict: Fail},
		{name: "the environment failed", result: Result{Counts: work}, err: errors.New("full"), verdict: Environment, because: "full"},
		{name: "interrupted", result: Result{Counts: work}, err: errInterrupted, verdict: Undecided, because: "interrupted"},
		{name: "nothing to do in this shard", result: Result{Elsewhere: true, Because: "none"}, verdict: Skipped, because: "none"},
		{name: "skipped", result: Result{Skipped: true, Because: "no Linux"}, verdict: Skipped, because: "no Linux"},
		{name: "undecided", result: Result{Counts: work, Undecided: true, Because: "out of time"}, verdict: Undecided, because: "out of time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verdict, because, problems := judge(tt.result, tt.err)
			assert.Equal(t, tt.verdict, verdict)
			assert.Equal(t, tt.because, because)
			assert.Equal(t, tt.verdict == Fail, len(problems) > 0)
		})
	}
}

func TestExitCodeIsThatOfTheWorstStage(t *testing.T) {
	var (
		pass      = fake{name: "pass", result: Result{Counts: work}}
		fail      = fake{name: "fail", result: Result{Counts: work, Problems: []string{"wrong"}}}
		undecided = fake{name: "undecided", result: Result{Undecided: true}}
		skipped   = fake{name: "skipped", result: Result{Skipped: true}}
		full      = fake{name: "full", err: errors.New("disk full")}
		partly    = fake{name: "partly", result: Result{Counts: work, Skips: []Skip{{"mounts", "only root may mount"}}}}
		elsewhere = fake{name: "elsewhere", result: Result{Elsewhere: true}}
	)
	for _, tt := range []struct {
		name    string
		stages  []fake
		verdict Verdict
		code    int
	}{
		{"all pass", []fake{pass, pass}, Pass, 0},
		{"one is skipped", []fake{pass, skipped}, Skipped, 4},
		{"a part of one is skipped", []fake{pass, partly}, Skipped, 4},
		{"one has nothing to do in this shard", []fake{pass, elsewhere}, Pass, 0},
		{"undecided beats skipped", []fake{undecided, skipped, partly}, Undecided, 3},
		{"fail beats undecided", []fake{undecided, fail}, Fail, 1},
		{"fail beats the environment", []fake{fail, full}, Fail, 1},
		{"the environment beats undecided", []fake{undecided, full}, Environment, 2},
		{"undecided beats pass", []fake{undecided, pass}, Undecided, 3},
		{"all are skipped", []fake{skipped, skipped}, Skipped, 4},
		{"there are none", nil, Skipped, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report, _ := runFakes(t, t.Context(), tt.stages...)
			assert.Equal(t, tt.verdict, report.Verdict)
			assert.Equal(t, tt.code, report.ExitCode)
			assert.Len(t, report.Stages, len(tt.stages), "every stage runs, whatever the others found")
		})
	}
}

func TestSkipsThatAreAllowedDoNotCountUnlessNothingPassed(t *testing.T) {
	for _, tt := range []struct {
		outcomes []Outcome
		verdict  Verdict
	}{
		{[]Outcome{{Verdict: Pass}, {Verdict: Skipped}}, Pass},
		{[]Outcome{{Verdict: Pass, Skips: []Skip{{}}}}, Pass},
		{[]Outcome{{Verdict: Skipped}}, Skipped},
		{[]Outcome{{Verdict: Pass}, {Verdict: Undecided}}, Undecided},
	} {
		report := Report{Stages: tt.outcomes}
		report.conclude(true)
		assert.Equal(t, tt.verdict, report.Verdict)
		assert.Equal(t, ExitCodes[tt.verdict], report.ExitCode)
	}
}

// A layer is laid out by many goroutines at once, and each of them meets it.
func TestAFullDiskIsOneLineThatSaysWhatIsNeeded(t *testing.T) {
	one := &os.PathError{Op: "write", Path: "/scratch/layer-01/a", Err: syscall.ENOSPC}
	elsewhere := errors.New("a worker: write /dev/shm/x/layer: " + syscall.EDQUOT.Error()) // sent as text
	report, _ := runFakes(t, t.Context(),
		fake{name: "x", result: Result{}, err: errors.Join(one, one, one)}, fake{name: "y", err: elsewhere})
	assert.Equal(t, Environment, report.Verdict)
	if !strings.HasPrefix(os.TempDir(), "/dev/shm") { // else --dir is there, too
		assert.Equal(t, "needs about 20 MB in /dev/shm, which has no more: "+elsewhere.Error(), report.Stages[1].Because)
	}
	assert.Regexp(t, `^needs about 20 MB in --dir, and /\S+ has no more: write /scratch/layer-01/a: no space left on device$`, report.Stages[0].Because)
}

func TestInterruptedStagesAreUndecided(t *testing.T) {
	for _, err := range []error{context.Canceled, errors.New("write to a process that is gone")} {
		ctx, cancel := context.WithCancel(t.Context())
		first := fake{name: "first", err: err, run: func(context.Context, Env) { cancel() }}
		second := fake{name: "second", run: func(context.Context, Env) { t.Error("runs after the interrupt") }}
		report, _ := runFakes(t, ctx, first, second)
		assert.Equal(t, ExitCodes[Undecided], report.ExitCode)
		for _, outcome := range report.Stages {
			assert.Equal(t, Undecided, outcome.Verdict)
			assert.Equal(t, "interrupted", outcome.Because)
		}
	}
}

func TestAStageThatDidNotPassSaysHowToRepeatIt(t *testing.T) {
	assert.Equal(t, `afterlock verify --run x --seed 42 --deep --shard 1/2 --dir '/tmp/it'\''s here' --duration 5s`,
		repeat("x", Config{Dir: "/tmp/it's here", Seed: 42, Duration: 5 * time.Second, Deep: true, Shard: Shard{1, 2}}))
	for _, tt := range []struct {
		result Result
		wants  string
	}{
		{Result{Problems: []string{"wrong"}}, "afterlock verify --run x --seed 42 --dir /"},
		{Result{Problems: []string{"wrong"}, Repeat: "afterlock replay y"}, "afterlock replay y"},
		{Result{Undecided: true}, "afterlock verify --run x --seed 42 --dir /"},
		{Result{Counts: work}, ""},
		{Result{Skipped: true}, ""},
	} {
		report, _ := runFakes(t, t.Context(), fake{name: "x", result: tt.result})
		repeat := report.Stages[0].Repeat
		assert.True(t, strings.HasPrefix(repeat, tt.wants) && (repeat == "") == (tt.wants == ""), repeat)
	}
}

// A worker that crashes says a thousand lines.
func TestLongTextsAreCutOff(t *testing.T) {
	long := strings.Repeat("line\n", 1000)
	short := strings.Repeat("line\n", 20) + "and 980 more lines"
	report, _ := runFakes(t, t.Context(),
		fake{name: "wrong", result: Result{Counts: work, Problems: []string{"one\ntwo", long}}},
		fake{name: "unable", err: errors.New(long)})
	assert.Equal(t, []string{"one\ntwo", short}, report.Stages[0].Problems)
	assert.Equal(t, short, report.Stages[1].Because)
}

func TestSelectKeepsTheOrderOfTheGate(t *testing.T) {
	all := []Stage{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	for _, tt := range []struct{ names, wants []string }{
		{nil, []string{"a", "b", "c"}},
		{[]string{"c", "a", "a"}, []string{"a", "c"}},
	} {
		selected, err := Select(all, tt.names)
		require.NoError(t, err)
		var names []string
		for _, stage := range selected {
			names = append(names, stage.Name)
		}
		assert.Equal(t, tt.wants, names)
	}
	_, err := Select(all, []string{"a", "d"})
	assert.EqualError(t, err, `no stage "d"; there are: a, b, c`)
	_, err = Select(Stages(), []string{"race"})
	assert.EqualError(t, err, "stage race is part of stage traces now: --run traces")
	for name, now := range former {
		_, err := Select(Stages(), []string{now})
		assert.NoError(t, err, name)
	}
}

func TestStagesHaveNamesAndDescriptions(t *testing.T) {
	seen := make(map[string]bool)
	for _, stage := range Stages() {
		assert.Regexp(t, `^[a-z]+$`, stage.Name)
		assert.NotContains(t, stage.Description, "\n")
		assert.False(t, seen[stage.Name], "two stages %q", stage.Name)
		seen[stage.Name] = true
	}
	assert.NotEmpty(t, seen)
}

func TestLiveDisplayWritesOverItsLine(t *testing.T) {
	var out bytes.Buffer
	d := &Display{out: &out, live: true}
	stage := fake{name: "x"}.stage()
	d.progress(stage, strings.Repeat("layers ", 20))
	d.progress(stage, "too soon after the other")
	d.finished(stage, Outcome{Verdict: Pass, Counts: work})
	assert.Equal(t, overLine+"x: "+strings.Repeat("layers ", 20)[:liveWidth-3]+overLine+"x: pass in 0.0 s: 7 things\n", out.String())
}

func TestPlainDisplaySaysWhenStagesStartAndEnd(t *testing.T) {
	_, out := runFakes(t, t.Context(),
		fake{name: "x", result: Result{Counts: work}, run: func(_ context.Context, env Env) { env.Progress("not shown") }},
		fake{name: "y", result: Result{Skipped: true, Because: "no Linux"}})
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 5)
	assert.Equal(t, "x: started: a stage of the tests", lines[0])
	assert.Regexp(t, `^x: pass in \d+\.\d s: 7 things$`, lines[1])
	assert.Regexp(t, `^y: skipped in \d+\.\d s: because no Linux$`, lines[3])
}

func TestTableShowsEverythingAboutEveryStage(t *testing.T) {
	report := Report{Seed: 42, Verdict: Fail, Seconds: 3, Stages: []Outcome{
		{Stage: "one", Ran: "something with a description that is longer than its column", Verdict: Fail,
			Counts: []Count{AtLeast("things", 7, 5), Never("lost", 1)}, Problems: []string{"lost: 1"}, Line: "one: in short", Repeat: "afterlock verify"},
		{Stage: "two", Verdict: Skipped, Because: "no Linux"},
		{Stage: "three", Verdict: Pass, Counts: work, Skips: []Skip{{"mounts", "only root may mount"}}},
	}}
	var out bytes.Buffer
	require.NoError(t, report.Write(&out))
	assert.Equal(t, strings.TrimPrefix(`
STAGE  WHAT WAS RUN                          COUNTS            VERDICT           TIME
one    something with a description that is  7 things, 1 lost  fail              0.0 s
       longer than its column
two    -                                     -                 skipped           0.0 s
three  -                                     7 things          pass, with skips  0.0 s

one: in short
one: lost: 1
repeat: afterlock verify
two: skipped, because no Linux
three: mounts skipped, because only root may mount
verdict: fail in 3.0 s (seed 42)
`, "\n"), out.String())
}
