package subjects_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/afterlock/afterlock/crashsim/subjects"
)

// A short trace, to be read.
func ExampleNewTrace() {
	for _, c := range subjects.NewTrace(1, 24, 2).Commands {
		fmt.Println(c)
	}
	// Output:
	// 0.00 s, lane 5: list
	// 0.02 s, lane 5: mount base0 (202 names)
	// 0.06 s, lane 4: list
	// 0.07 s, lane 2: pull pulled3 (117 names)
	// 0.10 s, lane 1: list
	// 0.13 s, lane 5: delete victim0 (10100 names), killed when 57 of 100 directories are left
	// 0.15 s, lane 5: pull pulled6 (107 names)
	// 0.18 s, lane 4: mount base1 (202 names)
	// 0.20 s, lane 5: mount base4 (202 names)
	// 0.23 s, lane 1: pull pulled9 (142 names)
	// 0.27 s, lane 6: mount base5 (202 names)
	// 0.29 s, lane 4: pull pulled11 (154 names)
	// 0.30 s, lane 3: delete victim1 (20200 names), killed when 150 of 200 directories are left
	// 0.34 s, lane 1: pull pulled13 (49 names)
	// 0.37 s, lane 5: mount base3 (202 names)
	// 0.37 s, lane 4: mount base5 (202 names)
	// 0.42 s, lane 2: mount base0 (202 names)
	// 0.42 s, lane 6: pull pulled17 (83 names)
	// 0.46 s, lane 4: list
	// 0.48 s, lane 1: delete pulled9 (142 names)
	// 0.52 s, lane 4: mount base5 (202 names)
	// 0.53 s, lane 7: pull pulled21 (169 names)
	// 0.55 s, lane 5: mount base0 (202 names)
	// 0.58 s, lane 5: delete pulled6 (107 names)
}

// What the table is about: the commands are mixed, a layer is deleted once and by the
// lane that pulled it, and every victim once, by a process that is killed midway.
func TestTraces(t *testing.T) {
	for seed := range uint64(5) {
		trace := subjects.NewTrace(seed, 1000, 20)
		assert.Equal(t, trace, subjects.NewTrace(seed, 1000, 20))
		assert.Len(t, trace.Commands, 1000)
		count, kills := map[string]int{}, map[string]bool{}
		pulled := map[string]int{}
		for i, c := range trace.Commands {
			count[c.Do]++
			assert.True(t, i == 0 || c.At >= trace.Commands[i-1].At, "in order")
			switch {
			case c.Do == "pull":
				assert.NotContains(t, pulled, c.Layer.ID)
				pulled[c.Layer.ID] = c.Lane
			case c.Left > 0:
				kills[c.Layer.ID] = true
				assert.NotZero(t, c.Lane, "the server is not killed")
				assert.Less(t, c.Left, c.Layer.Directories())
				assert.Less(t, c.At, trace.Duration()*7/10)
			case c.Do == "delete":
				lane, found := pulled[c.Layer.ID]
				assert.True(t, found && lane == c.Lane, "%v", c)
				delete(pulled, c.Layer.ID)
			}
		}
		assert.Len(t, kills, 20)
		for _, what := range []string{"pull", "delete", "list", "mount"} {
			assert.Greater(t, count[what], 100, "%s: %v", what, count)
		}
	}
	assert.NotEqual(t, subjects.NewTrace(1, 100, 2).Commands, subjects.NewTrace(2, 100, 2).Commands)
}
