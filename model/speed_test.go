package model_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// BenchmarkExplore is the speed and the memory of the explorer, for models that
// grow: states/s is of distinct states.
func BenchmarkExplore(b *testing.B) {
	whole := model.Find("Large").Properties
	grow := func(name string, change func(c *model.Config)) {
		c := *model.Find("Gate").Protocol
		change(&c)
		m := &model.Model{Name: name, Kind: "large", Formula: "Spec", Properties: whole, Protocol: &c}
		b.Run(name, func(b *testing.B) { explore(b, m) })
	}
	b.Run("Gate", func(b *testing.B) { explore(b, model.Find("Gate")) })
	grow("TwoIds", func(c *model.Config) { c.ID = []string{"i1", "i2"} })
	b.Run("Large", func(b *testing.B) { explore(b, model.Find("Large")) })
	grow("TwoCreators", func(c *model.Config) {
		c.Creator, c.ID, c.Files, c.MaxFailures = []string{"c1", "c2"}, []string{"i1", "i2"}, 2, 0
	})
}

func explore(b *testing.B, m *model.Model) {
	for b.Loop() {
		begin := time.Now()
		r, err := m.Check(b.Context(), model.Options{}, false)
		require.NoError(b, err)
		require.Equal(b, model.Holds, r.Verdict)
		b.ReportMetric(float64(r.Distinct), "states")
		b.ReportMetric(float64(r.Distinct)/time.Since(begin).Seconds(), "states/s")
		b.ReportMetric(float64(r.Bytes)/float64(r.Distinct), "B/state")
	}
}

// BenchmarkRefute is the time to the shortest counterexample of upstream as
// shipped.
func BenchmarkRefute(b *testing.B) {
	m := model.Find("UpstreamAsShipped")
	for b.Loop() {
		r, err := m.Refute(b.Context(), model.Options{})
		require.NoError(b, err)
		require.Equal(b, 16, r.Length)
	}
}
