//go:build linux

package tempdir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openRoot opens a new root, whose parent has room for victims.
func openRoot(t testing.TB, options ...tempdir.Option) *tempdir.Root {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "root"), options...)
}

// openAt opens a root in which one recovery leaves nothing, orphans included.
func openAt(t testing.TB, path string, options ...tempdir.Option) *tempdir.Root {
	t.Helper()
	root, err := tempdir.Open(path, append([]tempdir.Option{tempdir.Make(0o700), tempdir.OrphanGrace(0)}, options...)...)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

// beside returns a path beside the root, on its file system.
func beside(root *tempdir.Root, name string) string {
	return filepath.Join(filepath.Dir(root.Path()), name)
}

// makeLayer makes a small tree and returns its path.
func makeLayer(t testing.TB, path string) string {
	t.Helper()
	for _, name := range []string{"etc/passwd", "usr/bin/true", "usr/lib/libc.so", "readme"} {
		file := filepath.Join(path, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(name), 0o644))
	}
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(path, "link")))
	return path
}

// deepPath is deeper below path than a removal has descriptors.
func deepPath(path string) string {
	for range 40 {
		path = filepath.Join(path, "d")
	}
	return path
}

// requireLayer wants the tree of makeLayer, whole.
func requireLayer(t testing.TB, path string) {
	t.Helper()
	for _, name := range []string{"etc/passwd", "usr/bin/true", "usr/lib/libc.so", "readme"} {
		content, err := os.ReadFile(filepath.Join(path, name))
		require.NoError(t, err)
		require.Equal(t, name, string(content))
	}
	_, err := os.Readlink(filepath.Join(path, "link"))
	require.NoError(t, err)
}

// rootNames lists the root.
func rootNames(t testing.TB, root *tempdir.Root) []string {
	t.Helper()
	entries, err := os.ReadDir(root.Path())
	require.NoError(t, err)
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// makeStale leaves what a crashed process leaves: both names, no lock.
func makeStale(t testing.TB, root *tempdir.Root) string {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "lock-"+someID), nil, 0o600))
	return makeOrphan(t, root)
}

// makeOrphan leaves data without a lock file.
func makeOrphan(t testing.TB, root *tempdir.Root) string {
	t.Helper()
	data := filepath.Join(root.Path(), "temp-dir-"+someID)
	require.NoError(t, os.Mkdir(data, 0o700))
	return data
}

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
	noted   map[string]bool // by an answer
}

func newScene(t testing.TB, options ...tempdir.Option) *scene {
	t.Helper()
	return newSceneAt(t, t.TempDir(), options...)
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
	r := report.Results[i]
	require.True(t, !r.Adopted || r.Outcome == tempdir.Recovered || errors.Is(r.Err, tempdir.ErrLeftover), "adopted, and %s: %v", r.Outcome, r.Err)
	return r
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

// A tap is a Kernel that records every call of the protocol and lets a test act
// before single ones: another process's steps, or a fault.
type tap struct {
	kernel.Kernel

	mu    sync.Mutex
	calls []string
	open  map[int]bool // descriptors handed out and not closed
	most  int          // the most that were open at a time
	// before is called before each call with the method's name; a result other
	// than nil is returned in place of the call.
	before func(method, name string) error
}

func newTap() *tap {
	k := &tap{open: map[int]bool{}}
	k.Kernel = kernel.Around(kernel.Linux(), k)
	return k
}

// Before records the call.
func (k *tap) Before(c *kernel.Call) error {
	if c.Method == kernel.OpenRoot {
		return nil
	}
	name := c.Name
	if c.Method == kernel.Commit {
		name = c.To
	}
	k.mu.Lock()
	k.calls = append(k.calls, c.Method.String())
	before := k.before
	k.mu.Unlock()
	if before != nil {
		if err := before(c.Method.String(), name); err != nil {
			return err
		}
	}
	var now unix.Stat_t
	switch c.Method {
	case kernel.Close:
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.open, c.Fd)
	case kernel.ChangeMode: // whatever has to be mended, others are let in nowhere
		if unix.Fstatat(c.Dir, c.Name, &now, unix.AT_SYMLINK_NOFOLLOW) == nil && uint32(c.Mode)&0o077&^now.Mode != 0 {
			panic(fmt.Sprintf("%s had the mode %o, and gets %o", c.Name, now.Mode&0o777, c.Mode))
		}
	}
	return nil
}

// After counts descriptors.
func (k *tap) After(c *kernel.Call) {
	if c.Method == kernel.OpenRoot || c.Result < 0 || c.Err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open[c.Result] = true
	k.most = max(k.most, len(k.open))
}

// take returns what was recorded since the last take, on one line.
func (k *tap) take() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	calls := strings.Join(k.calls, " ")
	k.calls = nil
	return calls
}

// set changes what happens before calls.
func (k *tap) set(before func(method, name string) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before = before
}

// withoutUnnamed makes a tap act like a file system without O_TMPFILE.
var withoutUnnamed = refuse("OpenUnnamed", unix.EOPNOTSUPP)

// An after is a hook that changes what calls have answered.
type after func(*kernel.Call)

func (after) Before(*kernel.Call) error { return nil }
func (f after) After(c *kernel.Call)    { f(c) }

// patient is the running kernel with a hook that refuses calls. One that is made again
// for ever fails the test, which would only hang.
func patient(t testing.TB, hook kernel.Hook) kernel.Kernel {
	return kernel.Around(kernel.Around(kernel.Linux(), hook), &patience{t: t, refused: map[string]int{}})
}

// A patience counts refusals of one call with one errno, of which a removal meets as many as
// it lists a directory anew.
type patience struct {
	t       testing.TB
	mu      sync.Mutex
	refused map[string]int
}

func (p *patience) Before(*kernel.Call) error { return nil }

func (p *patience) After(c *kernel.Call) {
	if c.Err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	what := fmt.Sprintf("%s %d %d/%s %s: %v", c.Method, c.Fd, c.Dir, c.Name, c.To, c.Err)
	if p.refused[what]++; p.refused[what] > 10*tempdir.Limits["scans"] {
		require.FailNow(p.t, "the same call for ever", what)
	}
}

// refuse lets every call of the method fail.
func refuse(refused string, errno unix.Errno) func(method, name string) error {
	return func(method, _ string) error {
		if method == refused {
			return errno
		}
		return nil
	}
}
