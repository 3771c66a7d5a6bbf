//go:build amd64 || arm64

package blackbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// callsOf are the system calls of each method of the seam.
var callsOf = map[string][]string{
	"OpenRoot":        {"openat2", "fstatfs"},
	"OpenUnnamed":     {"openat"},
	"CreateLock":      {"openat"},
	"OpenLock":        {"openat2"},
	"TakeLock":        {"fcntl"},
	"WriteOwner":      {"pwrite64"},
	"LinkLock":        {"linkat"},
	"Stat":            {"statx"},
	"StatName":        {"statx"},
	"RemoveLock":      {"unlinkat"},
	"MakeData":        {"mkdirat"},
	"StageDeletion":   {"renameat2"},
	"SyncData":        {"fsync"},
	"RemoveData":      {"unlinkat"},
	"OpenDirectory":   {"openat2"},
	"List":            {"getdents64"},
	"RemoveEntry":     {"unlinkat"},
	"RemoveDirectory": {"unlinkat"},
	"Close":           {"close"},
}

// views returns what the supervisor saw of the program, and what the seam did,
// as names of system calls. A List may take two calls, so of calls of
// getdents64 in a row one is kept.
func views(t *testing.T, name, k string) (supervisor, seam []string) {
	t.Helper()
	_, w := newCampaign(t)
	p := findProgram(name)
	p.binary, p.arguments = "watched", []string{k}
	var answer string
	for range 3 { // the later ones are watched with less care, see supervisor.sort
		before := supervisor
		supervisor = nil
		require.NoError(t, w.prepare(p.scene))
		d, err := w.begin(p)
		require.NoError(t, err)
		for d.busy() {
			supervisor = append(supervisor, d.at.call.name)
			require.NoError(t, w.super.step(d))
		}
		answer, _, err = w.end(d)
		require.NoError(t, err)
		_, err = w.look()
		require.NoError(t, err)
		if before != nil {
			require.Equal(t, before, supervisor, "the same command again")
		}
	}
	_, methods, ok := strings.Cut(answer, "calls: ")
	require.True(t, ok, answer)
	for _, method := range strings.Fields(methods) {
		calls := callsOf[method]
		require.NotEmpty(t, calls, "nobody has said which calls %s makes", method)
		seam = append(seam, calls...)
	}
	same := func(a, b string) bool { return a == b && a == "getdents64" }
	return slices.CompactFunc(supervisor, same), slices.CompactFunc(seam, same)
}

func TestTheSeamAndTheSupervisorSeeTheSameCalls(t *testing.T) {
	for _, name := range []string{"delete", "empty", "recover"} {
		t.Run(name, func(t *testing.T) {
			supervisor, seam := views(t, name, "plain")
			assert.Greater(t, len(seam), 10)
			assert.Equal(t, seam, supervisor)
		})
	}
}

func TestACallThatBypassesTheSeamIsSeen(t *testing.T) {
	supervisor, seam := views(t, "empty", "bypass")
	assert.NotEqual(t, seam, supervisor)
	assert.Len(t, supervisor, len(seam)+2) // its mkdirat and its unlinkat
}
