package trace

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// A run is goroutines that create and recover in one root and are recorded.
type run struct {
	creators, recoverers, turns int
	events                      int                               // that there is room for
	below, above                func(kernel.Kernel) kernel.Kernel // faults that the recorder sees as results, and as calls
	orphans                     bool                              // every other turn puts one into the root
}

// record runs it and returns the trace.
func (r run) record(t testing.TB) *Trace {
	t.Helper()
	dir := t.TempDir()
	recording, err := Create(filepath.Join(dir, "recording"), cmp.Or(r.events, 1<<18), 2)
	require.NoError(t, err)
	defer recording.Close()
	var group, creators sync.WaitGroup
	stop := make(chan struct{})
	passes := make(chan struct{}, 8) // of recoverers, so that they do not fill the trace while creators wait for the disk
	for i := range r.creators + r.recoverers {
		k := kernel.Linux()
		if r.below != nil {
			k = r.below(k)
		}
		k = kernel.Around(k, recording.Recorder(uint32(i+1)))
		if r.above != nil {
			k = r.above(k)
		}
		root, err := tempdir.Open(filepath.Join(dir, "root"), tempdir.Make(0o700), kernel.With[tempdir.Option](k), tempdir.OrphanGrace(0))
		require.NoError(t, err)
		if i < r.creators {
			creators.Add(1)
			group.Go(func() {
				defer creators.Done()
				defer root.Close()
				for n := range r.turns {
					for range 4 {
						select {
						case passes <- struct{}{}:
						default:
						}
					}
					if r.orphans && n%2 == 0 {
						id := fmt.Sprintf("%030x%02x", n+1, i)
						assert.NoError(t, recording.Orphan(id, 0))
						assert.NoError(t, os.Mkdir(filepath.Join(dir, "root", "temp-dir-"+id), 0o700))
					}
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
					_, _ = root.Recover(context.Background())
					return
				case <-passes:
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
	turns := 200
	if testing.Short() {
		turns = 30
	}
	for name, below := range map[string]func(kernel.Kernel) kernel.Kernel{
		"with unnamed files":    nil,
		"without unnamed files": func(k kernel.Kernel) kernel.Kernel { return named{k} },
	} {
		t.Run(name, func(t *testing.T) {
			busy := int64(0)
			// Who meets whom is the scheduler's choice: until somebody does.
			for i := 0; i < attempts && busy == 0; i++ {
				report, err := Validate(t.Context(), run{
					creators: 2, recoverers: 2, turns: turns, below: below, orphans: true, above: yielding,
				}.record(t))
				require.NoError(t, err)
				t.Logf("%+v", report.Counts)
				require.Equal(t, Valid, report.Verdict, "%s %v", strings.Join(report.Problems, "\n"), report.Because)
				require.Positive(t, report.Adoptions)
				require.GreaterOrEqual(t, report.Instances, int64(turns))
				busy = report.Busy
			}
			assert.Positive(t, busy)
		})
	}
}

// attempts bounds how often goroutines are recorded until two of them meet.
const attempts = 50

// named has no unnamed files.
type named struct{ kernel.Kernel }

func (named) OpenUnnamed(int) (int, error) { return -1, unix.EOPNOTSUPP }

// replacing has no rename that never replaces.
type replacing struct{ kernel.Kernel }

func (replacing) Commit(int, string, string) error { return unix.EINVAL }

func TestCommitByAnotherCallIsABehaviour(t *testing.T) {
	dir := t.TempDir()
	recording, err := Create(filepath.Join(dir, "recording"), 1<<10, 2)
	require.NoError(t, err)
	defer recording.Close()
	k := kernel.Around(replacing{kernel.Linux()}, recording.Recorder(1))
	root, err := tempdir.Open(filepath.Join(dir, "root"), tempdir.Make(0o700), kernel.With[tempdir.Option](k))
	require.NoError(t, err)
	for name, build := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"file":      func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		instance, err := root.Create()
		require.NoError(t, err)
		addition, err := instance.StageAddition()
		require.NoError(t, err)
		require.NoError(t, build(addition.Path()))
		require.NoError(t, addition.Commit(filepath.Join(dir, name)))
		require.NoError(t, instance.Close(t.Context()))
	}
	require.NoError(t, root.Close())
	trace, err := recording.Trace()
	require.NoError(t, err)
	report, err := Validate(t.Context(), trace)
	require.NoError(t, err)
	require.Equal(t, Valid, report.Verdict, "%s %v", strings.Join(report.Problems, "\n"), report.Because)
	require.EqualValues(t, 2, report.Instances)
}
