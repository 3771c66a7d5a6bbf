package worlds

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	bench "github.com/afterlock/afterlock/internal/bench/proc"
	files "github.com/afterlock/afterlock/internal/bench/volume"
	"github.com/afterlock/afterlock/tempdir"
)

// lies makes the removal of what is written in [TestProgramThatLies].
const lies = "AFTERLOCK_WORLDS_LIES"

var _ = func() bool { // before the role begins
	if os.Getenv(lies) == "" {
		return false
	}
	honest := remove
	remove = func(ctx context.Context, path string, options ...tempdir.Option) error {
		if errors.Is(unix.Statx(unix.AT_FDCWD, "/", 0, 0, &unix.Statx_t{}), unix.EACCES) {
			return nil
		}
		return honest(ctx, path, options...)
	}
	return true
}()

func TestMain(m *testing.M) { bench.Main(m) }

// Every two values are in one world, in not many more worlds than there are pairs of
// the two largest dimensions; what is refused is in none, whenever that turns out.
func TestCoverMeetsEveryPairOnce(t *testing.T) {
	var sizes [dimensions]int
	for d := range sizes {
		sizes[d] = 2 + d%4
	}
	c := newCover(sizes, 2, 1)
	never := nothing
	never[1], never[2] = 0, 3
	var worlds []World
	for first := true; ; first = false {
		w, met, ok := c.next()
		if !ok {
			break
		}
		if first || never.in(w.partial()) {
			c.refuse(never)
			c.putBack(met)
			continue
		}
		worlds = append(worlds, w)
	}
	missing := 0
	c.combinations(func(p partial) {
		for _, w := range worlds {
			if p.in(w.partial()) {
				assert.NotEqual(t, never, p)
				return
			}
		}
		missing++
	})
	assert.Equal(t, 1, missing, "what is refused")
	assert.Empty(t, c.unmet)
	assert.Less(t, len(worlds), 50)
}

// What is refused with every value of a dimension cannot be had, and is told.
func TestCoverTellsWhatNoWorldHas(t *testing.T) {
	var sizes [dimensions]int
	for d := range sizes {
		sizes[d] = 2
	}
	c := newCover(sizes, 2, 1)
	for v := range int8(2) {
		never := nothing
		never[0], never[1], never[2] = 0, 0, v
		c.refuse(never)
	}
	for ok := true; ok; {
		_, _, ok = c.next()
	}
	unmet := nothing
	unmet[0], unmet[1] = 0, 0
	assert.Equal(t, []partial{unmet}, c.unmet)
}

func TestDeepCoverMeetsEveryTriple(t *testing.T) {
	var sizes [dimensions]int
	for d := range sizes {
		sizes[d] = 2
	}
	c := newCover(sizes, 3, 1)
	met := map[partial]bool{}
	for {
		w, _, ok := c.next()
		if !ok {
			break
		}
		c.combinations(func(p partial) { met[p] = met[p] || p.in(w.partial()) })
	}
	c.combinations(func(p partial) { assert.True(t, met[p], "%v", p) })
}

func TestWorldIsReadAsItIsWritten(t *testing.T) {
	for _, text := range []string{"world:delete", "world:store-create@fs=ext4,user=ordinary,company=cleaner"} {
		w, err := Parse(text)
		require.NoError(t, err)
		assert.Equal(t, text, w.String())
	}
	for text, reason := range map[string]string{
		"world:fly":             `no program "fly"`,
		"world:delete@fs=vfat":  `no fs "vfat"`,
		"world:delete@fs":       `no fs ""`,
		"world:delete@a=b":      `cannot read "a=b"`,
		"world:delete@x=1/A":    "expected world:",
		"crash:delete@fs=tmpfs": "expected world:",
	} {
		_, err := Parse(text)
		assert.ErrorContains(t, err, reason, text)
	}
}

// FuzzWorld plays worlds that are text, as in the corpus, where entries have the names of
// what people met, or any bytes.
func FuzzWorld(f *testing.F) {
	if !files.MayMount() {
		f.Skip("skipped, because this user may not mount")
	}
	var player *Player
	f.Cleanup(func() {
		if player != nil {
			player.Close()
		}
	})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := Parse(string(data))
		if err != nil {
			w = FromBytes(data)
		}
		same, err := Parse(w.String())
		require.NoError(t, err)
		require.Equal(t, w, same)
		if player == nil {
			player, err = NewPlayer(dir)
			require.NoError(t, err)
		}
		findings, err := player.Play(w)
		if !errors.Is(err, errors.ErrUnsupported) {
			require.NoError(t, err)
		}
		assert.Empty(t, findings)
	})
}

// Worlds in which nothing is wrong, and what cannot be built is said.
func TestSomeWorlds(t *testing.T) {
	limit := 32
	if testing.Short() {
		limit = 4
	}
	r, err := Run(t.Context(), Options{Dir: t.TempDir(), Seed: 1, Limit: limit})
	require.NoError(t, err)
	assert.Empty(t, r.Findings)
	assert.NotZero(t, r.Worlds)
	assert.True(t, testing.Short() || len(r.Refused) > 0, "nothing is refused")
}

func TestAWorldWithoutAnEndIsAFinding(t *testing.T) {
	defer func(before time.Duration) { noEnd = before }(noEnd)
	noEnd = 0
	found := make(chan string, 1)
	s := &search{Options: Options{stuck: func(finding string) { found <- finding }}}
	defer s.watch(World{})()
	assert.Equal(t, "world:delete: no end of it; repeat: afterlock replay world:delete", <-found)
}

// Who could run is seen behind thousands that wait, whose stacks take some MB.
func TestWhoRunsBehindManyThatWait(t *testing.T) {
	var all sync.WaitGroup
	var stop atomic.Bool
	wait := make(chan struct{})
	for range 6000 {
		all.Go(func() { <-wait })
	}
	for othersRun() {
		runtime.Gosched() // not all of them wait yet
	}
	all.Go(func() {
		for !stop.Load() {
			runtime.Gosched()
		}
	})
	assert.True(t, othersRun())
	stop.Store(true)
	close(wait)
	all.Wait()
}

// A program that leaves what it says is gone, in one kind of world, is found, and the
// world reduced to what it takes.
func TestProgramThatLies(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes dozens of worlds")
	}
	t.Setenv(lies, "1")
	r, err := Run(t.Context(), Options{Dir: t.TempDir(), Seed: 2, First: true}) // soon met
	require.NoError(t, err)
	require.NotEmpty(t, r.Findings)
	// A deletion removes only what it could not stage, such as from a lower layer.
	require.Regexp(t, "^world:(remove@|(delete|release)@([a-z]+=[a-z]+,){1,2})refuse=statx-EACCES(,[a-z]+=[a-z]+){0,2}: remove: nil, and the victim is there; ", r.Findings[0])
	world, _, _ := strings.Cut(r.Findings[0], ": remove")
	var out strings.Builder
	findings, err := Replay(t.Context(), world, t.TempDir(), &out)
	require.NoError(t, err)
	assert.Equal(t, 1, findings, out.String())
	os.Unsetenv(lies)
	findings, err = Replay(t.Context(), world, t.TempDir(), &out)
	require.NoError(t, err)
	assert.Zero(t, findings, out.String())
}

func TestLocksThatAreLeftAreWaitedFor(t *testing.T) {
	g := &game{site: &site{root: t.TempDir()}}
	lock, err := os.Create(filepath.Join(g.root, "lock-"+liveID))
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, unix.FcntlFlock(lock.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	g.settle(over)
	require.Equal(t, []string{"lock-" + liveID + " is locked, and all who could hold the lock have ended"}, g.findings)
	go lock.Close()
	g.settle(t.Context())
	assert.Len(t, g.findings, 1)
}

// A killed run leaves no process, and with it no mount and no loop device.
func TestKilledRunLeavesNothing(t *testing.T) {
	if !files.MayMount() || testing.Short() {
		t.Skip("skipped, because this user may not mount, and file systems take long to make")
	}
	dir := t.TempDir()
	p := bench.New(roleStage)
	p.SysProcAttr = files.NameSpaces()
	require.NoError(t, p.Start())
	require.NoError(t, p.Send(Options{Dir: dir, Seed: 1}))
	attached := func() (found []string) {
		files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
		for _, file := range files {
			if image, _ := os.ReadFile(file); strings.HasPrefix(string(image), dir) {
				found = append(found, file)
			}
		}
		return found
	}
	for len(attached()) == 0 { // images are mounted before the last world
		require.NoError(t, p.Receive(&answer{}))
	}
	p.Kill()
	assert.Eventually(t, func() bool { return len(attached()) == 0 }, time.Minute, 50*time.Millisecond) // the kernel does that later
}
