package upstream_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/upstream"
)

// A scene is a root, a victim of one file beside it, and the steps that were
// taken.
type scene struct {
	root    *upstream.Root
	path    string // of the root
	victim  string
	actions []string
}

func newScene(t *testing.T, o upstream.Options) *scene {
	t.Helper()
	s := &scene{path: filepath.Join(t.TempDir(), "root")}
	s.victim = filepath.Join(filepath.Dir(s.path), "victim")
	makeTree(t, s.victim)
	o.Before = func(action, name string) error {
		if action != "" {
			s.actions = append(s.actions, action)
		}
		return nil
	}
	var err error
	s.root, err = upstream.New(s.path, o)
	require.NoError(t, err)
	return s
}

func makeTree(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), []byte("x"), 0o600))
}

func (s *scene) names(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(s.path)
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestStepsOfAnInstance(t *testing.T) {
	creates := []string{"UpstreamCreateLock", "UpstreamOpenLock", "UpstreamTakeLock", "MakeData"}
	rechecks := []string{"UpstreamCreateLock", "UpstreamOpenLock", "UpstreamTakeLock", "UpstreamStatName", "MakeData"}
	// The first RemoveData meets ENOTEMPTY and is no step.
	removes := []string{"StageDeletion", "OpenDirectory", "RemoveData", "OpenEntry", "RemoveEntry", "RemoveEntry", "RemoveData", "UpstreamRemoveLock", "Close"}
	for _, tt := range []struct {
		name    string
		options upstream.Options
		wants   []string
	}{
		{"as shipped", upstream.Options{}, append(creates, removes...)},
		{"creator rechecks", upstream.Options{CreatorRechecks: true}, append(rechecks, removes...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, tt.options)
			dir, err := s.root.Create()
			require.NoError(t, err)
			require.NoError(t, dir.StageDeletion(s.victim))
			require.NoError(t, dir.Cleanup())
			assert.Equal(t, tt.wants, s.actions)
			assert.Empty(t, s.names(t))
			assert.NoDirExists(t, s.victim)
		})
	}
}

func TestRecoveryRemovesStaleInstancesAndOrphans(t *testing.T) {
	for _, tt := range []struct {
		name       string
		lock, data bool
		wants      []string
	}{
		{"lock file only", true, false, []string{"List", "UpstreamOpenLock", "UpstreamTakeLock", "OpenDirectory", "UpstreamRemoveLock", "Close"}},
		{"empty data only", false, true, []string{"List", "UpstreamOpenLock", "UpstreamTakeLock", "OpenDirectory", "RemoveData", "UpstreamRemoveLock", "Close"}},
		{"both", true, true, []string{"List", "UpstreamOpenLock", "UpstreamTakeLock", "OpenDirectory", "RemoveData", "UpstreamRemoveLock", "Close"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, upstream.Options{})
			if tt.lock {
				require.NoError(t, os.WriteFile(filepath.Join(s.path, "lock-1"), nil, 0o600))
			}
			if tt.data {
				require.NoError(t, os.Mkdir(filepath.Join(s.path, "temp-dir-1"), 0o700))
			}
			require.NoError(t, s.root.Recover())
			assert.Equal(t, tt.wants, s.actions)
			assert.Empty(t, s.names(t))
		})
	}
}
