package trace

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/seam"
	"github.com/afterlock/afterlock/tempdir"
)

// A run is goroutines that create and recover in one root and are recorded.
type run struct {
	creators, recoverers, turns int
	kernel                      func() tempdir.Kernel // the faulty part; nil: the real one
}

// record runs it and returns the trace.
func (r run) record(t *testing.T) *Trace {
	t.Helper()
	dir := t.TempDir()
	recording, err := Create(filepath.Join(dir, "recording"), 1<<18, 2)
	require.NoError(t, err)
	defer recording.Close()
	var group, creators sync.WaitGroup
	stop := make(chan struct{})
	for i := range r.creators + r.recoverers {
		kernel := tempdir.LinuxKernel()
		if r.kernel != nil {
			kernel = r.kernel()
		}
		root, err := tempdir.Open(filepath.Join(dir, "root"), tempdir.Make(0o700),
			tempdir.WithKernel(seam.Around(kernel, recording.Recorder(uint32(i+1)))))
		require.NoError(t, err)
		if i < r.creators {
			creators.Add(1)
			group.Go(func() {
				defer creators.Done()
				defer root.Close()
				for n := range r.turns {
					create(root, filepath.Join(dir, "victim-"+strconv.Itoa(i)+"-"+strconv.Itoa(n)))
				}
			})
			continue
		}
		group.Go(func() {
			defer root.Close()
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = root.Recover(context.Background())
				}
			}
		})
	}
	creators.Wait()
	close(stop)
	group.Wait()
	trace, err := recording.Trace()
	require.NoError(t, err)
	return trace
}

// create is the life of one instance. What fails is for the validator to judge.
func create(root *tempdir.Root, victim string) {
	for i := range 2 {
		_ = os.MkdirAll(victim, 0o700)
		_ = os.WriteFile(filepath.Join(victim, strconv.Itoa(i)), nil, 0o600)
	}
	dir, err := root.Create()
	if err != nil {
		return
	}
	_ = dir.StageDeletion(victim)
	_ = dir.Close(context.Background())
}

func TestGoroutinesAreBehaviours(t *testing.T) {
	trace := run{creators: 2, recoverers: 2, turns: 200}.record(t)
	report, err := Validate(t.Context(), trace)
	require.NoError(t, err)
	t.Logf("%+v", report.Counts)
	for _, p := range report.Problems {
		t.Log(p)
	}
	require.Equal(t, Valid, report.Verdict, report.Because)
}
