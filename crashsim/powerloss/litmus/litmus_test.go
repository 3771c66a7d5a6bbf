//go:build linux

package main

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

func seenTables(t *testing.T) []*table {
	t.Helper()
	tables, err := readTables("data")
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	return tables
}

// What was seen is that of the programs that there are, and the page is made of it.
func TestPageSaysWhatWasSeen(t *testing.T) {
	for _, table := range seenTables(t) {
		for _, c := range allCases() {
			seen := table.cases[c.name]
			require.True(t, seen != nil && seen.do == c.do, "%s of Linux %s, %s: measure again", table.fs, table.kernel, c.name)
		}
		require.Len(t, table.cases, len(allCases()))
	}
	want, err := page("data")
	require.NoError(t, err)
	got, err := os.ReadFile("../../../docs/litmus.md")
	require.NoError(t, err)
	require.Equal(t, want, string(got), "go run ./crashsim/powerloss/litmus --page > docs/litmus.md")
}

// Every tree that was seen is in the model that stands for the file system, and those of
// a file system that does not keep order are not in the model of one that does.
func TestModelsContainWhatWasSeen(t *testing.T) {
	for _, table := range seenTables(t) {
		n := table.contained(stands[table.fs])
		assert.Zero(t, n.outside, "%s of Linux %s: %s", table.fs, table.kernel, n.example)
		for stricter := range stands[table.fs] {
			assert.Positive(t, table.contained(stricter).outside, "%s needs no weaker model than %v", table.fs, stricter)
		}
	}
}

// Promises are kept on every file system by the fsyncs that the code makes there: those
// that it leaves out where names are ordered are needed elsewhere, or nowhere.
func TestPolicyFollowsFromWhatWasSeen(t *testing.T) {
	for _, table := range seenTables(t) {
		for _, p := range promises {
			if p.tolerated != "" {
				continue
			}
			made := p.unordered
			if slices.Contains(ordered, table.fs) {
				made = p.ordered
			}
			n := table.sum(pick(p.name, made), held)
			assert.Positive(t, n.of)
			assert.Zero(t, n.wrong, "%s of Linux %s, %s, with %q: %s", table.fs, table.kernel, p.name, made, n.example)
		}
		// What tempdir.Dir.Sync does for a victim that is a file, and that it has to.
		for column, enough := range map[string]bool{"the directory it leaves": true, "its directory": slices.Contains(ordered, table.fs)} {
			n := table.sum(pick("rename, to another directory", column), kept)
			assert.Equal(t, enough, n.of > 0 && n.wrong == 0, "%s of Linux %s, %s: %+v", table.fs, table.kernel, column, n)
		}
	}
}

// What an fsync made durable is there, unless the file system tells the disk nothing of it.
func TestMeasured(t *testing.T) {
	for fs, lost := range map[string]bool{"ext4": false, "ext4-nobarrier": true} {
		table, err := options{FS: fs, Only: "^rename / its", Budget: 20}.inside()
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skipf("skipped: %v", err)
		}
		require.NoError(t, err)
		n := table.sum(pick("rename", "its directory"), kept)
		assert.Greater(t, n.of, 1)
		assert.Equal(t, lost, n.wrong > 0, "%s: %+v", fs, n)
		assert.Equal(t, lost, table.contained(disk.Ordered).outside > 0, fs)
	}
}
