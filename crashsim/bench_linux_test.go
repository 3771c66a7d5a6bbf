package crashsim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
)

// Three victims, two processes and one nested crash, on one core.
func BenchmarkThreeVictims(b *testing.B) {
	var states int64
	for b.Loop() {
		report, err := crashsim.Run(b.Context(), crashsim.Options{Workers: 1,
			Scenarios: []crashsim.Scenario{{Deleters: 1, Victims: 3, Files: 3, Recoverers: 1, Kills: 1}}})
		require.NoError(b, err)
		states += report.Counts.States
	}
	b.ReportMetric(float64(states)/b.Elapsed().Seconds(), "states/s")
}
