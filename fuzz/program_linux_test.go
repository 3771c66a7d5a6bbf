package fuzz

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/schedule"
)

var (
	unseen = flag.Bool("fuzz.unseen", false, "the fuzzer sees nothing of the model")
	corpus = flag.String("fuzz.corpus", "", "`directory` of FuzzProgram's inputs, for TestClassesReached")
	nodes  = flag.String("fuzz.root", "", "a root that FuzzRoot printed")
	words  = flag.Bool("fuzz.missing", false, "TestClassesReached prints the classes that were not met")
)

func TestMain(m *testing.M) { proc.Main(m) }

// FuzzProgram: whatever several processes do, with kills, failing calls and power
// losses, is a behaviour of the model, and leaves nothing half done.
func FuzzProgram(f *testing.F) { fuzzProgram(f, false) }

// FuzzCanary is FuzzProgram with a failure planted that few programs show: whoever
// fuzzes and does not find it, finds nothing else either. Its corpus is empty.
func FuzzCanary(f *testing.F) { fuzzProgram(f, true) }

func fuzzProgram(f *testing.F, isCanary bool) {
	coverage, err := NewCoverage(f.Context(), "Gate")
	require.NoError(f, err)
	coverage.Unseen = *unseen
	m := NewMachine(coverage.Step)
	f.Cleanup(m.Close)
	entries, err := Corpus()
	require.NoError(f, err)
	for _, entry := range entries {
		if !isCanary {
			data, err := Encode(entry.Program)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := Decode(data)
		if isCanary {
			canary(s)
		}
		problems, err := m.Run(t.Context(), s)
		require.NoError(t, err)
		if len(problems) > 0 {
			t.Fatal(m.Failure(t.Context(), s, problems[0]))
		}
	})
}

func TestCorpusIsWhatBytesMake(t *testing.T) {
	entries, err := Corpus()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, entry := range entries {
		assert.False(t, names[entry.Name], entry.Name)
		names[entry.Name] = true
		data, err := Encode(entry.Program)
		require.NoError(t, err)
		assert.Equal(t, entry.Program.String(), Decode(data).String(), entry.Name)
	}
}

// The number is that of Gate.cfg: other actions, places or processes show.
func TestClassesOfGate(t *testing.T) {
	r, err := Campaign(t.Context(), Options{Executions: 2000})
	require.NoError(t, err)
	assert.Empty(t, r.Problems)
	assert.Equal(t, 1718, r.Of)
	assert.Equal(t, 130, r.Hidden)
	assert.Zero(t, r.Undecided)
	assert.Equal(t, int64(2000), r.Executions)
	assert.Greater(t, r.Classes, 500, "%+v", r)
}

// BenchmarkCampaign says how many classes so many programs meet: with a pool, drawn
// anew each time, and drawn by rapid; and after how many every class is met.
//
//	go test ./fuzz -run - -bench Campaign -benchtime 30000x
func BenchmarkCampaign(b *testing.B) {
	for seed := range uint64(5) {
		for name, o := range map[string]Options{"guided": {}, "blind": {Blind: true}} {
			o.Seed, o.Empty = seed, true
			b.Run(fmt.Sprintf("%s/%d", name, seed), func(b *testing.B) {
				o.Executions, o.Complete = int64(b.N), true
				r, err := Campaign(b.Context(), o)
				require.NoError(b, err)
				require.Empty(b, r.Problems)
				b.ReportMetric(float64(r.Classes), "classes")
				b.ReportMetric(float64(r.Complete), "complete")
			})
		}
		b.Run(fmt.Sprintf("rapid/%d", seed), func(b *testing.B) {
			coverage, err := NewCoverage(b.Context(), "Gate")
			require.NoError(b, err)
			m := NewMachine(coverage.Step)
			defer m.Close()
			programs := rapid.SliceOfN(rapid.Byte(), 2, maxBytes)
			for i := range b.N {
				_, err := m.Run(b.Context(), Decode(programs.Example(int(seed)*100_000_000+i)))
				require.NoError(b, err)
			}
			n, _ := coverage.Reached()
			b.ReportMetric(float64(n), "classes")
		})
	}
}

// TestClassesReached says which classes the corpus reaches, or another one.
func TestClassesReached(t *testing.T) {
	coverage, err := NewCoverage(t.Context(), "Gate")
	require.NoError(t, err)
	m := NewMachine(coverage.Step)
	defer m.Close()
	var all []*schedule.Schedule
	if *corpus == "" {
		entries, err := Corpus()
		require.NoError(t, err)
		for _, entry := range entries {
			all = append(all, entry.Program)
		}
	} else {
		files, err := os.ReadDir(*corpus)
		require.NoError(t, err)
		for _, file := range files {
			content, err := os.ReadFile(filepath.Join(*corpus, file.Name()))
			require.NoError(t, err)
			_, literal, _ := strings.Cut(string(content), "\n[]byte(")
			data, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(literal), ")"))
			require.NoError(t, err, file.Name())
			all = append(all, Decode([]byte(data)))
		}
	}
	for _, s := range all {
		problems, err := m.Run(t.Context(), s)
		require.NoError(t, err)
		assert.Empty(t, problems)
	}
	n, of := coverage.Reached()
	t.Logf("%d programs reach %d of %d classes of the model Gate", len(all), n, of)
	assert.Positive(t, n)
	if *words {
		t.Log(strings.Join(coverage.Missing(), "\n"))
	}
}

func TestCampaignFindsTheCanaryAndMakesItSmall(t *testing.T) {
	for seed := range uint64(4) {
		findsTheCanary(t, seed)
	}
}

func findsTheCanary(t *testing.T, seed uint64) {
	r, err := Campaign(t.Context(), Options{Seed: seed, Executions: 100_000, Empty: true, Canary: true})
	require.NoError(t, err)
	require.NotEmpty(t, r.Problems)
	assert.NotContains(t, r.Problems, "and once more: nothing")
	text := strings.TrimPrefix(r.Repeat, "afterlock replay ")
	var out strings.Builder
	findings, err := Replay(t.Context(), text, &out)
	require.NoError(t, err)
	assert.Positive(t, findings, out.String())
	assert.LessOrEqual(t, strings.Count(text, "."), 8, text)
}
