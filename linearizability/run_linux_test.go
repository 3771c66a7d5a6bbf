package linearizability

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

func TestHistoriesOfTheStoreAreOK(t *testing.T) {
	n := 8
	if testing.Short() {
		n = 2
	}
	dir := t.TempDir()
	var said string
	report, err := Run(t.Context(), Config{Dir: dir, Seed: 1, Goroutines: 2 * n, Processes: n, Progress: func(text string) { said = text }})
	require.NoError(t, err)
	t.Logf("%+v", report)
	assert.Empty(t, report.Problems)
	assert.Empty(t, report.Because)
	assert.EqualValues(t, 2*n, report.Goroutines)
	assert.EqualValues(t, n, report.Processes)
	assert.Positive(t, report.Kills)
	assert.Positive(t, report.AtCalls)
	assert.GreaterOrEqual(t, report.CleanedUp, int64(3*n), "the last recovery of every history")
	assert.Positive(t, report.WithImages)
	assert.Positive(t, report.Full)
	if !testing.Short() {
		assert.Positive(t, report.Answers["delete ok inplace"])
		assert.Positive(t, report.Answers["create ok on a parent"])
	}
	assert.GreaterOrEqual(t, report.Operations, int64(2*n*clients*actions))
	assert.Contains(t, said, "kills")
	requireEmpty(t, dir)
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// A store with a fault is found by the run as well, from goroutines and from
// processes; the history outlives the scratch directory, and judging the file
// again says the same.
func TestRunFindsAndKeepsWhatIsIllegal(t *testing.T) {
	for name, c := range map[string]Config{"goroutines": {Goroutines: 2}, "processes": {Processes: 2}} {
		t.Run(name, func(t *testing.T) {
			c.Dir, c.fault = testfs.InMemory(t), "lost create"
			var report Report
			// What takes two operations that meet is looked for until it shows.
			for c.Seed = 3; c.Seed < 50 && report.Illegal == 0; c.Seed++ {
				var err error
				report, err = Run(t.Context(), c)
				require.NoError(t, err)
			}
			require.Positive(t, report.Illegal, "%+v", report)
			require.NotEmpty(t, report.Problems)
			for _, problem := range report.Problems {
				_, path, found := strings.Cut(problem, "; judge it again: afterlock check ")
				require.True(t, found, problem)
				assert.Equal(t, c.Dir, filepath.Dir(path), "outside of the scratch directory")
				var out strings.Builder
				verdict, err := Check(t.Context(), path, &out, "", 0)
				require.NoError(t, err)
				assert.Equal(t, Illegal, verdict)
				requireCore(t, path)
				page, err := os.ReadFile(path + ".html")
				require.NoError(t, err)
				requireWellFormed(t, string(page), Illegal)
				require.NoError(t, os.Remove(path))
				require.NoError(t, os.Remove(path+".html"))
			}
			requireEmpty(t, c.Dir)
		})
	}
}

// requireCore wants the history to have a core of a few operations, which are
// illegal by themselves and legal without the last response.
func requireCore(t *testing.T, path string) {
	t.Helper()
	h, err := Load(path)
	require.NoError(t, err)
	j, err := Judge(t.Context(), h, 0)
	require.NoError(t, err)
	t.Logf("%d of %d operations: %s", len(j.Core), len(h.Operations), j)
	require.NotEmpty(t, j.Core)
	require.LessOrEqual(t, len(j.Core), 10)
	core := *h
	core.Operations = slices.DeleteFunc(slices.Clone(h.Operations), func(op Operation) bool {
		return !slices.ContainsFunc(j.Core, func(line string) bool { return strings.HasPrefix(line, op.String()+" ") })
	})
	require.Len(t, core.Operations, len(j.Core))
	again, err := Judge(t.Context(), &core, 0)
	require.NoError(t, err)
	require.Equal(t, Illegal, again.Verdict)
}

func TestRunThatIsInterruptedSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	_, err := Run(ctx, Config{Dir: dir, Goroutines: 1, Processes: 1000, Progress: func(string) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, dir)
	_, err = Run(t.Context(), Config{Dir: filepath.Join(dir, "missing")})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Run(t.Context(), Config{Dir: dir, fault: "no such"})
	require.ErrorContains(t, err, "no such fault")
}

// A disk that is full while operations are made is the machine's fault: no verdict
// on the store, and no history of a healthy one kept.
func TestFullDiskIsNoFaultOfTheStore(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []Config{{Goroutines: 1}, {Processes: 1}} {
		c.Dir, c.fault = dir, "full metadata"
		report, err := Run(t.Context(), c)
		require.ErrorContains(t, err, "no space left on device")
		assert.Empty(t, report.Problems)
		assert.Zero(t, report.Illegal)
		requireEmpty(t, dir)
	}
}

// Histories of both sorts meet each other, in both layouts and all mixes.
func TestSortsOfHistoriesAlternate(t *testing.T) {
	r := &runner{Config: Config{Goroutines: 200, Processes: 100}}
	likes := map[bool][]int{}
	for n := range 300 {
		forked, like := r.turn(n)
		assert.Equal(t, n%3 == 2, forked)
		assert.Len(t, likes[forked], like)
		likes[forked] = append(likes[forked], like)
	}
	assert.Len(t, likes[true], 100)
}

// A recorder that loses something is noticed, before anybody judges.
func TestLostRecordsAreNoticed(t *testing.T) {
	list := []Action{{Kind: List}, {Kind: List}}
	programs := map[Client][]Action{{1, 0}: list, {2, 0}: list}
	const whole = "1 1.0 list\n2 1.0 : ok\n3 1.0 list\n4 1.0 : ok\n"
	for _, tt := range []struct {
		name, lines string
		last        int64
		want        string // "": complete
	}{
		{"nothing", whole + "5 2.0 list\n6 2.0 : ok\n7 2.0 list\n8 2.0 : ok\n", 8, ""},
		{"what a kill cuts off", whole + "5 2.0 list\n7 2 killed\n", 7, ""},
		{"an operation", "1 1.0 list\n2 1.0 : ok\n5 2.0 list\n7 2 killed\n", 7, "client 1.0: 1 operations are recorded, of 2"},
		{"a response", whole[:len(whole)-len("4 1.0 : ok\n")] + "7 2 killed\n", 7, "3 1.0 list: no response, and nobody killed the process"},
		{"more tickets than kills", whole + "7 2 killed\n", 8, "3 of 8 tickets are not recorded, and only 1 clients were killed"},
		{"the word of a kill", whole, 4, "client 2.0: 0 operations are recorded, of 2"},
		{"the order", "1 1.0 list\n2 1.0 : ok\n3 1.0 recover\n4 1.0 : ok all\n5 2 killed\n", 5, "3 1.0 recover: operation 2 of the client was to be list"},
		{"whose it is", whole + "5 3.0 list\n6 3.0 : ok\n7 2 killed\n", 7, "nobody started client 3.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := merge("vfs", "", [][]byte{[]byte(tt.lines)})
			require.NoError(t, err)
			err = h.complete(programs, tt.last)
			if tt.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tt.want)
			}
		})
	}
}

// The tickets of two mappings of one file are one sequence.
func TestTicketsAreShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tickets")
	a, err := openTickets(path, true)
	require.NoError(t, err)
	defer a.close()
	b, err := openTickets(path, false)
	require.NoError(t, err)
	defer b.close()
	assert.Equal(t, []int64{1, 2, 3}, []int64{a.next(), b.next(), a.next()})
	_, err = openTickets(path, true)
	assert.ErrorIs(t, err, os.ErrExist)
}

// On a full disk there are no tickets. A mapping of a hole would kill who draws one.
func TestTicketsOnAFullDisk(t *testing.T) {
	dir := testfs.Tmpfs(t, "size=64k")
	testfs.Fill(t, filepath.Join(dir, "full"), false)
	_, err := openTickets(filepath.Join(dir, "tickets"), true)
	assert.ErrorIs(t, err, unix.ENOSPC)
}

// A record ends where its process was killed, in the middle of a line or not.
func TestRecordsAreMergedByTicket(t *testing.T) {
	h, err := merge("vfs", "by hand", [][]byte{
		[]byte("1 1.0 create a a.1\n4 1.0 : ok\n5 1.0 delete a\n7 1.0 : o"),
		[]byte("2 2.0 list\n3 2.0 : ok a\n6 2.0 exi"),
		[]byte("8 1 killed # shot\n"),
	})
	require.NoError(t, err)
	require.Len(t, h.Operations, 3)
	assert.Equal(t, Pending, h.Operations[2].Result.Outcome)
	assert.EqualValues(t, 8, h.until(&h.Operations[2]))
	assert.Equal(t, []Kill{{1, 8, "shot"}}, h.Kills)
	_, err = merge("vfs", "", [][]byte{[]byte("one\n")})
	assert.ErrorContains(t, err, `record "one\n": no ticket`)
}
