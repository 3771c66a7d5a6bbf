package subjects

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestALossThatIsNotKnownAndAKnownOneThatDoesNotShowAreProblems(t *testing.T) {
	for _, c := range []struct {
		lost, known []string
		problems    int
	}{
		{nil, nil, 0},
		{[]string{"staging"}, []string{"staging"}, 0},
		{[]string{"staging", "vfs/tempdirs"}, []string{"staging"}, 1},
		{nil, []string{"staging"}, 1},
	} {
		var r Report
		beside{lost: c.lost, why: errors.New("gone")}.judge(&r, "gc", c.known)
		require.Len(t, r.Problems, c.problems, c)
	}

	// A machine that has no room decides nothing, whatever is known.
	var r Report
	beside{lost: []string{"pull by compat"}, why: fmt.Errorf("write: %w", unix.ENOSPC)}.judge(&r, "gc", []string{"staging"})
	require.Empty(t, r.Problems)
	require.Equal(t, Undecided, r.Verdict())
}

// What lives in each layout is lost if its files are, and not otherwise.
func TestWhatLivesIsSeenToBeLost(t *testing.T) {
	for _, l := range layouts {
		if os.Geteuid() != 0 {
			t.Skip("skipped, because /run is root's")
		}
		f := &fleet{dir: t.TempDir()}
		s, err := f.newShared(l)
		require.NoError(t, err)
		for _, lose := range []bool{false, true} {
			one, err := liveIn(filepath.Join(s.graph, l.driver), "tempdirs")
			require.NoError(t, err)
			place := filepath.Join(s.graph, l.driver, "tempdirs")
			if l.link != "" {
				place = filepath.Join(s.graph, l.driver, l.link)
			}
			entries, err := os.ReadDir(place)
			require.NoError(t, err)
			require.Len(t, entries, 2)
			staging, err := s.liveStaging(true)
			require.NoError(t, err)
			if lose {
				require.NoError(t, os.RemoveAll(place))
				require.NoError(t, os.RemoveAll(filepath.Join(s.graph, "overlay", "staging")))
			}
			require.Equal(t, lose, one.finish() != nil)
			if staging.finish != nil {
				require.Equal(t, lose, staging.finish() != nil)
			}
		}
		require.NoError(t, s.remove())
		require.NoDirExists(t, s.base)
	}
}

// What there is not is no reason to panic.
func TestAnUnknownReleaseIsAnError(t *testing.T) {
	w := released(t)
	for _, word := range []string{"v9", "podmann"} {
		_, err := w.Older(t.Context(), Run{Words: []string{word}})
		require.EqualError(t, err, `no release "`+word+`"`)
	}
}

func TestWhatAKilledRunLeftIsFound(t *testing.T) {
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	prefix := filepath.Join(t.TempDir(), "run-")
	left := fmt.Sprint(prefix, ended.Process.Pid)
	for _, path := range []string{left, left + "-1", fmt.Sprint(prefix, os.Getpid()), fmt.Sprint(prefix, os.Getpid(), "-1"), prefix + "other"} {
		require.NoError(t, os.Mkdir(path, 0o700))
	}
	require.Equal(t, []string{left, left + "-1"}, leftByEnded(prefix))
}
