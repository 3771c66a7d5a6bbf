//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func init() {
	// worker STORE SEED: two goroutines that work on a few layers until they are
	// killed, or their standard output is closed. They print a word an operation.
	proc.Register("worker", func(arguments []string) {
		seed := must(strconv.ParseUint(arguments[1], 10, 64))
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() { work(arguments[0], rand.New(rand.NewPCG(seed, uint64(i)))) })
		}
		group.Wait()
	})
}

const workerFiles = 6

// work does one random operation after another, and panics if one of them does
// what it must not.
func work(path string, rng *rand.Rand) {
	s := must(layerstore.Open(path, layerstore.WithDriver(layouts[rng.IntN(2)])))
	allowed := func(err error, kinds ...error) string {
		if err == nil {
			return "ok"
		}
		for _, kind := range kinds {
			if errors.Is(err, kind) && layerstore.EffectOf(err) == layerstore.NoEffect {
				return "refused"
			}
		}
		panic(err)
	}
	for n := 0; ; n++ {
		id := fmt.Sprint("layer", rng.IntN(5))
		var word string
		switch rng.IntN(8) {
		case 0, 1:
			parent := ""
			if rng.IntN(3) == 0 {
				parent = fmt.Sprint("layer", rng.IntN(5))
			}
			text := fmt.Sprintf("%s %d %d", id, os.Getpid(), n)
			_, err := s.Create(background, layerstore.Layer{ID: id, Parent: parent}, someFiles(workerFiles, text))
			word = "create-" + allowed(err, layerstore.ErrLayerExists, layerstore.ErrNoParent, layerstore.ErrBusy)
		case 2, 3:
			victims := []string{id}
			if rng.IntN(3) == 0 {
				victims = append(victims, fmt.Sprint("layer", rng.IntN(5)))
			}
			_, err := s.Delete(background, victims...)
			word = "delete-" + allowed(err, layerstore.ErrLayerUnknown, layerstore.ErrHasChildren)
		case 4, 5, 6:
			err := s.Read(background, id, func(files fs.FS) error {
				texts := map[string]bool{}
				for i := range workerFiles {
					texts[string(must(fs.ReadFile(files, fmt.Sprintf("dir%d/file%d", i%3, i))))] = true
				}
				if len(texts) != 1 {
					panic(fmt.Sprintf("layer %s is a mixture of %v", id, texts))
				}
				return nil
			})
			word = "read-" + allowed(err, layerstore.ErrLayerUnknown)
		case 7:
			_, err := s.Recover(background)
			word = "recover-" + allowed(err)
		}
		fmt.Println(word)
	}
}

// Processes and goroutines work on the same few layers and are killed at random.
// A layer that can be read is whole and of one creation; every error is expected;
// in the end nothing is left but what is recorded.
func TestProcessesThatAreKilled(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("AFTERLOCK_SEED"); text != "" {
		seed = must(strconv.ParseUint(text, 10, 64))
	}
	t.Logf("repeat: AFTERLOCK_SEED=%d go test ./tempdir/layerstore -run %s", seed, t.Name())
	rng := rand.New(rand.NewPCG(seed, 0))
	_, path := newStore(t)
	workers, lives, operations := 3, 12, 120
	if testing.Short() {
		lives, operations = 3, 40
	}
	seeds := make([][]uint64, workers)
	for i := range seeds {
		for range lives {
			seeds[i] = append(seeds[i], rng.Uint64())
		}
	}
	var mu sync.Mutex
	counts := map[string]int{}
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for _, seed := range seeds[i] {
				child := proc.Start(t, "worker", path, fmt.Sprint(seed))
				until := operations/2 + int(seed%uint64(operations))
				seen := map[string]int{}
				done := 0
				for ; done < until; done++ {
					word, err := child.Line()
					if err != nil {
						break
					}
					seen[word]++
				}
				child.Kill()
				mu.Lock()
				for word, n := range seen {
					counts[word] += n
				}
				mu.Unlock()
				if !assert.Equal(t, until, done, "a worker ended by itself") {
					return
				}
			}
		})
	}
	group.Wait()
	t.Log(counts)
	for _, word := range []string{"create-ok", "create-refused", "delete-ok", "delete-refused", "read-ok", "recover-ok"} {
		assert.Positive(t, counts[word], word)
	}
	s := openStore(t, path)
	report, err := s.Recover(background)
	require.NoError(t, err)
	assert.Empty(t, report.Unrecorded)
	want := 0
	layers, err := s.List(background)
	require.NoError(t, err)
	for _, layer := range layers {
		want++
		if layer.Driver == "overlay" {
			want++
		}
		require.NoError(t, s.Read(background, layer.ID, func(files fs.FS) error {
			text, err := fs.ReadFile(files, "dir0/file0")
			assert.True(t, strings.HasPrefix(string(text), layer.ID+" "))
			return err
		}))
	}
	assert.Len(t, leftovers(t, path), want)
}

// Goroutines with one handle exclude each other as processes do.
func TestOneHandleInManyGoroutines(t *testing.T) {
	s, path := newStore(t)
	var group sync.WaitGroup
	const goroutines = 8
	made := make([]int, goroutines)
	for i := range goroutines {
		group.Go(func() {
			for range 10 {
				_, err := s.Create(background, layerstore.Layer{ID: "one"}, someFiles(3, "one"))
				if err == nil {
					made[i]++
					_, err = s.Delete(background, "one")
					assert.NoError(t, err)
					continue
				}
				assert.ErrorIs(t, err, layerstore.ErrLayerExists)
			}
		})
	}
	group.Wait()
	total := 0
	for _, n := range made {
		total += n
	}
	assert.Positive(t, total)
	assert.Empty(t, listIDs(t, s))
	assert.Empty(t, leftovers(t, path))
}
