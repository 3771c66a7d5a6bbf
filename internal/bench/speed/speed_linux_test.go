package speed

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// The program of these tests does what "afterlock rm" is here for, and no more.
func init() {
	proc.Register(RoleProgram, func(arguments []string) { proc.Fail(os.RemoveAll(arguments[1])) })
}

func TestMain(m *testing.M) { proc.Main(m) }

// All that remove trees remove all of every shape.
func TestContendersRemoveEveryShape(t *testing.T) {
	o := &Options{Limit: true}
	all, skipped, err := contenders(o)
	require.NoError(t, err)
	assert.Len(t, skipped, len(Peers())+3-len(all)+len(bareOf(all)))
	assert.GreaterOrEqual(t, len(bareOf(all)), 2)
	b := &bench{Options: Options{Dir: t.TempDir(), Files: 600}}
	p, err := b.place(here)
	require.NoError(t, err)
	like, err := shapeLike(".")
	require.NoError(t, err)
	shapes := []shape{chain(40, 80), like}
	for _, name := range []string{"nested", "flat", "small"} {
		s, err := shapeOf(name, 600)
		require.NoError(t, err)
		shapes = append(shapes, s)
	}
	for _, c := range all {
		if testing.Short() && c.kind == Command {
			continue
		}
		for i := range shapes {
			_, err := c.measure(t.Context(), p, &shapes[i], false)
			assert.NoError(t, err, "%s: %s", c.name, shapes[i].name)
		}
	}
	lazy := contender{"lazy", Library, timed(func(context.Context, string, string) error { return nil })}
	_, err = lazy.measure(t.Context(), p, &shapes[0], false)
	assert.ErrorContains(t, err, "something is left")
}

func bareOf(all []contender) (bare []contender) {
	for _, c := range all {
		if c.kind == Bare {
			bare = append(bare, c)
		}
	}
	return bare
}

// Threads that have nothing to do yet wait for directories of others, and an error ends
// all of them.
func TestLoopsOfThreads(t *testing.T) {
	for _, inodes := range []bool{false, true} {
		l := newLoop(4, inodes)
		s, err := shapeOf("nested", 3000)
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "tree")
		require.NoError(t, s.tree(path))
		require.NoError(t, l.remove(path))
		assert.NoDirExists(t, path)
		assert.ErrorIs(t, l.remove(path), os.ErrNotExist)
	}
}

// A run measures every table, and leaves neither mounts nor files.
func TestRunMeasuresAllAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Files: 20, Pairs: 2, Against: []string{"rm", removeAll}}
	if os.Geteuid() == 0 {
		o.FileSystems = []string{"tmpfs"}
	}
	require.NoError(t, o.Check())
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	assert.False(t, r.Interrupted)
	assert.False(t, r.Failed())
	assert.Empty(t, r.Skipped)
	require.Len(t, r.Cells, 2)
	for _, c := range r.Cells {
		require.Len(t, c.Series, 5)
		for _, s := range c.Series {
			assert.Len(t, s.Took, 2, s.By)
		}
	}
	rows := map[string]Row{}
	for _, row := range r.Rows {
		rows[fmt.Sprint(row.Table, " ", row.What, " ", row.N)] = row
	}
	assert.Equal(t, 1, rows["idle MaybeDirty, system calls 1"].Count)
	assert.Equal(t, 4*64, rows["hold deleters of a layer each 64"].Count, "fsyncs")
	assert.Equal(t, 4, rows["hold layers in one deletion 64"].Count, "fsyncs")
	one := rows["hold files in the layer 10"]
	assert.Positive(t, one.Each)
	assert.Less(t, one.Each, one.Took, "the lock is held during a part of the deletion")
	assert.Positive(t, rows["recovery stale instances 10"].Took)
	assert.Greater(t, rows["memory files, flat 20"].Memory, int64(1<<20))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	assert.NotContains(t, string(mounts), dir)
	plots := t.TempDir()
	require.NoError(t, r.WritePlots(plots))
	text, err := os.ReadFile(filepath.Join(plots, "removal-"+r.Cells[0].FileSystem+"-nested.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(text), ">os.RemoveAll")
}

// Time ends the rounds, not the first one, and rows that nobody wants are not measured.
func TestTimeEndsTheRounds(t *testing.T) {
	o := Options{Dir: t.TempDir(), Files: 10, Pairs: 9, Time: 1, FileSystems: []string{here}, Tables: []string{"removal"}, Only: []string{"staged"}, Against: []string{Nobody}, Limit: true}
	require.NoError(t, o.Check())
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, r.Skipped, 1)
	assert.Contains(t, r.Skipped[0], "rounds after the first 1")
	assert.Len(t, r.Cells[0].find("staged").Took, 1)
	assert.Nil(t, r.Cells[0].find(Ours[Library]))
	assert.NoError(t, r.WriteText(io.Discard))
}

// An interrupted run has the rounds that were whole, and says so.
func TestInterruptedRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := Options{Dir: t.TempDir(), Files: 10, Pairs: 1_000_000, FileSystems: []string{here}, Tables: []string{"removal"}, Against: []string{removeAll}}
	require.NoError(t, o.Check())
	o.Progress = func(text string) {
		if text == "round 3 of 1000000" {
			cancel()
		}
	}
	began := time.Now()
	r, err := Run(ctx, o)
	require.NoError(t, err, "after %v", time.Since(began))
	assert.True(t, r.Interrupted)
	assert.GreaterOrEqual(t, len(r.Cells[0].Series[0].Took), 2)
}
