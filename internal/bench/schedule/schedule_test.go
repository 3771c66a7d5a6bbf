package schedule_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/internal/bench/schedule"
)

func TestOldStringsAreUnderstoodOrRefused(t *testing.T) {
	for old, want := range map[string]string{
		"conformance:GateSwept:0.2.2.0f1":                  "conformance:GateSwept/0.2.2.0!1",
		"conformance:GateSwept":                            "conformance:GateSwept",
		"crash:delete=1x1x1/weak/A13/3":                    "crash:delete=1x1x1@weak/A13/3",
		"crash:add=1x1,recover=1/ordered/A5B2a/-/1~0.4":    "crash:add=1x1,recover=1@ordered/A5.B2.A!/-/1~0.4",
		"crash:delete=1x1x1,named=1/perDirectory/A":        "crash:delete=1x1x1,named=1@perDirectory/A",
		"box:kill/delete/12/3/+4":                          "box:delete/A11!.B2c!.C3!",
		"box:fail/delete/5/EIO":                            "box:delete/A4!EIO",
		"box:sched/upstream-delete/OOABo":                  "box:upstream-delete/O.O.A.B.O*",
		"counterexample:UpstreamAsShipped":                 "counterexample:UpstreamAsShipped",
		"crash:delete=1x1x1,recover=1/weak/A2b/0":          "crash:delete=1x1x1,recover=1@weak/A2.B!/0",
		"box:sched/store-vfs/":                             "box:store-vfs",
		"box:kill/deletechain-overlay/7":                   "box:deletechain-overlay/A6!",
		"crash:delete=1x1x1,recover=1,kill=1/ordered/AABa": "crash:delete=1x1x1,recover=1,kill=1@ordered/A.A.B.A!",
	} {
		s, err := schedule.Parse(old)
		require.NoError(t, err, old)
		assert.Equal(t, want, s.String())
	}
	_, err := schedule.Parse("soft:delete=1x1x1/7/0")
	assert.ErrorContains(t, err, `"box" kills real processes at each of their calls`)
}

func TestWhatIsNoSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "expected KIND:PROGRAM",
		"conformance":        "expected KIND:PROGRAM",
		"conformance:":       "expected PROGRAM",
		"crash:x@/A":         "expected PROGRAM",
		"crash:x@y@z/A":      "expected PROGRAM",
		"crash:x/a":          `step 1: cannot read "a"`,
		"crash:x/A..B":       `step 2: cannot read ""`,
		"crash:x/A0":         "step 1",
		"crash:x/A!eio":      "step 1",
		"crash:x/A!1":        "step 1",
		"crash:x/2*":         "step 1",
		"crash:x/2!EIO":      "step 1",
		"crash:x/2!01":       "step 1",
		"crash:x/Ac":         "step 1",
		"crash:x/A999999999": "more than",
		"crash:x/A/1~2":      "expected - or numbers",
		"crash:x/A/-/-":      "expected N~LOST",
		"crash:x/A/-/1~":     "expected N~LOST",
		"crash:x/A/1000000":  "expected - or numbers",
	} {
		_, err := schedule.Parse(text)
		assert.ErrorContains(t, err, want, text)
		assert.ErrorAs(t, err, new(*schedule.Error), text)
	}
}

func drawSchedule(t *rapid.T) *schedule.Schedule {
	count := rapid.IntRange(0, 40)
	step := rapid.Custom(func(t *rapid.T) schedule.Step {
		s := schedule.Step{Count: count.Draw(t, "count"), Process: rapid.SampledFrom([]byte{0, 'A', 'B', 'Z'}).Draw(t, "process")}
		if s.Process == 0 {
			s.How = rapid.SampledFrom([]string{"", "0", "17"}).Draw(t, "choice")
			if s.How != "" {
				s.End = schedule.Stopped
			}
			return s
		}
		s.End = rapid.SampledFrom([]byte{0, schedule.ToEnd, schedule.Stopped}).Draw(t, "end")
		s.Changes = rapid.Bool().Draw(t, "changes")
		if s.End == schedule.Stopped {
			s.How = rapid.SampledFrom([]string{"", "EIO", "E2BIG"}).Draw(t, "how")
		}
		if s.End == 0 {
			s.Count++
		}
		return s
	})
	s := &schedule.Schedule{
		Kind: rapid.SampledFrom([]string{"crash", "box", "conformance"}).Draw(t, "kind"), Program: rapid.StringMatching(`[A-Za-z0-9=,+-]+`).Draw(t, "program"),
		World: rapid.StringMatching(`[a-z]*`).Draw(t, "world"), Steps: rapid.SliceOfN(step, 0, 6).Draw(t, "steps"),
	}
	for i := range count.Draw(t, "losses") % 3 {
		loss := schedule.Loss{At: -1, Lost: rapid.SliceOfN(count, 0, 4).Draw(t, "lost")}
		if i > 0 {
			loss.At = count.Draw(t, "at")
		}
		s.Losses = append(s.Losses, loss)
	}
	return s
}

func TestWhatIsPrintedIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		again, err := schedule.Parse(s.String())
		require.NoError(t, err)
		assert.Equal(t, s.String(), again.String())
		assert.ElementsMatch(t, s.Steps, again.Steps)
		assert.Equal(t, []string{s.Kind, s.Program, s.World}, []string{again.Kind, again.Program, again.World})
		require.Len(t, again.Losses, len(s.Losses))
		for i := range s.Losses {
			assert.Equal(t, s.Losses[i].At, again.Losses[i].At)
			assert.ElementsMatch(t, s.Losses[i].Lost, again.Losses[i].Lost)
		}
	})
}

func TestLettersAndSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOf(rapid.SampledFrom([]byte("ABCabc"))).Draw(t, "letters")
		s := schedule.Schedule{Kind: "crash", Program: "x", Steps: schedule.FromLetters(letters, schedule.Stopped)}
		again, err := s.Letters(schedule.Stopped)
		require.NoError(t, err)
		assert.Equal(t, string(letters), string(again))
	})
	_, err := (&schedule.Schedule{Steps: []schedule.Step{{Process: 'A', End: schedule.ToEnd}}}).Letters(schedule.Stopped)
	assert.Error(t, err)
}
