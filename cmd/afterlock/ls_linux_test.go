package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/testfs"
)

// A printed is what ls, recover and rm print with --json.
type printed struct {
	Roots []struct {
		Root      string
		RootBytes []byte `json:"root_bytes"`
		DryRun    bool   `json:"dry_run"`
		More      bool
		Error     string
		Instances []struct {
			Name, State, Reason string
			NameBytes           []byte `json:"name_bytes"`
			Data                bool
			Owner               *struct {
				PID     int
				Purpose string
			}
			Usage *struct{ Files, Bytes int64 }
		}
		Results []struct {
			ID, Outcome, Note string
			Names             int64
		}
		Foreign []struct {
			Name      string
			NameBytes []byte `json:"name_bytes"`
		}
	}
	Stores []struct {
		Path, Kind string
		Pulls      []struct{ Path, State string }
	}
	Errors, Results []struct { // of arguments
		Path, Outcome, Error string
		PathBytes            []byte `json:"path_bytes"`
	}
	Leftovers []string
}

// row returns the fields of the line that begins with the id.
func row(t *testing.T, table, id string) []string {
	t.Helper()
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == id {
			return fields
		}
	}
	require.Failf(t, "no row", "%s in\n%s", id, table)
	return nil
}

func TestLsShowsEveryState(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	h, id := startHolder(t, holdRole, root)
	stale, orphan := stale(t, root), orphan(t, root)
	require.NoError(t, os.WriteFile(filepath.Join(root, "notes.txt"), nil, 0o600))
	unknown := strings.Repeat("f", 32)
	require.NoError(t, os.Mkdir(filepath.Join(root, "lock-"+unknown), 0o700))
	before := testfs.Snapshot(t, root)

	stdout, stderr, code := call(t, "ls", "--size", root)
	assert.Zero(t, code)
	assert.Empty(t, stderr)
	t.Log("\n" + stdout)
	assert.Equal(t, []string{"ID", "STATE", "AGE", "OWNER", "PURPOSE", "DATA", "SIZE"}, row(t, stdout, "ID"))
	assert.Contains(t, strings.Join(row(t, stdout, id), " "), "KiB in 1 name")
	assert.Equal(t, "live", row(t, stdout, id)[1])
	assert.Equal(t, fmt.Sprint(h.Process.Pid), row(t, stdout, id)[3])
	assert.Contains(t, stdout, "test of ls")
	assert.Equal(t, "stale", row(t, stdout, stale)[1])
	assert.Equal(t, "orphan", row(t, stdout, orphan)[1])
	assert.Equal(t, "foreign", row(t, stdout, "notes.txt")[1])
	assert.Equal(t, "unknown", row(t, stdout, unknown)[1])
	assert.Contains(t, strings.Join(row(t, stdout, unknown), " "), "not an afterlock name")
	assert.Equal(t, before, testfs.Snapshot(t, root), "ls changed something")
}

func TestLsPrintsJSON(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	h, id := startHolder(t, holdRole, root)
	odd := "odd \xff\x1b[2J"
	require.NoError(t, os.WriteFile(filepath.Join(root, odd), nil, 0o600))
	stdout, stderr, code := call(t, "ls", "--json", "--size", root)
	assert.Zero(t, code)
	assert.Empty(t, stderr)
	got := parse[printed](t, stdout)
	require.Len(t, got.Roots, 1)
	assert.Equal(t, root, got.Roots[0].Root)
	require.Len(t, got.Roots[0].Instances, 2)
	instance := got.Roots[0].Instances[0]
	assert.Equal(t, id, instance.Name)
	assert.Equal(t, "live", instance.State)
	assert.True(t, instance.Data)
	assert.Equal(t, h.Process.Pid, instance.Owner.PID)
	assert.Equal(t, "test of ls", instance.Owner.Purpose)
	assert.EqualValues(t, 1, instance.Usage.Files)
	assert.GreaterOrEqual(t, instance.Usage.Bytes, int64(10_000))
	assert.Equal(t, odd, string(got.Roots[0].Instances[1].NameBytes))
}

func TestLsNamesTheHolderOfAnUpstreamLock(t *testing.T) {
	root := t.TempDir()
	h, _ := startHolder(t, upstreamRole, filepath.Join(root, "lock-1234567890"))
	require.NoError(t, os.Mkdir(filepath.Join(root, "temp-dir-1234567890"), 0o700))
	stdout, _, code := call(t, "ls", root)
	assert.Zero(t, code)
	assert.Contains(t, strings.Join(row(t, stdout, "1234567890"), " "), fmt.Sprintf("held by %d - yes", h.Process.Pid))
}

func TestLsFindsTheRootsOfAStore(t *testing.T) {
	graph := filepath.Join(t.TempDir(), "a [graph] root*")
	for _, root := range []string{"overlay-layers/tmp", "overlay/tempdirs", "vfs/tempdirs", "tempdirs", "overlay/l"} {
		require.NoError(t, os.MkdirAll(filepath.Join(graph, root, "temp-dir-1"), 0o700))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(graph, "vfs-layers"), 0o700))
	require.NoError(t, os.Symlink("/", filepath.Join(graph, "vfs-layers", "tmp")))
	stdout, stderr, code := call(t, "ls", "--json", graph)
	require.Zero(t, code, stderr)
	var roots []string
	for _, root := range parse[printed](t, stdout).Roots {
		roots = append(roots, strings.TrimPrefix(root.Root, graph+"/"))
		require.Len(t, root.Instances, 1)
		assert.Equal(t, "orphan", root.Instances[0].State)
	}
	assert.Equal(t, []string{"overlay/tempdirs", "overlay-layers/tmp", "tempdirs", "vfs/tempdirs"}, roots)
	stdout, _, _ = call(t, "ls", graph)
	assert.Contains(t, stdout, "overlay/tempdirs:\n")
}

func TestWhatOthersWroteCannotPlayWithTheTerminal(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	id := stale(t, root)
	for _, record := range []string{
		`{"pid":1,"executable":"\u001b[2J\u0007evil","purpose":"a\u001b]0;title\u0007\nb\u202ec"}` + "\n",
		"\x1b[2J\x1b[31m garbage\n",
		strings.Repeat("\x00\xff", 4000),
		"",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "lock-"+id), []byte(record), 0o600))
		for _, name := range []string{"\x1b[31mred", "two\nlines", "a\tb", "\xff\xfe", "\u009b31m\x7f\u202e", "-", strings.Repeat("x", 255)} {
			require.NoError(t, os.WriteFile(filepath.Join(root, name), nil, 0o600))
		}
		for _, args := range [][]string{{"ls", root}, {"recover", "--dry-run", root}} {
			stdout, stderr, code := call(t, args...)
			assert.Zero(t, code)
			noControls(t, stdout+stderr)
			assert.NotContains(t, stdout, "\u202e")
			assert.Equal(t, 9, strings.Count(stdout, "\n"), "one line each:\n%s", stdout)
		}
		stdout, _, _ := call(t, "ls", "--json", root)
		noControls(t, stdout)
		var names []string
		for _, instance := range parse[printed](t, stdout).Roots[0].Instances {
			names = append(names, instance.Name)
		}
		assert.Contains(t, names, "\u009b31m\x7f\u202e", "what JSON says is the name itself")
	}
}

func TestLsSaysWhyALockFileCannotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("the superuser can read everything")
	}
	root := filepath.Join(t.TempDir(), "root")
	id := stale(t, root)
	require.NoError(t, os.Chmod(filepath.Join(root, "lock-"+id), 0))
	stdout, _, code := call(t, "ls", root)
	assert.Zero(t, code)
	assert.Equal(t, []string{id, "unknown", "-", "-", "-", "yes", "instances"}, row(t, stdout, id)[:7])
	assert.Contains(t, stdout, "permission denied")
}

func TestAgeAndSizeArePrintedForPeople(t *testing.T) {
	assert.Equal(t, "in the future", age(-1))
	assert.Equal(t, "59s", age(59_900_000_000))
	assert.Equal(t, "1m05s", age(65_000_000_000))
	assert.Equal(t, "24h00m", age(orphanGrace))
	assert.Equal(t, "3d", age(3*orphanGrace))
	assert.Equal(t, "1023 B", size(1023))
	assert.Equal(t, "1.5 KiB", size(1536))
	assert.Equal(t, "8.0 EiB", size(1<<63-1))
}
