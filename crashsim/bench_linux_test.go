package crashsim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
)

// Three victims, two processes and one nested crash; the best of the rounds.
func BenchmarkThreeVictims(b *testing.B) {
	var rate float64
	for b.Loop() {
		report, err := crashsim.Run(b.Context(), crashsim.Options{Workers: 1,
			Scenarios: []crashsim.Scenario{{Deleters: 1, Victims: 3, Files: 3, Recoverers: 1, Kills: 1}}})
		require.NoError(b, err)
		rate = max(rate, report.StatesPerSecond())
	}
	b.ReportMetric(rate, "states/core-s")
}
