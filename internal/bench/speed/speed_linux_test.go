package speed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/volume"
)

// The program of these tests does what "afterlock rm" is here for, and no more.
func init() {
	proc.Register(RoleProgram, func(arguments []string) { proc.Fail(os.RemoveAll(arguments[1])) })
	proc.Register(roleShares, shares)
	Prove = func(context.Context) (int, error) { return 9, nil }
}

func TestMain(m *testing.M) { proc.MainInMemory(m) }

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
	half := shape{"half", 2, func(b *builder) error {
		b.make(0, 1)
		b.make(0, 1)
		return b.err
	}}
	_, err = lazy.measure(t.Context(), p, &half, false)
	assert.ErrorIs(t, err, os.ErrExist)
	assert.NoDirExists(t, filepath.Join(p.dir, "tree"), "the next tree has no place")
}

// What this user may not read is in a shape like a directory, too: once, and empty.
func TestShapeLikeWhatMayNotBeRead(t *testing.T) {
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed")
	require.NoError(t, os.Mkdir(closed, 0))
	t.Cleanup(func() { _ = os.Chmod(closed, 0o700) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	s, err := shapeLike(dir)
	require.NoError(t, err)
	assert.Equal(t, 1, s.files)
	path := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, s.tree(path))
	assert.DirExists(t, filepath.Join(path, "closed"))
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

// A run measures every table, and leaves nothing but the root of a store and what is made
// with the place.
func TestRunMeasuresAll(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Files: 20, Pairs: 2, Against: []string{"rm", removeAll}}
	if volume.MayMount() {
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
	shared := rows["hold deleters of a layer each 64"].Count
	assert.True(t, shared > 0 && shared <= 4*64 && shared%4 == 0, "%d fsyncs", shared) // as many groups as there were
	assert.Equal(t, 4, rows["hold layers in one deletion 64"].Count, "fsyncs")
	one := rows["hold files in the layer 10"]
	assert.Positive(t, one.Each)
	assert.Less(t, one.Each, one.Took, "the lock is held during a part of the deletion")
	assert.Positive(t, rows["recovery stale instances 10"].Took)
	assert.Greater(t, rows["memory files, flat 20"].Memory, int64(1<<20))
	assert.Greater(t, rows["checks states explored of Gate 22401"].Took, time.Duration(0))
	assert.Positive(t, rows["checks of these, judged 40"].Count)
	assert.Positive(t, rows["checks questions of the proof 9"].Took)
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	want := []string(nil) // of what is mounted there
	if !volume.MayMount() {
		want = []string{filepath.Join(dir, here, "empty"), filepath.Join(dir, here, "root")}
	}
	assert.Equal(t, want, left)
	plots := t.TempDir()
	require.NoError(t, r.WritePlots(plots))
	text, err := os.ReadFile(filepath.Join(plots, "removal-"+r.Cells[0].FileSystem+"-nested.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(text), ">os.RemoveAll")
}

const roleShares = "shares mounts"

// shares runs a bench, and looks at its own mounts meanwhile.
func shares(arguments []string) {
	proc.Fail(unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""))
	o := Options{Dir: arguments[0], Files: 1, Pairs: 1, FileSystems: []string{"tmpfs"}, Tables: []string{"removal"}, Against: []string{Nobody}}
	proc.Fail(o.Check())
	looks := 0
	o.Progress = func(string) {
		looks++
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		proc.Fail(err)
		if strings.Contains(string(mounts), o.Dir) {
			proc.Fail(errors.New("what is mounted by a run is mounted here"))
		}
	}
	r, err := Run(context.Background(), o)
	proc.Fail(err)
	if looks < 2 || len(r.Cells) == 0 || r.Failed() {
		proc.Fail(fmt.Errorf("nothing was measured: %v", r.Skipped))
	}
}

// Where mounts are shared with name spaces that are made of this one, which systemd sees
// to, nobody else gets those of a run.
func TestMountsAreTheRunsOwn(t *testing.T) {
	if !volume.MayMount() {
		t.Skip("skipped, because this user may not mount")
	}
	if _, err := os.Stat("/proc/self/mountinfo"); err != nil {
		t.Skip("skipped, because nothing tells what is mounted: ", err)
	}
	p := proc.New(roleShares, t.TempDir())
	p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	_, err := p.Output()
	assert.NoError(t, err)
}

func TestNoFileSystemIsAnError(t *testing.T) {
	o := Options{Dir: t.TempDir(), Files: 1, Pairs: 1, FileSystems: []string{"xfs"}}
	require.NoError(t, o.Check())
	t.Setenv("PATH", "")
	_, err := Run(t.Context(), o)
	assert.ErrorContains(t, err, "nowhere to measure: xfs: ")
}

// Time ends the rounds, not the first one, and rows that nobody wants are not measured.
func TestTimeEndsTheRounds(t *testing.T) {
	o := Options{
		Dir: t.TempDir(), Files: 10, Pairs: 9, Time: 1, Limit: true,
		FileSystems: []string{here}, Tables: []string{"removal"}, Only: []string{"staged"}, Against: []string{Nobody},
	}
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
