//go:build linux

package tempdir_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
)

// A shared is one Root, Dir, Addition and Lock that goroutines share, and what came of it.
type shared struct {
	*operated
	mu         sync.Mutex
	ids, paths []string // handed out: each once
	staged     []string // victims that were staged
	committed  int
}

func (s *shared) note(list *[]string, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, text)
}

// often is how many times a call is made that takes no time.
const often = 2000

// shareable are operations in a form that several goroutines can call; the i-th call of
// each.
var shareable = map[string]func(s *shared, i int) error{
	"Root.Create": func(s *shared, i int) error {
		dir, err := s.root.Create()
		if err != nil {
			return err
		}
		s.note(&s.ids, dir.ID())
		return dir.Close(background)
	},
	"Root.CreateLock": func(s *shared, i int) error {
		lock, err := s.root.CreateLock(fmt.Sprint("plain", i))
		if err != nil {
			return err
		}
		s.note(&s.ids, fmt.Sprint("plain", i)) // nobody else has it, until it is deleted
		return lock.Delete()
	},
	"Root.TryLock": func(s *shared, i int) error {
		lock, err := s.root.TryLock("lock-" + staleID)
		if err != nil {
			return err
		}
		return lock.Delete()
	},
	"Root.MaybeDirty": func(s *shared, i int) (err error) {
		for range often {
			_, err = s.root.MaybeDirty()
		}
		return err
	},
	"Dir.StageDeletion": func(s *shared, i int) error {
		victim := fmt.Sprintf("%s/%d-victim", s.base, i)
		err := s.dir.StageDeletion(victim)
		if err == nil {
			s.note(&s.staged, victim)
		}
		return err
	},
	"Dir.StageAddition": func(s *shared, i int) (err error) {
		additions := make([]*tempdir.Addition, 0, 10*often)
		for range cap(additions) {
			var addition *tempdir.Addition
			if addition, err = s.dir.StageAddition(); err == nil {
				additions = append(additions, addition)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range additions {
			s.paths = append(s.paths, a.Path())
		}
		return err
	},
	"Addition.Commit": func(s *shared, i int) error {
		err := s.addition.Commit(fmt.Sprintf("%s/destination%d", s.base, i))
		if err == nil {
			s.mu.Lock()
			s.committed++
			s.mu.Unlock()
		}
		return err
	},
}

// documented are the failures that sharing may bring about.
var documented = []error{tempdir.ErrClosed, tempdir.ErrCommitted, tempdir.ErrHeld, os.ErrNotExist, tempdir.ErrInstanceGone, tempdir.ErrLeftover}

// Every pair of methods on handles that goroutines share, judged by results: ids and
// entries are unique, failures documented, nothing is lost, one only closes.
func TestEveryPairOnSharedHandles(t *testing.T) {
	pairs := maps.Clone(shareable)
	for name, operation := range operations {
		of, method, _ := strings.Cut(name, ".")
		if pairs[name] == nil && method != "" && of != "Lock" && !strings.Contains(name, ",") { // a lock belongs to one goroutine
			pairs[name] = func(s *shared, _ int) error { return operation.do(s.operated) }
		}
	}
	memory := testfs.InMemory(t)
	const each = 4
	for first := range pairs {
		for second := range pairs {
			if first > second || first != second && testing.Short() {
				continue
			}
			what := first + " and " + second
			base := filepath.Join(memory, strings.ReplaceAll(what, " ", "-"))
			require.NoError(t, os.Mkdir(base, 0o700))
			s := &shared{operated: newOperated(t, base, &nth{n: -1}, false)}
			s.root.Close() // whose hook is for one goroutine
			s.dir.Close(background)
			s.lock.Delete()
			s.root = openAt(t, base+"/root", kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), kernel.HookFunc(func(*kernel.Call) error {
				runtime.Gosched()
				return nil
			}))))
			s.dir = must(s.root.Create())
			s.addition = must(s.dir.StageAddition())
			require.NoError(t, os.WriteFile(s.addition.Path(), nil, 0o600))
			for i := range 2 * each {
				require.NoError(t, os.Mkdir(fmt.Sprintf("%s/%d-victim", base, i), 0o700))
			}
			start := make(chan struct{})
			errs := make([]error, 2*each)
			var all sync.WaitGroup
			for i := range 2 * each {
				all.Go(func() {
					<-start
					errs[i] = pairs[[]string{first, second}[i%2]](s, i)
				})
			}
			close(start)
			all.Wait()

			closes := map[string]int{}
			for i, err := range errs {
				if err == nil {
					closes[[]string{first, second}[i%2]]++
					continue
				}
				known := slices.ContainsFunc(documented, func(kind error) bool { return errors.Is(err, kind) })
				require.True(t, known, "%s: %v", what, err)
			}
			for _, once := range []string{"Root.Close", "Dir.Close", "Dir.Release"} {
				if once == first || once == second {
					require.LessOrEqual(t, closes[once], 1, what)
				}
			}
			require.LessOrEqual(t, s.committed, 1, what)
			for _, list := range [][]string{s.ids, s.paths} {
				slices.Sort(list)
				require.Equal(t, slices.Compact(slices.Clone(list)), list, "%s: one twice", what)
			}
			gone := s.dir.Release() != nil
			for i := range 2 * each { // each victim is where it was, or an entry, or removed with them
				victim := fmt.Sprintf("%s/%d-victim", base, i)
				_, err := os.Lstat(victim)
				entries, _ := filepath.Glob(s.base + "/root/temp-dir-*/*" + filepath.Base(victim))
				staged := slices.Contains(s.staged, victim)
				require.Equal(t, staged, err != nil, "%s: %s", what, victim)
				require.True(t, len(entries) == boolInt(staged) || gone && len(entries) == 0, "%s: %s is %v", what, victim, entries)
			}
			s.root.Close()
			require.Empty(t, descriptorsBelow(t, base), what)
			s.root = openAt(t, base+"/root")
			_, err := s.root.Recover(background)
			require.NoError(t, err, what)
			require.Subset(t, []string{"foreign"}, rootNames(t, s.root), what)
			s.root.Close()
			require.NoError(t, os.RemoveAll(base))
		}
	}
}

// A counted kernel has no root behind it: every look at the root waits to go on.
type counted struct {
	kernel.Kernel
	looking sync.WaitGroup
	on      chan struct{}
	closes  atomic.Int32
}

func (k *counted) OpenRoot(string) (int, bool, error) { return 3, true, nil }

func (k *counted) Stat(int) (kernel.Attributes, error) {
	k.looking.Done()
	<-k.on
	return kernel.Attributes{Links: 1}, nil
}

func (k *counted) Close(int) error {
	k.closes.Add(1)
	return nil
}

// A root that was closed has one descriptor, and the last of those that used it closes
// it: once, or it is another goroutine's file by then. Each of them goes on only after
// all others had the mutex.
func TestTheLastUserClosesOnce(t *testing.T) {
	const users = 16
	k := &counted{on: make(chan struct{})}
	root := must(tempdir.Open("/", kernel.With[tempdir.Option](k), tempdir.AllowOthers()))
	k.looking.Add(users)
	var all sync.WaitGroup
	for range users {
		all.Go(func() { _, _ = root.MaybeDirty() })
	}
	k.looking.Wait()
	require.NoError(t, root.Close())
	require.Zero(t, k.closes.Load(), "closes while it is used")
	tempdir.HandOn(root, func() { close(k.on) })
	all.Wait()
	require.EqualValues(t, 1, k.closes.Load(), "closes of the root")
}

// Who uses a root is counted before anybody else has the mutex: who takes it over sees
// all that had it before. They wait in the order in which they came, but for a few that
// the scheduler lets come too late: one round in which all are seen is enough.
func TestUsersOfARootAreCounted(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // who hands the mutex on goes on after the next one
	const users = 4
	var seen []int
	for round := 0; round < 50 && !slices.Equal(seen, []int{1, 2, 3, 4}); round++ {
		k := &counted{on: make(chan struct{})}
		root := must(tempdir.Open("/", kernel.With[tempdir.Option](k), tempdir.AllowOthers()))
		k.looking.Add(users)
		var all sync.WaitGroup
		seen = nil
		tempdir.HandOn(root, func() {
			for range users {
				all.Go(func() { _, _ = root.MaybeDirty() })
				runtime.Gosched()
				all.Go(func() { tempdir.Users(root, func(n int) { seen = append(seen, n) }) })
				runtime.Gosched()
			}
		})
		k.looking.Wait()
		close(k.on)
		all.Wait()
		require.NoError(t, root.Close())
		require.EqualValues(t, 1, k.closes.Load(), "closes of the root")
	}
	require.Equal(t, []int{1, 2, 3, 4}, seen, "users of the root")
}
