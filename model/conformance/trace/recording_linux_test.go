package trace

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
)

func TestMain(m *testing.M) { proc.Main(m) }

func init() { proc.Register("record for ever", recordForEver) }

func recordForEver(arguments []string) {
	number, err := strconv.Atoi(arguments[1])
	proc.Fail(err)
	recording, err := Attach(arguments[0])
	proc.Fail(err)
	hook := recording.Recorder(uint32(number))
	call := &kernel.Call{Method: kernel.StatName, Fd: -1, Dir: 3, ToDir: -1, Name: "lock-000102030405060708090a0b0c0d0e0f"}
	fmt.Println("begun")
	for {
		_ = hook.Before(call)
		hook.After(call)
	}
}

// Processes that do nothing but record are killed: whatever they have recorded
// is there, and what the kills have cut off is noticed.
func TestRecordsSurviveSIGKILL(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 8
	}
	path := filepath.Join(t.TempDir(), "recording")
	recording, err := Create(path, 1<<24, 2)
	require.NoError(t, err)
	defer recording.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range kills {
		p := proc.Start(t, "record for ever", path, fmt.Sprint(i+1))
		p.Says(t)
		// A random moment of what it does, not a wait for anything.
		<-time.After(time.Duration(rng.Int64N(int64(2 * time.Millisecond))))
		p.Kill()
		recording.Gone(uint32(i + 1))
	}
	require.Zero(t, recording.Dropped())
	trace, err := recording.Trace()
	require.NoError(t, err)
	assert.Equal(t, recording.Len(), len(trace.Events)+trace.Holes)
	assert.LessOrEqual(t, trace.Holes, kills)
	report, err := Validate(t.Context(), trace)
	require.NoError(t, err)
	assert.Equal(t, Valid, report.Verdict, report.Problems)
	assert.EqualValues(t, kills, report.Gone)
	assert.Greater(t, report.Events, int64(10*kills))
	t.Logf("%d events of %d processes that were killed, %d holes, %d calls cut off", report.Events, kills, trace.Holes, report.CutOff)
}

// A record is cut off after each of its words, the checksum being the last.
func TestTornRecordIsNeverWritten(t *testing.T) {
	whole, err := Open("testdata/killed-ok.txt")
	require.NoError(t, err)
	require.Equal(t, kernel.LinkLock, whole.Events[4].Method)
	missing := *whole
	missing.Events = append(append([]Event{}, whole.Events[:4]...), whole.Events[5:]...)
	missing.Holes = 1
	for written := range recordBytes / 8 {
		r := recordingOf(whole)
		r.records[4][0] = 0
		clear(r.records[4][1+written:])
		trace, err := r.Trace()
		require.NoError(t, err, "%d words", written)
		assert.Equal(t, &missing, trace, "%d words", written)
	}
	// The checksum without one of the others: no kill does that, a disk may.
	r := recordingOf(whole)
	r.records[4][3] ^= 1
	_, err = r.Trace()
	assert.ErrorContains(t, err, ": corrupt: event 4 has a wrong checksum")
}

// recordingOf is the recording of a trace that tickets are not missing in.
func recordingOf(t *Trace) *Recording {
	next := uint64(0)
	r := &Recording{path: t.Path, files: t.Files, next: &next, records: make([]words, len(t.Events))}
	for _, e := range t.Events {
		r.add(&e)
	}
	return r
}

// A recorder that loses a call and its return, of a process that nobody killed, is
// noticed: the rest would often be a behaviour.
func TestLostRecordsAreNoticed(t *testing.T) {
	whole := run{creators: 2, recoverers: 2, turns: 5, orphans: true}.record(t)
	// A process that has ended might have been killed while it recorded one event more.
	last := map[uint32]int{}
	for i, e := range whole.Events {
		if e.Kind != Orphan {
			last[e.Process] = i
		}
	}
	firstEnd := slices.Min(slices.Collect(maps.Values(last)))
	lost, silent := 0, 0
	for i := range whole.Events[:min(firstEnd, 400)] {
		call := &whole.Events[i]
		j := i + 1 + slices.IndexFunc(whole.Events[i+1:], func(e Event) bool { return e.Process == call.Process && e.Kind != Orphan })
		if call.Kind != Call || j == i || whole.Events[j].Kind != Return {
			continue
		}
		r := recordingOf(whole)
		r.records[i], r.records[j] = words{}, words{}
		trace, err := r.Trace()
		require.NoError(t, err)
		require.Equal(t, 2, trace.Holes)
		report, err := Validate(t.Context(), trace)
		require.NoError(t, err)
		require.NotEqual(t, Valid, report.Verdict, "without %v", call)
		lost++
		if report.Verdict == Undecided {
			require.Contains(t, report.Because[0], "the recorder has lost it")
			silent++
		}
	}
	t.Logf("%d calls lost, %d of them in silence", lost, silent)
	assert.Greater(t, lost, 20)
	assert.Positive(t, silent)
}

// A kill cuts off one record of a process, between its last one and its end.
func TestHolesHaveKills(t *testing.T) {
	const dies = "0 p1 call StatName lock-a1 dir=3\n1 p1 return StatName ENOENT\n3 p2 call StatName lock-a1 dir=3\n4 p1 gone\n5 p2 return StatName ENOENT\n"
	for _, tt := range []struct {
		name, text string
		holes      int
		wants      Verdict
	}{
		{"of the one that died", dies, 1, Valid},
		{"the first one of all", "1 p1 gone\n", 1, Valid},
		{"two of one", strings.NewReplacer("\n3 p2", "\n4 p2", "\n4 p1", "\n5 p1", "\n5 p2", "\n6 p2").Replace(dies), 2, Undecided},
		{"after it was reaped", dies + "7 p2 gone\n", 2, Valid},
		{"after all were reaped", dies + "6 p2 gone\n", 2, Undecided},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace, err := Decode("text", []byte(magic+"files 2\n"+tt.text))
			require.NoError(t, err)
			trace.Holes = tt.holes
			report, err := Validate(t.Context(), trace)
			require.NoError(t, err)
			assert.Equal(t, tt.wants, report.Verdict, "%v %v", report.Problems, report.Because)
		})
	}
}

func TestFullMappingStopsForEverybody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recording")
	recording, err := Create(path, 5, 2)
	require.NoError(t, err)
	defer recording.Close()
	other, err := Attach(path)
	require.NoError(t, err)
	defer other.Close()
	for range 3 {
		_ = recording.Recorder(1).Before(&kernel.Call{Method: kernel.OpenUnnamed, Fd: -1, Dir: 3})
		_ = other.Recorder(2).Before(&kernel.Call{Method: kernel.OpenUnnamed, Fd: -1, Dir: 3})
		recording.Recorder(1).After(&kernel.Call{Method: kernel.OpenUnnamed, Result: 4})
		other.Recorder(2).After(&kernel.Call{Method: kernel.OpenUnnamed, Result: 4})
	}
	assert.Equal(t, 5, recording.Len())
	assert.Equal(t, 7, other.Dropped())
	trace, err := recording.Trace()
	require.NoError(t, err)
	assert.Len(t, trace.Events, 5)
	report, err := Validate(t.Context(), trace)
	require.NoError(t, err)
	assert.Equal(t, Valid, report.Verdict, report.Problems)
	assert.EqualValues(t, 7, report.Dropped)

	saved := filepath.Join(t.TempDir(), "saved")
	require.NoError(t, trace.Save(saved))
	again, err := Open(saved)
	require.NoError(t, err)
	again.Path = trace.Path
	assert.Equal(t, trace, again)
	assert.ErrorIs(t, trace.Save(saved), os.ErrExist)
}

// The beginning of a behaviour is one, wherever it ends.
func TestEveryPrefixIsABehaviour(t *testing.T) {
	whole := run{creators: 2, recoverers: 2, turns: 10, orphans: true}.record(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		n := rng.IntN(len(whole.Events))
		report, err := Validate(t.Context(), &Trace{Files: 2, Events: whole.Events[:n+1], Dropped: len(whole.Events) - n - 1})
		require.NoError(t, err)
		require.Equal(t, Valid, report.Verdict, "%d of %d: %s", n, len(whole.Events), strings.Join(report.Problems, "\n"))
	}
}

// A full disk is an error, also where space cannot be taken by a call of its own. A
// recording with a hole would kill who records.
func TestRecordingOnAFullDisk(t *testing.T) {
	full := testfs.Tmpfs(t, "size=64k")
	create := func(t *testing.T) {
		_, err := Create(filepath.Join(full, "recording"), 1<<12, 2)
		assert.ErrorIs(t, err, unix.ENOSPC)
		os.Remove(filepath.Join(full, "recording"))
	}
	create(t)
	testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{strconv.Itoa(unix.SYS_FALLOCATE): unix.EOPNOTSUPP}}, create)
}

func TestRecordingsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	_, err := Create(path, 0, 2)
	assert.ErrorContains(t, err, path+": 0 events")
	_, err = Create(path, 1, 4)
	assert.ErrorContains(t, err, "4 files in a tree")
	require.NoError(t, os.WriteFile(path, []byte("something else"), 0o600))
	_, err = Create(path, 1, 2)
	assert.ErrorIs(t, err, os.ErrExist)
	_, err = Attach(path)
	assert.ErrorContains(t, err, path+": not a recording")
	_, err = Attach(filepath.Join(dir, "missing"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "something else", string(content))
}

// What the model has no room for is undecided, with the reason.
func TestUndecided(t *testing.T) {
	for _, tt := range []struct{ name, text, wants string }{
		{"four trees", "0 p0 orphan temp-dir-a1 trees=4\n", "4 trees, and the model has room for 3"},
		{"a deep tree", `0 p0 orphan temp-dir-a1 trees=1
1 p1 call OpenDirectory . dir=3
2 p1 return OpenDirectory result=4
3 p1 call List fd=4
4 p1 found List temp-dir-a1
5 p1 return List
6 p1 call CreateLock lock-a1 dir=3
7 p1 return CreateLock result=5
8 p1 call OpenDirectory temp-dir-a1 dir=3
9 p1 return OpenDirectory result=6
10 p1 call OpenDirectory entry-0 dir=6
11 p1 return OpenDirectory result=7
12 p1 call OpenDirectory other dir=7
13 p1 return OpenDirectory result=8
`, "a tree with directories in it"},
		{"a name without an id", "0 p1 call CreateLock other dir=3\n1 p1 return CreateLock result=4\n", "event 0: p1 call CreateLock other dir=3: the name has no id"},
		{"nothing", "", "the trace has no events"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace, err := Decode("text", []byte(magic+"files 2\n"+tt.text))
			require.NoError(t, err)
			report, err := Validate(t.Context(), trace)
			require.NoError(t, err)
			assert.Equal(t, Undecided, report.Verdict, report.Problems)
			assert.Contains(t, strings.Join(report.Because, "\n"), tt.wants)
		})
	}
	// Four recoverers at a time.
	text := magic + "files 2\n0 p0 orphan temp-dir-a1 trees=0\n"
	ticket := 1
	add := func(format string, args ...any) {
		text += fmt.Sprintf("%d ", ticket) + fmt.Sprintf(format, args...) + "\n"
		ticket++
	}
	for p := range 4 {
		add("p%d call OpenDirectory . dir=3", p+1)
		add("p%d return OpenDirectory result=4", p+1)
		add("p%d call List fd=4", p+1)
		add("p%d found List temp-dir-a1", p+1)
		add("p%d return List", p+1)
		add("p%d call OpenUnnamed dir=3", p+1)
		add("p%d return OpenUnnamed result=5", p+1)
		add("p%d call TakeLock fd=5", p+1)
		add("p%d return TakeLock", p+1)
	}
	for p := range 4 {
		add("p%d call LinkLock lock-a1 fd=5", p+1)
	}
	trace, err := Decode("text", []byte(text))
	require.NoError(t, err)
	report, err := Validate(t.Context(), trace)
	require.NoError(t, err)
	assert.Equal(t, Undecided, report.Verdict, report.Problems)
	assert.Contains(t, strings.Join(report.Because, "\n"), "more than the model's processes at a time")
}

// A recorder may be left on in any run.
func TestRecordingCostsNoAllocation(t *testing.T) {
	recording, err := Create(filepath.Join(t.TempDir(), "recording"), 1<<12, 2)
	require.NoError(t, err)
	defer recording.Close()
	hook := recording.Recorder(1)
	calls := []kernel.Call{
		{Method: kernel.Close, Fd: 3},
		{Method: kernel.RemoveLock, Name: "lock-000102030405060708090a0b0c0d0e0f"},
		{Method: kernel.Stat, Fd: 3},
		{Method: kernel.StageDeletion, Name: "/victim", To: "temp-dir-000102030405060708090a0b0c0d0e0f/0-victim"},
	}
	for i := range calls {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			_ = hook.Before(&calls[i])
			hook.After(&calls[i])
		}), calls[i].Method)
	}
	listing := &kernel.Call{Method: kernel.List, Appended: 2, Entries: []kernel.Entry{
		{Name: "lock-000102030405060708090a0b0c0d0e0f"}, {Name: "temp-dir-000102030405060708090a0b0c0d0e0f"},
	}}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = hook.Before(listing)
		hook.After(listing)
	}))
	assert.Positive(t, recording.Len())
}
