package crashsim_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
)

func TestEveryCallOnARealFileSystemIsACrashPoint(t *testing.T) {
	dir := "/dev/shm"
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = t.TempDir()
	}
	s := crashsim.Scenario{Deleters: 1, Victims: 2, Files: 2, Adders: 1}
	if testing.Short() {
		s = crashsim.Scenario{Deleters: 1, Victims: 1, Files: 1}
	}
	report, err := crashsim.Soft(t.Context(), dir, s)
	require.NoError(t, err)
	assert.Empty(t, report.Findings)
	assert.Greater(t, report.CrashPoints, int64(100))
	assert.Greater(t, report.Nested, int64(100))
	assert.Equal(t, report.CrashPoints+1, report.Recoveries)
	t.Logf("%+v", report)
}
