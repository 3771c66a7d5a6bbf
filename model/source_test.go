package model_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

func configs(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../spec/*.cfg")
	require.NoError(t, err)
	texts := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts[strings.TrimSuffix(filepath.Base(path), ".cfg")] = string(text)
	}
	return texts
}

// Nothing of a .cfg is passed over: each line of each, left out, there twice, with
// another name or another value, is an error that names the file, the line and what
// is on it. (That what is understood is understood rightly, TLC's digests tell.)
func TestEveryLineOfEveryConfigMeansSomething(t *testing.T) {
	constants, swaps := 0, 0
	for name, text := range configs(t) {
		m, err := model.Parse(name, text)
		require.NoError(t, err)
		assert.Equal(t, model.Find(name), m)
		lines := slices.Collect(strings.Lines(text))
		for i, line := range lines {
			key, value, isConstant := strings.Cut(strings.TrimSpace(line), " ")
			refused := func(what, now string, told bool) {
				changed := strings.Join(lines[:i], "") + now + strings.Join(lines[i+1:], "")
				_, err := model.Parse(name, changed)
				if assert.Error(t, err, "%s.cfg:%d: %s: %s", name, i+1, what, line) && told {
					assert.ErrorContains(t, err, fmt.Sprintf("%s.cfg:%d: ", name, i+1), what)
				}
			}
			refused("another name", strings.Replace(line, key, key+"Un", 1), true)
			isConstant = isConstant && strings.HasPrefix(line, "  ")
			switch {
			case isConstant:
				constants++
				refused("there twice", line+line, false)
				last := strings.LastIndex(line, strings.Fields(value)[1])
				refused("another value", line[:last]+"unknown\n", true)
				if strings.Contains(line, "<-") {
					swaps++
					refused("= for <-", strings.Replace(line, "<-", "=", 1), true)
				} else {
					refused("<- for =", strings.Replace(line, "=", "<-", 1), true)
					refused("left out", "", false)
				}
			case strings.HasPrefix(line, `\*`), strings.HasPrefix(line, "CHECK"), strings.HasPrefix(line, "CONSTANTS"):
				refused("left out", "", false)
				refused("there twice", line+line, false)
			default: // a formula, a symmetry or properties
				isTheRefuted := m.MustFail() && line[0] != 'S' // then it is not what is expected
				refused("another value", strings.TrimSuffix(line, "\n")+"Un\n", !isTheRefuted)
			}
		}
	}
	assert.Greater(t, constants, 2500)
	assert.Greater(t, swaps, 350)
}

func TestErrorsNameWhatIsUnknown(t *testing.T) {
	gate := configs(t)["Gate"]
	for _, c := range [][3]string{
		{"  Files ", "  Flies ", "Gate.cfg:16: Flies: no constant of MC, or a second time: 2"},
		{"  Files       = 2", "  Files       = 9", "Gate.cfg: model: a configuration that does not fit in a Key"},
		{"{v1}", "{v1, v1}", `Gate.cfg:13: Victim: no value: {v1, v1}`},
		{"Upstream    = {}", "Upstream    = {c7}", "Gate.cfg:10: Upstream: no member of {c1, r1, r2} c7"},
		{"<- Apart", "<- Alone", `Gate.cfg:20: Pid: no value: Alone`},
		{`= "ofd"`, "= ofd", "Gate.cfg:19: LockKind: no value: ofd"},
		{"INVARIANTS", "  Close <- Nothing\nINVARIANTS", "Gate.cfg:29: Close: no mutant Nothing"},
		{"INVARIANTS", "  Shut <- ClosesAnyway\nINVARIANTS", "Gate.cfg:29: Shut: nothing of this model is swapped by ClosesAnyway"},
		{"INVARIANTS", "INVARIANTS Useful", "Gate.cfg:29: INVARIANTS: no property Useful"},
		{"Kind: gate", "Kind: fence", "Gate.cfg:3: \\* Kind: no kind fence"},
		{"Expect: holds", "Expect: LiveKept is refuted", "Gate.cfg:4: \\* Expect: a model that must fail checks the one property LiveKept"},
	} {
		require.Contains(t, gate, c[0])
		_, err := model.Parse("Gate", strings.Replace(gate, c[0], c[1], 1))
		assert.EqualError(t, err, c[2])
	}
}
