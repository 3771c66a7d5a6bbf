//go:build linux

package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plantedSources are added to the packages.
var plantedSources = map[string]string{
	"internal/kernel": `package kernel

var fault string

// Plant says which fault the process has from now on.
func Plant(name string) { fault = name }

// Planted reports whether it is this one.
func Planted(name string) bool { return name == fault }

func planted(name string) bool { return Planted(name) }

func plantedFlag(name string, flag int) int {
	if planted(name) {
		return flag
	}
	return 0
}
`,
	"tempdir": `package tempdir

import "github.com/afterlock/afterlock/internal/kernel"

func planted(name string) bool { return kernel.Planted(name) }
`,
}

// Every fault of planted_sites_test.go is met where planted_faults_test.go says
// so, or it says there why nobody could tell.
func TestPlantedFaultsAreCaught(t *testing.T) {
	inSites := map[string]bool{}
	for _, s := range sites {
		for _, match := range regexp.MustCompile(`planted(?:Flag)?\("([^"]*)"`).FindAllStringSubmatch(s.new, -1) {
			inSites[match[1]] = true
		}
	}
	for _, f := range faults {
		assert.True(t, inSites[f.name], f.name)
		delete(inSites, f.name)
	}
	for name := range equivalent {
		assert.True(t, inSites[name], name)
		delete(inSites, name)
	}
	assert.Empty(t, inSites, "every fault is in one of the tables")
	if testing.Short() {
		t.Skip("skipped, because it builds the library")
	}
	if output, err := exec.Command("go", "list", "-buildvcs=false", "-deps", "./testdata/planted").CombinedOutput(); err != nil {
		t.Skipf("skipped, because nothing can be built here: %v: %s", err, output)
	}
	dir := t.TempDir()
	runner := filepath.Join(dir, "planted")
	output, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-overlay", overlay(t, dir), "-o", runner, "./testdata/planted").CombinedOutput()
	require.NoError(t, err, "%s", output)
	var group sync.WaitGroup
	outputs, errs := make([][]byte, 2), make([]error, 2)
	for i := range outputs {
		run := exec.Command(runner, scratch(t))
		in, out := io.Pipe()
		run.Stdin, run.Stderr = in, os.Stderr
		group.Go(func() {
			outputs[i], errs[i] = run.Output()
			in.Close() // so that nobody writes to one that died
		})
		group.Go(func() {
			for n, f := range faults {
				if n%len(outputs) == i && (f.model != "GateMount" || mayMount(t.TempDir()) == nil) {
					fmt.Fprintf(out, `{"Name": %q, "Model": %q}`, f.name, f.model)
				}
			}
			out.Close()
		})
	}
	group.Wait()
	type result struct {
		Fault    string
		Found    *Divergence
		Repeated string
	}
	results := map[string]result{}
	for i := range outputs {
		require.NoError(t, errs[i])
		for line := range strings.Lines(string(outputs[i])) {
			var r result
			require.NoError(t, json.Unmarshal([]byte(line), &r))
			results[r.Fault] = r
		}
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			r, ran := results[f.name]
			if !ran && mayMount(t.TempDir()) != nil {
				t.Skip("skipped, because this user may not mount")
			}
			require.NotNil(t, r.Found, "%s does not meet it", f.model)
			action, _, _ := strings.Cut(r.Found.Action, "(")
			assert.Equal(t, f.action, action, r.Found.String())
			assert.Contains(t, r.Found.Schedule, f.model+":")
			assert.Equal(t, withoutNumbers(r.Found.Reason), withoutNumbers(r.Repeated), "the schedule repeats it")
			t.Logf("%s\nafterlock replay %s", r.Found, r.Found.Schedule)
		})
	}
}

// withoutNumbers is a reason without ids, inode numbers and descriptors left
// open, which are drawn anew.
func withoutNumbers(text string) string {
	text, _, _ = strings.Cut(text, "still open")
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'f' {
			return -1
		}
		return r
	}, text)
}

// overlay writes the changed files, and what tells the Go tool of them.
func overlay(t *testing.T, dir string) string {
	t.Helper()
	top, err := filepath.Abs("../..")
	require.NoError(t, err)
	replace := map[string]string{}
	for name, text := range plantedSources {
		added := filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".go")
		require.NoError(t, os.WriteFile(added, []byte(text), 0o600))
		replace[filepath.Join(top, name, "planted.go")] = added
	}
	for _, s := range sites {
		in := "tempdir"
		if strings.HasPrefix(s.file, "kernel") {
			in = "internal/kernel"
		}
		from, to := filepath.Join(top, in, s.file), filepath.Join(dir, s.file)
		if replace[from] != "" {
			from = to // changed before
		} else {
			replace[from] = to
		}
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), s.old), "%s has once: %s", s.file, s.old)
		require.NoError(t, os.WriteFile(to, []byte(strings.Replace(string(text), s.old, s.new, 1)), 0o600))
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}
