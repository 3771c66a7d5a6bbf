package mutant

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

func TestMain(m *testing.M) { proc.Main(m) } // large files

// Every mutant that the catalogue excuses is one that the rules make, and the same.
func TestExcused(t *testing.T) {
	s := &Source{Root: "../../..", Errors: map[*Mutant]error{}}
	named, err := Catalogue()
	require.NoError(t, err)
	enumerated, err := s.enumerate()
	require.NoError(t, err)
	named = s.excuse(named, enumerated)
	for m, err := range s.Errors {
		t.Errorf("%s: %v", m.Name, err)
	}
	one := enumerated[0]
	_, change, _ := strings.Cut(one.Change, ": ")
	left := s.excuse([]*Mutant{named[0], {Name: one.Name, Change: change, Equivalent: "why"}}, enumerated)
	assert.Equal(t, named[:1], left)
	assert.Equal(t, "why", one.Equivalent)
	require.Empty(t, s.Errors)
	s.excuse([]*Mutant{{Name: one.Name, Change: "another"}, {Name: "none", Change: change}}, enumerated)
	assert.Len(t, s.Errors, 2)
}

// A hang that computes ends by the processor's time, one that sleeps by the clock.
func TestHangsEnd(t *testing.T) {
	for script, limits := range map[string][2]float64{"while :; do :; done": {0.2, 1e9}, "sleep 1000000": {1e9, 0.2}} {
		program := filepath.Join(t.TempDir(), "hangs")
		require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
		run := (&Source{Root: t.TempDir()}).execute(t.Context(), Detector{Name: "stage"}, program, []*part{{Name: "p"}}, limits[0], limits[1], "")
		assert.Equal(t, TimedOut, run.Verdict, "%s: %s", script, run.output)
	}
}

// A test that is not run kills nothing: a run names it, and why.
func TestSkippedTestsAreTold(t *testing.T) {
	if os.Getenv(records) != "" {
		t.Run("part", func(t *testing.T) { t.Skip("skipped, because it is this test's subject") })
		return
	}
	s, note := &Source{Root: t.TempDir()}, filepath.Join(t.TempDir(), "note")
	p := &part{Name: t.Name()}
	require.NoError(t, s.measure(t.Context(), Detector{Name: "own", Tests: "."}, os.Args[0], p, note, func(text string) { t.Log(text) }))
	assert.Equal(t, []string{t.Name() + "/part: skipped, because it is this test's subject"}, p.Skipped)
	assert.FileExists(t, note)
	info, err := os.Stat(note)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o666), info.Mode(), "other users note what they reach")
}

// What survives those parts that are tried within the limit meets the others, too.
func TestASurvivorMeetsEveryPart(t *testing.T) {
	d := Detector{Name: "./own", Tests: "own"}
	s := &Source{Root: t.TempDir(), Work: t.TempDir(), built: map[string]bool{}, listed: map[string][]*part{}}
	program := filepath.Join(s.Work, "all", "bin", "own.test")
	require.NoError(t, os.MkdirAll(filepath.Dir(program), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(s.Root, d.Tests), 0o700))
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\ncase $2 in *TestLast*) echo '--- FAIL: TestLast'; exit 1;; esac\n"), 0o700))
	s.built[program] = true
	for kill, verdict := range map[string]string{"TestLast": Killed, "TestOther": Survived} {
		s.listed[d.Name] = []*part{
			{Name: kill, Seconds: 1, Used: budget, Reached: []int{1}},
			{Name: "TestA", Used: 1, Reached: []int{1}},
			{Name: "TestB", Used: 2, Reached: []int{1}},
		}
		m, r := &Mutant{Name: "m"}, &Row{Mutant: "m"}
		s.number = map[*Mutant]int{m: 1}
		run, err := s.Detect(t.Context(), m, d, "", 0, nil)
		require.NoError(t, err)
		assert.Equal(t, 1, run.Left)
		require.NoError(t, s.try(t.Context(), m, r, []Detector{d}, Options{Kills: 1}))
		require.Len(t, r.Runs, 1)
		assert.Equal(t, []any{verdict, 0}, []any{r.Verdict(), r.Runs[0].Left})
		kept, _ := os.ReadFile(filepath.Join(s.Work, "outputs", "1-.-own.txt"))
		assert.Equal(t, verdict == Killed, strings.Contains(string(kept), "FAIL: TestLast"), "what it said is kept")
		require.NoError(t, os.RemoveAll(filepath.Join(s.Work, "outputs")))
	}
}

// What a detector meets, it still meets, as the catalogue says it: of each part of a
// stage that the catalogue names, one mutant. All of them is the command's.
func TestStagesMeetMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it builds the checks with mutants")
	}
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	if output, err := exec.Command("go", "list", "-deps", "./detector").CombinedOutput(); err != nil {
		t.Skipf("skipped, because nothing can be built here: %v: %s", err, output)
	}
	all, err := Catalogue()
	require.NoError(t, err)
	sampled := map[string]bool{}
	all = slices.DeleteFunc(all, func(m *Mutant) bool {
		stage, _, _ := strings.Cut(m.Part, "-")
		drop := m.Part == "" || sampled[m.Detector+stage]
		sampled[m.Detector+stage] = true
		return drop
	})
	require.Greater(t, len(all), 6)
	s := &Source{
		Root: root, Work: t.TempDir(), module: "github.com/afterlock/afterlock", Errors: map[*Mutant]error{},
		built: map[string]bool{}, listed: map[string][]*part{},
	}
	require.NoError(t, s.weave(t.Context(), all))
	require.Empty(t, s.Errors)
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			d, err := FindDetector(m.Detector)
			require.NoError(t, err)
			program, err := s.detector(t.Context(), d, m)
			require.NoError(t, err)
			run := s.execute(t.Context(), d, program, []*part{{Name: m.Part}}, 10*timeout, 30*timeout, fmt.Sprintf("%s=%d", selects, s.number[m]))
			require.Equal(t, Killed, run.Verdict, "%s", run.output)
			assert.Regexp(t, m.Message, run.output)
		})
	}
}
