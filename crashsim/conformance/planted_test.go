//go:build linux

package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A replacement is a change of one place in a file of package tempdir.
type replacement struct{ file, old, new string }

// Faults in the library, and the step at which the execution of edges has to
// meet each of them. They are built with an overlay and are never in the product.
var planted = []struct {
	name    string
	changes []replacement
	model   string
	action  string // without arguments
}{
	{
		name: "recheck dropped",
		changes: []replacement{{"lock.go", `	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil && held.Links > 0 && held.same(named), err`, `	_, _, _ = held, named, err
	return true, nil`}},
		model: "GateOrphan", action: "StatName",
	},
	{
		name: "unlink before data",
		changes: []replacement{{"recover.go", `	if _, err := r.removeData(ctx, op, n.id, true); err != nil {`,
			`	_ = r.kernel.RemoveLock(r.fd, lockName(n.id))
	if _, err := r.removeData(ctx, op, n.id, true); err != nil {`}},
		model: "GateOrphan", action: "LinkLock",
	},
	{
		name: "EEXIST at mkdir accepted",
		changes: []replacement{
			{"create.go", `dataName(id)); err != nil {`, `dataName(id)); err != nil && !errors.Is(err, unix.EEXIST) {`},
			{"create.go", `import "errors"`, "import (\n\t\"errors\"\n\n\t\"golang.org/x/sys/unix\"\n)"},
		},
		model: "GateSwept", action: "CallFails",
	},
	{
		name:    "lock kept after a failed removal",
		changes: []replacement{{"recover.go", `		r.kernel.Close(lock) // the lock is released; both names stay (rule 5)`, ``}},
		model:   "GateOrphan", action: "CallFails",
	},
	{
		name: "adoption by open",
		changes: []replacement{
			{"recover.go", `	lock, err = r.publishLocked(lockName(id))
	switch {`, `	return r.takeStale(op, id)
	switch {`},
			{"kernel_linux.go", `unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)`,
				`unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)`},
		},
		model: "GateOrphan", action: "List",
	},
	{
		name: "listing trusted for orphans",
		changes: []replacement{{"recover.go", `		lock, outcome, err = r.adopt(op, n.id)`,
			`		_, err = r.removeData(ctx, op, n.id, true)
		return Recovered, false, err`}},
		model: "GateOrphan", action: "List",
	},
}

func TestPlantedDivergencesAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it builds the library six times")
	}
	if output, err := exec.Command("go", "list", "-buildvcs=false", "-deps", "./testdata/planted").CombinedOutput(); err != nil {
		t.Skipf("skipped, because nothing can be built here: %v: %s", err, output)
	}
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			runner := filepath.Join(dir, "planted")
			output, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-overlay", overlay(t, dir, p.changes), "-o", runner, "./testdata/planted").CombinedOutput()
			require.NoError(t, err, "%s", output)
			run := exec.Command(runner, scratch(t), p.model)
			run.Stderr = os.Stderr
			output, err = run.Output()
			require.NoError(t, err)
			var d struct {
				Divergence
				Repeated string
			}
			require.NoError(t, json.Unmarshal(output, &d))
			action, _, _ := strings.Cut(d.Action, "(")
			assert.Equal(t, p.action, action, d.String())
			assert.Contains(t, d.Schedule, p.model+":")
			assert.Equal(t, withoutNumbers(d.Reason), withoutNumbers(d.Repeated), "the schedule repeats it")
			t.Logf("%s\nafterlock replay conformance:%s", &d.Divergence, d.Schedule)
		})
	}
}

// withoutNumbers is a reason without ids and inode numbers, which are drawn anew.
func withoutNumbers(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'f' {
			return -1
		}
		return r
	}, text)
}

// overlay writes the changed files, and what tells the Go tool of them.
func overlay(t *testing.T, dir string, changes []replacement) string {
	t.Helper()
	source, err := filepath.Abs("../../tempdir")
	require.NoError(t, err)
	replace := map[string]string{}
	for _, c := range changes {
		from, to := filepath.Join(source, c.file), filepath.Join(dir, c.file)
		if replace[from] != "" {
			from = to // changed before
		} else {
			replace[from] = to
		}
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), c.old), "%s has %q once", c.file, c.old)
		require.NoError(t, os.WriteFile(to, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600))
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}
