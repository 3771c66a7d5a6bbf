package subjects

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// good is a replay in which everybody waits for that long, and one kill in two is
// cleaned up.
func good(trace Trace, wait time.Duration) (b bystander) {
	for range trace.Commands {
		b.waits = append(b.waits, wait)
	}
	b.waits[0], b.waits[1], b.waits[2] = 10*wait, 9*wait, 9*wait
	b.looks = b.waits[100:]
	for i := range trace.Victims {
		b.kills = append(b.kills, killing{bytes: 8 << 20, after: 2 * wait, back: i%2 == 0})
	}
	return b
}

func TestPolicyTablesHaveMedians(t *testing.T) {
	trace := NewTrace(1, 200, 4)
	var report Report
	policyTables(&report, trace, policies[1:2], [][]bystander{{good(trace, 3*time.Second), good(trace, time.Second), good(trace, 2*time.Second)}})
	waits, space := report.Tables[0].Rows[0], report.Tables[1].Rows[0]
	assert.Equal(t, []any{"compat", policies[1].where, 2 * time.Second, 18 * time.Second, 20 * time.Second, 2 * time.Second, 2 * time.Second, time.Duration(0), 0, 0}, waits[:10])
	assert.Equal(t, []any{"compat", 4, 4 * time.Second, 4 * time.Second, 2, 128, 0}, space, "2 of 4 kills; 4 times 8 MiB for 4 s")
	assert.Equal(t, Pass, report.Verdict(), report.Because())
}

// What compat does worse than wait fails; what the release does is told; and a replay
// in which too little happened says nothing.
func TestVerdictOfPolicies(t *testing.T) {
	trace := NewTrace(1, 200, 4)
	released, compat := policies[:1], policies[1:2]
	for _, c := range []struct {
		name    string
		policy  []policy
		change  func(b *bystander)
		verdict Verdict
	}{
		{"good", compat, func(*bystander) {}, Pass},
		{"a command of compat fails", compat, func(b *bystander) { b.failed = []string{"pull"} }, Fail},
		{"a layer of compat is damaged", compat, func(b *bystander) { b.damaged = []string{"base0"} }, Fail},
		{"a command of the release fails", released, func(b *bystander) { b.failed = []string{"pull"} }, Pass},
		{"kills came too late", compat, func(b *bystander) { b.kills = b.kills[:2] }, Undecided},
		{"nearly everything failed", compat, func(b *bystander) { b.waits = b.waits[:9] }, Undecided},
	} {
		var report Report
		b := good(trace, time.Second)
		c.change(&b)
		policyTables(&report, trace, c.policy, [][]bystander{{good(trace, time.Second), b, good(trace, time.Second)}})
		assert.Equal(t, c.verdict, report.Verdict(), "%s: %s", c.name, report.Because())
	}
}
