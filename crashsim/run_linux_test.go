package crashsim_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
)

func TestEveryCrashIsRecoveredFrom(t *testing.T) {
	for _, s := range crashsim.Scenarios(false) {
		report, err := crashsim.Run(t.Context(), crashsim.Options{Scenarios: []crashsim.Scenario{s}, Workers: 1})
		require.NoError(t, err)
		assert.Empty(t, report.Problems())
		for model, c := range report.PerModel {
			fmt.Printf("%v %-13s %+v\n", s, model, c)
		}
		fmt.Printf("  %v %.0f states/s\n", report.Elapsed, report.StatesPerSecond())
	}
}
