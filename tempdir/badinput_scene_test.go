//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
)

// idOf makes a readable id: hexadecimal digits, filled up with zeros.
func idOf(digits string) string { return digits + strings.Repeat("0", 32-len(digits)) }

// Ids of what a test lays out by hand.
var (
	staleID = idOf("57a1e")
	badID   = idOf("bad")
)

// A scene is a root with two healthy neighbours, a live instance and a stale
// one, that no bad input beside them may harm. "outside" and "victim" lie
// beside the root, on its file system.
type scene struct {
	root    *tempdir.Root
	live    *tempdir.Dir
	outside string
	victim  string
}

func newScene(t testing.TB, options ...tempdir.Option) *scene {
	t.Helper()
	if testing.Short() {
		return newSceneAt(t, inMemory(t), options...)
	}
	return newSceneAt(t, t.TempDir(), options...)
}

// inMemory returns a new directory in memory, if there is such a place.
func inMemory(t testing.TB) string {
	t.Helper()
	memory, err := os.MkdirTemp("/dev/shm", "afterlock")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(memory) })
	return memory
}

// newSceneAt makes the scene in the directory base.
func newSceneAt(t testing.TB, base string, options ...tempdir.Option) *scene {
	t.Helper()
	s := &scene{root: openAt(t, filepath.Join(base, "root"), options...)}
	s.outside = makeLayer(t, beside(s.root, "outside"))
	s.victim = makeLayer(t, beside(s.root, "victim"))
	var err error
	s.live, err = s.root.Create()
	require.NoError(t, err)
	require.NoError(t, s.live.StageDeletion(makeLayer(t, beside(s.root, "neighbour"))))
	s.leave(t, staleID)
	return s
}

func (s *scene) lock(id string) string { return filepath.Join(s.root.Path(), "lock-"+id) }
func (s *scene) data(id string) string { return filepath.Join(s.root.Path(), "temp-dir-"+id) }

// leave lays out what a crashed process leaves: a stale instance.
func (s *scene) leave(t testing.TB, id string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.lock(id), nil, 0o600))
	s.leaveOrphan(t, id)
}

// leaveOrphan lays out data without a lock file.
func (s *scene) leaveOrphan(t testing.TB, id string) {
	t.Helper()
	makeLayer(t, filepath.Join(s.data(id), "0-layer"))
}

// unharmed wants victim and outside where and as they were, the live neighbour
// live and whole, and the stale neighbour recovered, by one Recover whose
// report and error it returns.
func (s *scene) unharmed(t testing.TB) (tempdir.Report, error) {
	t.Helper()
	requireLayer(t, s.victim)
	report, err := s.neighboursUnharmed(t)
	requireLayer(t, s.victim)
	return report, err
}

// neighboursUnharmed is unharmed without a word about the victim.
func (s *scene) neighboursUnharmed(t testing.TB) (tempdir.Report, error) {
	t.Helper()
	report, err := s.root.Recover(background)
	require.Equal(t, tempdir.Skipped, outcomeOf(t, report, s.live.ID()).Outcome, "of the live neighbour")
	require.Equal(t, tempdir.Recovered, outcomeOf(t, report, staleID).Outcome, "of the stale neighbour: %v", err)
	require.NoFileExists(t, s.lock(staleID))
	require.NoDirExists(t, s.data(staleID))
	requireLayer(t, s.outside)
	s.liveUnharmed(t)
	return report, err
}

// liveUnharmed wants the live neighbour live and whole.
func (s *scene) liveUnharmed(t testing.TB) {
	t.Helper()
	requireLayer(t, filepath.Join(s.data(s.live.ID()), "0-neighbour"))
	require.Equal(t, tempdir.Live, instanceOf(t, s.root, s.live.ID()).State)
}

// end closes the live neighbour and wants nothing in the root but names.
func (s *scene) end(t testing.TB, names ...string) {
	t.Helper()
	s.liveUnharmed(t)
	require.NoError(t, s.live.Close(background))
	require.ElementsMatch(t, names, rootNames(t, s.root))
}

// outcomeOf finds an id's result in a report.
func outcomeOf(t testing.TB, report tempdir.Report, id string) tempdir.Result {
	t.Helper()
	i := slices.IndexFunc(report.Results, func(r tempdir.Result) bool { return r.ID == id })
	require.GreaterOrEqual(t, i, 0, "no result for %s", id)
	return report.Results[i]
}

// instanceOf finds a name in the list of instances.
func instanceOf(t testing.TB, root *tempdir.Root, name string) tempdir.Instance {
	t.Helper()
	instances, err := root.Instances(background)
	require.NoError(t, err)
	i := slices.IndexFunc(instances, func(i tempdir.Instance) bool { return i.Name == name })
	require.GreaterOrEqual(t, i, 0, "%s is not listed", name)
	return instances[i]
}

// requireRefusal wants an error that names the operation, the path and every
// reason, in its text and to errors.Is.
func requireRefusal(t testing.TB, err error, op, path string, reasons ...error) {
	t.Helper()
	require.Error(t, err)
	var failure *tempdir.Error
	require.ErrorAs(t, err, &failure)
	require.Contains(t, err.Error(), op+" ")
	require.Contains(t, err.Error(), strings.Trim(strconv.Quote(path), `"`))
	for _, reason := range reasons {
		require.ErrorIs(t, err, reason)
		if reason != tempdir.ErrForeign { // there is more than one reason for that
			require.Contains(t, err.Error(), reason.Error())
		}
	}
}

const nobody = 65534

// asNobody gives the calling test a process of an ordinary user, if this one is root.
func asNobody(t *testing.T) bool {
	t.Helper()
	return os.Geteuid() != 0 || testfs.Lack{User: nobody}.Alone(t)
}

// mounting gives the calling test the right to mount: an ordinary user has it in a
// namespace of its own.
func mounting(t *testing.T) bool {
	t.Helper()
	return os.Geteuid() == 0 || testfs.OwnMounts(t)
}

// needsRoot skips the test for ordinary users.
func needsRoot(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("skipped, because %s needs root", what)
	}
}

// fdOf is the number of an open file, as /proc/self/fd has it.
func fdOf(f *os.File) string { return strconv.Itoa(int(f.Fd())) }
