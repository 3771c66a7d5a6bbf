package subjects

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a fleet has done, and what the report says of it.
func TestPutsAreJudgedByWhoLostThem(t *testing.T) {
	enough := puts{tried: leastPuts}
	some := puts{tried: leastInFleet}
	lost := puts{tried: 3901, failed: 23, example: "rename: no such file or directory"}
	for _, c := range []struct {
		name    string
		fleet   putFleet
		did     []puts
		verdict Verdict
		because string
	}{
		{"nothing done", putFleet{{"released", 8}}, []puts{{}}, Undecided, "0 puts of released in a fleet of 8 released"},
		{"too little done", putFleet{{"compat", 8}}, []puts{{tried: leastPuts - 1}}, Undecided, "1999 puts of compat in a fleet of 8 compat, at least 2000 expected"},
		{"fixed", putFleet{{"released", 8}}, []puts{enough}, Pass, ""},
		{"fleet", putFleet{{"released", 4}, {"compat", 4}}, []puts{some, some}, Pass, ""},
		{"one kind took no part", putFleet{{"released", 1}, {"compat", 7}}, []puts{{}, enough}, Undecided, "0 puts of released"},
		{"not fixed", putFleet{{"released", 8}}, []puts{lost}, Fail, "released: 23 of 3,901 puts of released are lost in a fleet of 8 released: rename"},
		{"compat loses", putFleet{{"compat", 8}}, []puts{lost}, Fail, "compat: 23 of 3,901 puts of compat are lost in a fleet of 8 compat"},
		{"compat takes it", putFleet{{"released", 1}, {"compat", 7}}, []puts{lost, enough}, Fail, "compat: 23 of 3,901 puts of released are lost in a fleet of 1 released, 7 compat"},
		{"not whole", putFleet{{"released", 8}}, []puts{{tried: 9, incomplete: 1}}, Fail, "released: 1 of 9 puts"},
		{"not deleted", putFleet{{"released", 8}}, []puts{{tried: 9, undeleted: 1}}, Fail, "released: 1 of 9 puts"},
		{"a full disk is no loss", putFleet{{"released", 8}}, []puts{{tried: 5000, failed: 7, other: 7}}, Undecided, "7 puts of released failed because the machine"},
	} {
		var r Report
		judgePuts(&r, r.Table("puts", "fleet", "kind", "puts", "failed", "incomplete", "not deleted"), c.fleet, c.did, true)
		assert.Equal(t, c.verdict, r.Verdict(), c.name)
		assert.Contains(t, r.Because(), c.because, c.name)
	}
}

func TestInstancesAreJudgedByWhoLostThem(t *testing.T) {
	enough := instances{made: leastInstances, recoveries: 1, kills: 1}
	but := func(change func(*instances)) instances {
		i := enough
		change(&i)
		return i
	}
	for _, c := range []struct {
		name, creators, recoverers string
		did                        instances
		verdict                    Verdict
		because                    string
	}{
		{"fixed", "released", "released", enough, Pass, ""},
		{"too little done", "compat", "compat", but(func(i *instances) { i.made-- }), Undecided, "1999 instances of compat"},
		{"no recovery", "compat", "compat", but(func(i *instances) { i.recoveries = 0 }), Undecided, "0 recoveries beside instances of compat"},
		{"no kill", "compat", "compat", but(func(i *instances) { i.kills = 0 }), Undecided, "0 kills of instances of compat"},
		{"lost", "released", "released", but(func(i *instances) { i.lost = 2 }), Fail, "released: 2 of 2,000 instances of released beside recovery of released are lost"},
		{"incomplete", "released", "compat", but(func(i *instances) { i.incomplete = 1 }), Fail, "compat: 1 of 2,000 instances of released beside recovery of compat are lost"},
		{"released leaves what it likes", "released", "released", but(func(i *instances) { i.left = 1 }), Pass, ""},
		{"taken by what was released", "compat", "released", but(func(i *instances) { i.lost = 1 }), Fail, "compat: 1 of 2,000 instances of compat beside recovery of released"},
		{"a full disk is no loss", "compat", "compat", but(func(i *instances) { i.lost, i.other = 7, 7 }), Undecided, "7 instances of compat beside recovery of compat failed because the machine"},
		{"a loss beside it", "compat", "compat", but(func(i *instances) { i.lost, i.other = 8, 7 }), Fail, "compat: 1 of 2,000 instances"},
		{"left", "compat", "compat", but(func(i *instances) { i.left = 1 }), Fail, "compat: 1 data directories are left"},
	} {
		var r Report
		table := r.Table("instances", "creators", "recoverers", "instances", "lost", "incomplete", "recoveries", "kills", "data left")
		judgeInstances(&r, table, c.creators, c.recoverers, c.did, true)
		assert.Equal(t, c.verdict, r.Verdict(), c.name)
		assert.Contains(t, r.Because(), c.because, c.name)
	}
}

func TestTheScheduleIsJudgedByWhoLostData(t *testing.T) {
	for _, c := range []struct {
		name    string
		moments []SteeredMoment
		verdict Verdict
		because string
	}{
		{"nothing run", nil, Undecided, "0 moments of the schedule on released/unpack"},
		{"no runs", []SteeredMoment{{Name: "unpack"}}, Undecided, "0 runs of the schedule on released, unpack"},
		{"fixed", []SteeredMoment{{Name: "unpack", Runs: 9, Met: 9}}, Pass, ""},
		{"nobody looked", []SteeredMoment{{Name: "unpack", Runs: 9, Met: 8}}, Undecided, "8 recoveries that met the instance of released, unpack, at least 9 expected"},
		{"blind", []SteeredMoment{{Name: "unpack", Runs: 9, Met: 9, Played: 9}}, Undecided, "0 losses seen in 9 runs of the schedule to its end on released, unpack"},
		{"not fixed", []SteeredMoment{{Name: "unpack", Runs: 9, Played: 9, Failed: 6, Incomplete: 3, Example: "gone", Repeat: "again"}}, Fail, "released: the schedule loses data in 9 of 9 runs, unpack: gone; repeat: again"},
	} {
		var r Report
		r.Table("schedule", "run").Row("once")
		judgeSteered(&r, "released/unpack", c.moments)
		assert.Equal(t, c.verdict, r.Verdict(), c.name)
		assert.Contains(t, r.Because(), c.because, c.name)
	}
}

func TestErrorsOfTheMachineAreNoLosses(t *testing.T) {
	example, other := errorLines("write 0/1: no space left on device\nrename x: no such file or directory\nrename y: no such file or directory\n")
	assert.Equal(t, "rename x: no such file or directory", example)
	assert.Equal(t, 1, other)
	for _, resource := range resources {
		_, other := errorLines(strings.ToLower("put: " + resource))
		assert.Equal(t, 1, other, resource)
	}
}

func TestNumbersHaveCommas(t *testing.T) {
	for n, text := range map[int]string{0: "0", 999: "999", 1000: "1,000", 3901: "3,901", 1234567: "1,234,567"} {
		assert.Equal(t, text, Number(n))
	}
}

// More is done only where that can still change the verdict.
func TestAFleetGoesOnUntilItHasDoneEnough(t *testing.T) {
	lost := &Report{Problems: []string{"released: lost"}}
	for _, c := range []struct {
		name       string
		r          *Report
		round      int
		lost, done int
		goes       bool
	}{
		{"the first round", lost, 0, 0, 0, true},
		{"too little", &Report{}, 1, 0, 99, true},
		{"enough", &Report{}, 1, 0, 100, false},
		{"a loss", &Report{}, 1, 1, 1, false},
		{"somebody else's loss", lost, 1, 0, 1, false},
		{"too slow a machine", &Report{}, mostRounds, 0, 99, false},
	} {
		assert.Equal(t, c.goes, again(c.r, c.round, c.lost, c.done, 100), c.name)
	}
}
