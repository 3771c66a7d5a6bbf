//go:build linux

package layerstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func init() {
	proc.Register("crash", func(arguments []string) { crashAt(arguments[0], arguments[1], arguments[2], arguments[3]) })
}

// A calls is a hook around every call of both seams, in one order.
type calls struct {
	n      atomic.Int64
	before func(n int64, name string) error
}

func (c *calls) call(name string) error { return c.before(c.n.Add(1), name) }

func (c *calls) Before(call *kernel.Call) error { return c.call("Kernel." + call.Method.String()) }

func (c *calls) After(*kernel.Call) {}

// options put the hook into a store.
func (c *calls) options() []layerstore.Option {
	return []layerstore.Option{
		kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), c)),
		kernel.WithDisk[layerstore.Option](kernel.AroundDisk(kernel.LinuxDisk(), func(method, _ string) error {
			return c.call("Disk." + method)
		})),
	}
}

func driverNamed(name string) layerstore.Driver {
	for _, driver := range layouts {
		if driver.Name() == name {
			return driver
		}
	}
	panic(name)
}

// crashAt runs an operation in this process, which kills itself before the k-th
// call. It prints the names of the calls that it came to.
func crashAt(path, layout, operation, k string) {
	fatal := int64(must(strconv.Atoi(k)))
	armed := false
	c := &calls{before: func(n int64, name string) error {
		if !armed {
			return nil
		}
		if n == fatal {
			syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
			select {}
		}
		fmt.Println(name)
		return nil
	}}
	s := must(layerstore.Open(path, append(c.options(), layerstore.WithoutRecovery(), layerstore.WithDriver(driverNamed(layout)))...))
	armed = true
	c.n.Store(0)
	switch operation {
	case "create":
		must(s.Create(context.Background(), layerstore.Layer{ID: "new", Parent: "old"}, someFiles(4, "new")))
	case "delete":
		must(s.Delete(context.Background(), "old", "child"))
	case "recover":
		must(s.Recover(context.Background()))
	}
}

// crash runs crashAt in a child and reports whether it was killed.
func crash(t *testing.T, path string, driver layerstore.Driver, operation string, k int) (names []string, killed bool) {
	cmd := proc.New("crash", path, driver.Name(), operation, strconv.Itoa(k))
	output, err := cmd.Output()
	names = strings.Fields(string(output))
	if err == nil {
		return names, false
	}
	require.True(t, cmd.Killed(), "%s at %d: %v", operation, k, err)
	return names, true
}

// crashScene makes a store with three layers: one to delete with its child, and a
// bystander.
func crashScene(t *testing.T, driver layerstore.Driver) string {
	s, path := newStore(t, layerstore.WithDriver(driver))
	create(t, s, "old", someFiles(4, "old"))
	_, err := s.Create(background, layerstore.Layer{ID: "child", Parent: "old"}, someFiles(5, "child"))
	require.NoError(t, err)
	create(t, s, "bystander", someFiles(3, "bystander"))
	require.NoError(t, s.Close())
	return path
}

// assertWhole wants every file of a layer made of someFiles that say its id.
func assertWhole(t *testing.T, s *layerstore.Store, id string, files int) {
	t.Helper()
	for i := range files {
		content, err := s.ReadFile(background, id, fmt.Sprintf("dir%d/file%d", i%3, i))
		assert.NoError(t, err)
		assert.Equal(t, id, string(content))
	}
}

// checkAfterCrash opens the store, which recovers, and checks that metadata and
// data agree and nothing else is left.
func checkAfterCrash(t *testing.T, path string, driver layerstore.Driver) []string {
	t.Helper()
	s := openStore(t, path, layerstore.WithDriver(driver))
	report, err := s.Recover(background)
	assert.NoError(t, err)
	assert.Empty(t, report.Unrecorded, "layers without a record")
	assert.Empty(t, report.Finished, "Open finished them")
	text, err := os.ReadFile(filepath.Join(path, "layers.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "incomplete")
	ids := listIDs(t, s)
	for _, id := range ids {
		assertWhole(t, s, id, map[string]int{"old": 4, "child": 5, "bystander": 3, "new": 4}[id])
	}
	want := len(ids)
	if driver == layerstore.Overlay {
		want *= 2
	}
	assert.Len(t, leftovers(t, path), want, "%v", leftovers(t, path))
	require.Contains(t, ids, "bystander")
	return ids
}

// A process that is killed before any call of a create or a delete leaves all of
// it or nothing, after recovery: F21, F29, and the promise of the incomplete flag.
func TestKilledBeforeEveryCall(t *testing.T) {
	for _, driver := range layouts {
		for _, operation := range []string{"create", "delete"} {
			t.Run(driver.Name()+"/"+operation, func(t *testing.T) {
				t.Parallel()
				before := map[string]string{"create": "old child bystander", "delete": "old child bystander"}[operation]
				after := map[string]string{"create": "old child bystander new", "delete": "bystander"}[operation]
				seen := map[string]int{}
				stride := 1
				if testing.Short() {
					stride = 7
				}
				var last string
				for k := 1; ; k += stride {
					path := crashScene(t, driver)
					names, killed := crash(t, path, driver, operation, k)
					ids := strings.Join(checkAfterCrash(t, path, driver), " ")
					require.Contains(t, []string{before, after}, ids, "killed before call %d", k)
					if last == after {
						require.Equal(t, after, ids, "it had taken effect before call %d", k)
					}
					last = ids
					seen[ids]++
					if t.Failed() {
						t.Fatalf("killed before call %d, after %v", k, names)
					}
					if !killed {
						t.Logf("%d crash points: %v", k-1, names)
						break
					}
				}
				assert.Equal(t, after, last)
				assert.Len(t, seen, 2, "both outcomes occur")
			})
		}
	}
}

// A second kill, inside the recovery from the first, changes nothing.
func TestKilledInsideRecovery(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("AFTERLOCK_SEED"); text != "" {
		seed = must(strconv.ParseUint(text, 10, 64))
	}
	t.Logf("repeat: AFTERLOCK_SEED=%d go test ./tempdir/layerstore -run %s", seed, t.Name())
	rng := rand.New(rand.NewPCG(seed, 0))
	rounds, kills := 40, 0
	if testing.Short() {
		rounds = 6
	}
	for range rounds {
		driver := layouts[rng.IntN(2)]
		operation := []string{"create", "delete"}[rng.IntN(2)]
		path := crashScene(t, driver)
		k := 1 + rng.IntN(60)
		crash(t, path, driver, operation, k)
		for range 2 {
			j := 1 + rng.IntN(30)
			if _, killed := crash(t, path, driver, "recover", j); killed {
				kills++
			}
		}
		checkAfterCrash(t, path, driver)
		require.False(t, t.Failed(), "%s %s killed before call %d", driver.Name(), operation, k)
	}
	assert.Positive(t, kills, "kills inside recovery")
}
