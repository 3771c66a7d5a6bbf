package trace

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// How much an event costs: a call and its return are two. On /dev/shm with
// TMPDIR=/dev/shm.
func BenchmarkRecorder(b *testing.B) {
	call := &kernel.Call{Method: kernel.StatName, Fd: -1, Dir: 3, ToDir: -1, Name: "lock-000102030405060708090a0b0c0d0e0f"}
	recording, err := Create(filepath.Join(b.TempDir(), "recording"), 1<<20, 2)
	require.NoError(b, err)
	defer recording.Close()
	b.Run("one goroutine", func(b *testing.B) {
		hook := recording.Recorder(1)
		*recording.next = 0
		for i := 0; b.Loop(); i++ {
			if i&(1<<19-1) == 0 {
				*recording.next = 0 // the pages are there from the second round on
			}
			_ = hook.Before(call)
			hook.After(call)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/event")
	})
	b.Run("all processors", func(b *testing.B) {
		*recording.next = 0
		b.RunParallel(func(p *testing.PB) {
			hook := recording.Recorder(1)
			c := *call
			for i := 1; p.Next(); i++ {
				if i&(1<<16-1) == 0 {
					*recording.next = 0
				}
				_ = hook.Before(&c)
				hook.After(&c)
			}
		})
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/event")
	})
}

// The whole life of an instance, with and without the recorder.
func BenchmarkCreateAndClose(b *testing.B) {
	for _, name := range []string{"bare", "seam alone", "recorded"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			k := kernel.Linux()
			switch name {
			case "seam alone":
				k = kernel.Around(k, nothing{})
			case "recorded":
				recording, err := Create(filepath.Join(dir, "recording"), 1<<22, 2)
				require.NoError(b, err)
				defer recording.Close()
				k = kernel.Around(k, recording.Recorder(1))
			}
			root, err := tempdir.Open(filepath.Join(dir, "root"), tempdir.Make(0o700), kernel.With[tempdir.Option](k))
			require.NoError(b, err)
			defer root.Close()
			for b.Loop() {
				d, err := root.Create()
				require.NoError(b, err)
				require.NoError(b, d.Close(b.Context()))
			}
		})
	}
}

// nothing is a hook that does nothing.
type nothing struct{}

func (nothing) Before(*kernel.Call) error { return nil }
func (nothing) After(*kernel.Call)        {}

// A stress run, with and without the recorder.
func BenchmarkRun(b *testing.B) {
	for name, bare := range map[string]bool{"bare": true, "recorded": false} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				run{creators: 2, turns: 1000, bare: bare}.record(b)
			}
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	trace := run{creators: 2, recoverers: 1, turns: 200}.record(b)
	for b.Loop() {
		report, err := Validate(b.Context(), trace)
		require.NoError(b, err)
		require.Equal(b, Valid, report.Verdict)
	}
	b.ReportMetric(float64(len(trace.Events))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}

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
