package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
)

func TestRecoverRemovesWhatIsStaleAndNothingElse(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	live, stale, orphan := live(t, root), stale(t, root), orphan(t, root)
	require.NoError(t, os.WriteFile(filepath.Join(root, "notes.txt"), nil, 0o600))

	stdout, stderr, code := call(t, "recover", root)
	assert.Zero(t, code)
	assert.Empty(t, stderr)
	t.Log("\n" + stdout)
	assert.Equal(t, []string{live, "live", "-"}, row(t, stdout, live))
	assert.Equal(t, []string{stale, "recovered", "-"}, row(t, stdout, stale))
	assert.Equal(t, []string{orphan, "young"}, row(t, stdout, orphan)[:2])
	assert.Equal(t, "foreign", row(t, stdout, "notes.txt")[1])
	assert.NoDirExists(t, filepath.Join(root, "temp-dir-"+stale))
	assert.NoFileExists(t, filepath.Join(root, "lock-"+stale))
	assert.DirExists(t, filepath.Join(root, "temp-dir-"+live))
	assert.DirExists(t, filepath.Join(root, "temp-dir-"+orphan))

	stdout, _, code = call(t, "recover", "--json", "--orphan-grace", "0", root)
	assert.Zero(t, code)
	got := parse[printed](t, stdout).Roots[0]
	assert.False(t, got.DryRun)
	require.Len(t, got.Foreign, 1)
	assert.Equal(t, "notes.txt", got.Foreign[0].Name)
	require.Len(t, got.Results, 2)
	assert.NoDirExists(t, filepath.Join(root, "temp-dir-"+orphan))
	assert.FileExists(t, filepath.Join(root, "notes.txt"))
}

// What --max-time cuts off is told, is no failure, and is recovered by the next call.
func TestRecoverInTheTimeThatItHas(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	for range 9 {
		tree(t, filepath.Join(root, "temp-dir-"+stale(t, root), "0-tree"))
	}
	args := []string{"recover", "--json", "--rate", "1", "--max-time", "1ns", root}
	stdout, stderr, code := call(t, args...)
	assert.Zero(t, code)
	assert.Empty(t, stderr)
	assert.True(t, parse[printed](t, stdout).Roots[0].More)
	assert.Equal(t, root+": --max-time ended; the next recovery goes on", parse[printed](t, stdout).Roots[0].Error)

	stdout, stderr, code = call(t, "recover", "--json", "--parallel", "4", "--idle-io", root)
	assert.Zero(t, code)
	assert.Empty(t, stderr)
	got := parse[printed](t, stdout).Roots[0]
	assert.False(t, got.More)
	names := int64(0)
	for _, result := range got.Results {
		names += result.Names
	}
	assert.GreaterOrEqual(t, names, int64(9*7-1), "one may be gone before")
	onlyNames(t, root)

	for _, flag := range []string{"--rate=-1", "--max-time=-1s", "--parallel=0"} {
		_, stderr, code = call(t, "recover", flag, root)
		assert.Equal(t, 2, code, flag)
		assert.Contains(t, stderr, "must not be negative", flag)
	}
}

// Two instances are begun before one is at its end, if that is asked for.
func TestRecoverAsManyAtOnceAsAskedFor(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	stale(t, root)
	stale(t, root)
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		both := make(chan struct{})
		k := kernel.Around(kernel.Linux(), kernel.HookFunc(func(c *kernel.Call) error {
			if c.Method == kernel.RemoveLock {
				if begun.Add(1) == 2 {
					close(both)
				}
				<-both
			}
			return nil
		}))
		r := recoverer{parallel: 2, effort: effort{options: []tempdir.Option{kernel.With[tempdir.Option](k)}}}
		got, err := r.recover(t.Context(), root, 0)
		require.NoError(t, err)
		require.Len(t, got.Results, 2)
		for _, result := range got.Results {
			assert.Equal(t, "recovered", result.Outcome)
		}
	})
}

func TestRecoverDryRunForetellsAndChangesNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	live, stale, orphan := live(t, root), stale(t, root), orphan(t, root)
	bare := "4000000000"
	require.NoError(t, os.WriteFile(filepath.Join(root, "lock-"+bare), nil, 0o600))
	before := testfs.Snapshot(t, root)
	for _, tt := range []struct {
		flags []string
		wants map[string]string
	}{
		{nil, map[string]string{live: "live", stale: "would be recovered", orphan: "young", bare: "young"}},
		{[]string{"--orphan-grace=0"}, map[string]string{live: "live", stale: "would be recovered", orphan: "would be recovered", bare: "young"}},
		{[]string{"--lock-grace=0"}, map[string]string{live: "live", stale: "would be recovered", orphan: "young", bare: "would be recovered"}},
	} {
		args := append([]string{"recover", "--dry-run", "--json", root}, tt.flags...)
		stdout, stderr, code := call(t, args...)
		assert.Zero(t, code)
		assert.Empty(t, stderr)
		root0 := parse[printed](t, stdout).Roots[0]
		assert.True(t, root0.DryRun)
		got := make(map[string]string)
		for _, result := range root0.Results {
			got[result.ID] = result.Outcome
		}
		assert.Equal(t, tt.wants, got)
		assert.Equal(t, before, testfs.Snapshot(t, root), "the dry run changed something")

		// What was foretold is what happens; the last case is for good.
		if tt.flags == nil || tt.flags[0] != "--lock-grace=0" {
			continue
		}
		stdout, _, _ = call(t, append([]string{"recover", "--json", root}, tt.flags...)...)
		for _, result := range parse[printed](t, stdout).Roots[0].Results {
			assert.Equal(t, strings.TrimPrefix(tt.wants[result.ID], "would be "), result.Outcome, result.ID)
		}
	}
}

func TestRecoverReportsWhatItCannotRemoveWithExitCode1(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	stale := stale(t, root)
	odd := strings.Repeat("f", 32)
	require.NoError(t, os.Mkdir(filepath.Join(root, "lock-"+odd), 0o700))

	stdout, _, code := call(t, "recover", "--dry-run", root)
	assert.Equal(t, 1, code)
	assert.Contains(t, stdout, "would fail")

	stdout, _, code = call(t, "recover", root)
	assert.Equal(t, 1, code)
	assert.Equal(t, "failed", row(t, stdout, odd)[1])
	assert.Contains(t, stdout, "not an afterlock name")
	assert.Equal(t, "recovered", row(t, stdout, stale)[1], "one failure keeps nobody else from being recovered")
	assert.DirExists(t, filepath.Join(root, "lock-"+odd))
}

func TestRecoverRefusesARootThatIsALink(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	stale := stale(t, root)
	require.NoError(t, os.Symlink("root", filepath.Join(dir, "link")))
	_, stderr, code := call(t, "recover", filepath.Join(dir, "link"))
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "link")
	assert.DirExists(t, filepath.Join(root, "temp-dir-"+stale))
}

// What reads works; what cannot write says so, and keeps nobody else waiting.
func TestARootOnAReadOnlyFileSystemIsListedAndNotRecovered(t *testing.T) {
	dir := t.TempDir()
	makeNames(t, dir, "image/vfs-layers/layers.lock", "graph/storage.lock")
	fixed, other := stale(t, dir+"/image/vfs/tempdirs"), stale(t, dir+"/graph/vfs/tempdirs")
	testfs.ReadOnly(t, dir+"/image")
	stdout, stderr, code := call(t, "ls", dir+"/image")
	assert.Zero(t, code, stderr)
	assert.Equal(t, "stale", row(t, stdout, fixed)[1])
	stdout, _, code = call(t, "recover", dir+"/image", dir+"/graph")
	assert.Equal(t, 1, code)
	assert.Equal(t, "failed", row(t, stdout, fixed)[1])
	assert.Contains(t, strings.Join(row(t, stdout, fixed), " "), "read-only file system")
	assert.Equal(t, "recovered", row(t, stdout, other)[1])
}

func TestOrphansAreListedWithTheTimeThatTheyAreLeftAlone(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	id := orphan(t, root)
	for grace, wants := range map[string]string{"24h": "left alone for 23h5", "0": "the next recovery removes it"} {
		stdout, _, code := call(t, "ls", "--orphan-grace", grace, root)
		assert.Zero(t, code)
		assert.Contains(t, strings.Join(row(t, stdout, id), " "), wants)
		stdout, _, code = call(t, "recover", "--dry-run", "--orphan-grace", grace, root)
		assert.Zero(t, code)
		assert.Equal(t, map[string]string{"24h": "young", "0": "would"}[grace], row(t, stdout, id)[1])
	}
}

func TestRecoverTakesWhatIsInTheWayWhereAsked(t *testing.T) {
	for flag, c := range map[string]struct {
		why string
		put func(t *testing.T, keep, entry string)
	}{
		"--clear-flags": {"immutable", func(t *testing.T, _, entry string) { testfs.SetFlags(t, entry, testfs.Immutable) }},
		"--detach-mounts": {"a mount point is in the way", func(t *testing.T, keep, entry string) {
			testfs.Bind(t, keep, makeNames(t, filepath.Dir(entry)+"/1-merged", "mount/")+"/mount")
		}},
	} {
		t.Run(flag, func(t *testing.T) {
			dir := t.TempDir()
			root, keep := filepath.Join(dir, "root"), makeNames(t, dir+"/keep", "file")
			id := stale(t, root)
			entries, err := filepath.Glob(filepath.Join(root, "temp-dir-"+id, "*"))
			require.NoError(t, err)
			c.put(t, keep, entries[0])
			stdout, _, code := call(t, "recover", root)
			assert.Equal(t, 1, code)
			assert.Equal(t, "failed", row(t, stdout, id)[1])
			assert.Contains(t, stdout, c.why)
			stdout, stderr, code := call(t, "recover", flag, root)
			assert.Zero(t, code, stdout+stderr)
			assert.Equal(t, "recovered", row(t, stdout, id)[1])
			onlyNames(t, root)
			onlyNames(t, keep, "file")
		})
	}
}

func TestARootThatEveryUserMayWriteIsToldOf(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	id := stale(t, root)
	require.NoError(t, os.Chmod(root, 0o777))
	stdout, stderr, code := call(t, "ls", root)
	assert.Zero(t, code)
	assert.Equal(t, "stale", row(t, stdout, id)[1])
	assert.Contains(t, stderr, "written by every user")
	_, stderr, code = call(t, "recover", root)
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "written by every user")
	stdout, _, code = call(t, "recover", "--allow-others", root)
	assert.Zero(t, code)
	assert.Equal(t, "recovered", row(t, stdout, id)[1])
}

// Nobody can tell whether that one is live, and rm -rf could not remove it either.
func TestTheInstanceOfAnotherUserIsDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped, because only the superuser can be two users")
	}
	root := testfs.Reachable(t, t.TempDir())
	require.NoError(t, os.Chmod(root, 0o777|os.ModeSticky))
	theirs, mine := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for id, user := range map[string]int{theirs: other, mine: somebody} {
		makeNames(t, root, "lock-"+id, "temp-dir-"+id+"/0-x/")
		give(t, root+"/lock-"+id, user)
		give(t, root+"/temp-dir-"+id, user)
	}
	as := conditions{Lack: testfs.Lack{User: somebody}}
	for _, args := range [][]string{{"--dry-run"}, {}} {
		output, code := as.run(t, append([]string{"self", "recover", root}, args...), proc.Variable+"="+programRole)
		assert.Zero(t, code, output)
		assert.Equal(t, "denied", row(t, output, theirs)[1])
		assert.Contains(t, strings.Join(row(t, output, mine), " "), "recovered")
	}
	onlyNames(t, root, "lock-"+theirs, "temp-dir-"+theirs)
}
