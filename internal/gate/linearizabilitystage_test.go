package gate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/afterlock/afterlock/linearizability"
)

// A run that did enough.
func goodHistories() (linearizability.Report, linearizability.Config) {
	answers := map[string]int64{}
	for _, answer := range linearizability.Answers {
		answers[answer] = 1
	}
	return linearizability.Report{
		WithImages: 150, Full: 100, Answers: answers,
		FileSystem: "tmpfs", Goroutines: 200, Processes: 100, Layouts: map[string]int64{"vfs": 150, "overlay": 150},
		Operations: 20_000, CutOff: 300, Refused: 5000, Kills: 300, AtCalls: 150, CleanedUp: 400,
	}, linearizability.Config{Dir: "/dir"}
}

func TestLifecycleStageJudgesAReport(t *testing.T) {
	good := func() (linearizability.Report, linearizability.Config) {
		return linearizability.Report{
			FileSystem: "ext4", Processes: 12, Kills: 60, Removing: 15, CleanedUp: 20, Held: 90,
			Answers: map[string]int64{"create ok": 60, "delete ok": 20, "read ok": 40},
		}, linearizability.Config{Dir: "/dir", Files: largeFiles}
	}
	verdict, because, problems := judge(lifecycleResult(good()), nil)
	assert.Equal(t, Pass, verdict, "%s %v", because, problems)
	for want, change := range map[string]func(r *linearizability.Report){
		"0 inside removals, at least 6 expected":         func(r *linearizability.Report) { r.Removing = 0 },
		"1 histories are undecided: layer a":             func(r *linearizability.Report) { r.Undecided, r.Because = 1, []string{"layer a"} },
		"removals under them: 1, and there must be none": func(r *linearizability.Report) { r.Under = 1 },
		"illegal: 2, and there must be none":             func(r *linearizability.Report) { r.Illegal = 2 },
		"history 3: process 2 leaked descriptor 9 of /store/lock": func(r *linearizability.Report) {
			r.Problems = []string{"history 3: process 2 leaked descriptor 9 of /store/lock"}
		},
	} {
		r, c := good()
		change(&r)
		verdict, because, problems := judge(lifecycleResult(r, c), nil)
		assert.NotEqual(t, Pass, verdict)
		assert.Contains(t, append(problems, because), want)
	}
}

func TestLinearizabilityStageJudgesAReport(t *testing.T) {
	verdict, _, _ := judge(linearizabilityResult(goodHistories()), nil)
	assert.Equal(t, Pass, verdict)

	r, c := goodHistories()
	r.Illegal, r.Problems = 1, []string{"illegal: …; judge it again: afterlock check /dir/h"}
	verdict, _, problems := judge(linearizabilityResult(r, c), nil)
	assert.Equal(t, Fail, verdict)
	assert.Equal(t, []string{r.Problems[0], "illegal: 1, and there must be none"}, problems)

	r, c = goodHistories()
	r.Undecided, r.Because = 1, []string{"undecided: layer a (900 steps)"}
	verdict, because, _ := judge(linearizabilityResult(r, c), nil)
	assert.Equal(t, Undecided, verdict)
	assert.Equal(t, "1 histories are undecided: undecided: layer a (900 steps)", because)

	r, c = goodHistories()
	delete(r.Answers, "delete children")
	verdict, because, _ = judge(linearizabilityResult(r, c), nil)
	assert.Equal(t, Undecided, verdict)
	assert.Equal(t, "no operation answered: delete children", because)

	r, c = goodHistories()
	r.CleanedUp = 299
	verdict, because, _ = judge(linearizabilityResult(r, c), nil)
	assert.Equal(t, Undecided, verdict)
	assert.Equal(t, "299 recoveries that left nothing, at least 300 expected", because)

	r, c = goodHistories()
	r.SameSystem = true
	assert.Equal(t, []Skip{{"image stores on another file system", "there is none that this user may write to"}}, linearizabilityResult(r, c).Skips)

	r, c = goodHistories()
	r.Kills = 299
	verdict, because, _ = judge(linearizabilityResult(r, c), nil)
	assert.Equal(t, Undecided, verdict)
	assert.Equal(t, "299 kills, at least 300 expected", because)
}
