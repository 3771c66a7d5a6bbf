//go:build linux

package tempdir_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A denying kernel fails calls, all of a method or the first. It takes renames
// for unordered, so that what makes them durable is called too.
type denying struct {
	kernel.Kernel
	mu     sync.Mutex
	errnos map[string]unix.Errno // by method; nil: nothing fails
	once   bool
	skip   int // so many calls are made before the first that fails
	hits   map[string]int
	open   map[int]bool
}

func newDenying(t testing.TB, errnos map[string]unix.Errno) *denying {
	k := &denying{errnos: errnos, hits: map[string]int{}, open: map[int]bool{}}
	k.Kernel = patient(t, k)
	return k
}

func (k *denying) Before(c *kernel.Call) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	method := c.Method.String()
	if c.Method == kernel.Close {
		delete(k.open, c.Fd)
	}
	errno, denied := k.errnos[method]
	ofRoot := c.Method == kernel.OpenDirectory && c.Name == "." || c.Method == kernel.List && len(k.open) <= 2
	if !denied || k.once && k.hits[method] > 0 || ofRoot {
		return nil
	}
	if k.skip > 0 {
		k.skip--
		return nil
	}
	k.hits[method]++
	return errno
}

func (k *denying) After(c *kernel.Call) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.Ordered = false
	if k.errnos["Owns"] != 0 { // of what is another user's
		c.Attributes.UID++
	}
	if c.Result >= 0 && c.Err == nil {
		k.open[c.Result] = true
	}
}

// A world is one root with a victim beside it, a staged layer, and a stale instance.
type world struct {
	base, victim string
	root         *tempdir.Root
	dir          *tempdir.Dir
	addition     *tempdir.Addition
	names        []string
}

func newWorld(t *testing.T, base string, k *denying, options ...tempdir.Option) *world {
	base, err := os.MkdirTemp(base, "world")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	w := &world{base: base, victim: filepath.Join(base, "victim")}
	makeLayer(t, w.victim)
	w.root = openAt(t, filepath.Join(base, "root"), append([]tempdir.Option{kernel.With[tempdir.Option](k)}, options...)...)
	w.dir, err = w.root.Create()
	require.NoError(t, err)
	w.addition, err = w.dir.StageAddition()
	require.NoError(t, err)
	makeLayer(t, w.addition.Path())
	require.NoError(t, os.WriteFile(filepath.Join(w.root.Path(), "lock-"+staleID), nil, 0o600))
	makeLayer(t, filepath.Join(w.root.Path(), "temp-dir-"+staleID, "0-layer"))
	w.names = rootNames(t, w.root)
	return w
}

// stageDeep stages what is deeper than a removal has descriptors.
func (w *world) stageDeep(t *testing.T) {
	deep := filepath.Join(w.base, "deep")
	require.NoError(t, os.MkdirAll(deepPath(deep), 0o700))
	require.NoError(t, w.dir.StageDeletion(deep))
}

// Operations of a world, by name. Each has what is gone if it returns nil.
var worldOperations = map[string]func(w *world) (gone string, err error){
	"create": func(w *world) (string, error) {
		dir, err := w.root.Create()
		if err == nil {
			err = dir.Release()
		}
		return "", err
	},
	"stage": func(w *world) (string, error) { return w.victim, w.dir.StageDeletion(w.victim) },
	"commit": func(w *world) (string, error) {
		return w.addition.Path(), w.addition.Commit(filepath.Join(w.base, "new"))
	},
	"close": func(w *world) (string, error) { return filepath.Dir(w.addition.Path()), w.dir.Close(background) },
	"recover": func(w *world) (string, error) {
		report, err := w.root.Recover(background)
		if err == nil && report.Count(tempdir.Recovered) == 0 {
			return "", nil
		}
		return filepath.Join(w.root.Path(), "temp-dir-"+staleID), err
	},
}

// operationOf says which operation makes the call.
func operationOf(call string) string {
	switch call {
	case "OpenUnnamed", "LinkLock", "CreateLock", "TakeLock", "WriteOwner", "MakeData":
		return "create"
	case "StageDeletion":
		return "stage"
	case "Commit", "CommitPlainly", "LinkEntry":
		return "commit"
	case "OpenLock", "RemoveLock", "StatName", "Stat":
		return "recover"
	}
	return "close"
}

// Every row of the table: the operation fails with the errno and the kind, or
// goes on, as the row says; and leaves behind what it found.
func TestErrnoTable(t *testing.T) {
	base := testfs.InMemory(t)
	methods := reflect.TypeFor[kernel.Kernel]()
	tested := 0
	rows := tempdir.ErrnoTable()
	for _, row := range rows {
		if row.Call == "" {
			// A row for every call that has none for this errno.
			for _, call := range []string{"MakeData", "CreateLock", "StageDeletion", "RemoveEntry", "RemoveLock", "OpenDirectory", "List", "SyncData", "Stat"} {
				own := slices.ContainsFunc(rows, func(r tempdir.ErrnoRow) bool { return r.Call == call && r.Errno == row.Errno })
				if !own {
					generic := row
					generic.Call = call
					testErrnoRow(t, base, generic)
				}
			}
			tested++
			continue
		}
		_, known := methods.MethodByName(row.Call)
		require.True(t, known, row.Call)
		testErrnoRow(t, base, row)
		tested++
	}
	t.Logf("%d rows, %d tested, %d untested", len(rows), tested, len(rows)-tested)
	require.Equal(t, len(rows), tested)
}

func testErrnoRow(t *testing.T, base string, row tempdir.ErrnoRow) {
	name := fmt.Sprintf("%s/%s/%s", row.Call, unix.ErrnoName(row.Errno), row.Meaning)
	t.Run(name, func(t *testing.T) {
		k := newDenying(t, nil)
		switch row.Call {
		case "OpenRoot", "OpenParent", "OpenToInspect", "Owns":
			testErrnoElsewhere(t, base, k, row)
			return
		}
		w := newWorld(t, base, k)
		if row.Call == "LinkEntry" {
			require.NoError(t, os.RemoveAll(w.addition.Path()))
			require.NoError(t, os.WriteFile(w.addition.Path(), nil, 0o600))
		}
		op := operationOf(row.Call)
		if op == "close" {
			w.stageDeep(t)
		}
		stays := map[string]bool{"refused": true, "mended": true, "no locks": true, "denied": true}[row.Meaning]
		errnos := map[string]unix.Errno{row.Call: row.Errno}
		switch row.Call { // what leads to the call
		case "CreateLock":
			errnos["OpenUnnamed"] = unix.EOPNOTSUPP
		case "CommitPlainly", "LinkEntry":
			errnos["Commit"] = unix.EINVAL
		}
		if row.Meaning == "no locks" {
			errnos["OpenUnnamed"] = unix.EOPNOTSUPP // else there is nothing to remove again
		}
		k.errnos, k.once = errnos, !stays && row.Call != "CreateLock"
		if row.Call == "CreateLock" && row.Meaning == "taken" {
			k.once = false
		}
		if row.Call == "OpenDirectory" && row.Meaning == "falls back" {
			k.skip = 5 // a level that can give its own descriptor back
		}
		gone, err := worldOperations[op](w)
		k.errnos, k.once = nil, false
		require.Positive(t, k.hits[row.Call], "the call is made")
		switch {
		case op == "recover" && row.Meaning == "gone" && err != nil:
			require.ErrorContains(t, err, "but it exists")
		case op == "close" && row.Meaning == "gone" && slices.Contains([]string{"OpenDirectory", "List", "RemoveData"}, row.Call):
			require.ErrorIs(t, err, tempdir.ErrLeftover, "it is there")
			require.Equal(t, w.names, rootNames(t, w.root))
		case row.Meaning == "taken" && row.Call == "CreateLock":
			require.ErrorContains(t, err, "taken by another process")
		case row.Meaning == "gone" && row.Call == "StatName":
			require.NoError(t, err) // a lock file that is not there is nobody's
		case row.Meaning == "another type" && err != nil:
			require.ErrorIs(t, err, tempdir.ErrLeftover)
		case !stays:
			require.NoError(t, err)
		case errors.Is(err, tempdir.ErrRootGone) && row.Kind == tempdir.ErrRootGone:
		case row.Call == "Hoist": // costs descriptors, not the removal
			require.NoError(t, err)
		case row.Errno == unix.ENOENT: // is looked into, and not believed
			require.Error(t, err)
			require.NotErrorIs(t, err, tempdir.ErrVictimGone)
		default:
			require.ErrorIs(t, err, row.Errno)
			require.ErrorContains(t, err, w.base)
		}
		if err != nil && stays && row.Kind != nil && !row.Looks {
			require.ErrorIs(t, err, row.Kind)
		}
		if err != nil && row.Kind != nil && row.Looks {
			require.NotErrorIs(t, err, row.Kind, "nothing of that kind is there")
		}
		if err == nil && gone != "" {
			require.NoFileExists(t, gone)
		}
		if op == "create" && err != nil {
			require.Equal(t, w.names, rootNames(t, w.root), "what was made is removed again")
		}
		if op != "stage" || err != nil {
			requireLayer(t, w.victim)
		}
		if op == "commit" && err != nil {
			require.NoFileExists(t, filepath.Join(w.base, "new"))
		}
		w.finish(t)
		require.Empty(t, k.open)
	})
}

// finish ends what a world has, without any failure.
func (w *world) finish(t *testing.T) {
	t.Helper()
	_ = w.dir.Close(background)
	_, err := w.root.Recover(background)
	require.NoError(t, err)
	require.Empty(t, rootNames(t, w.root))
	require.NoError(t, w.root.Close())
}

// testErrnoElsewhere is for calls that no operation of a world makes.
func testErrnoElsewhere(t *testing.T, base string, k *denying, row tempdir.ErrnoRow) {
	w := newWorld(t, base, k)
	k.errnos = map[string]unix.Errno{row.Call: row.Errno}
	var err error
	switch row.Call {
	case "OpenRoot":
		_, err = tempdir.Open(w.root.Path(), kernel.With[tempdir.Option](k))
	case "OpenParent":
		err = tempdir.Remove(background, w.victim, kernel.With[tempdir.Option](k))
	case "OpenToInspect":
		instances, listErr := w.root.Instances(background)
		require.NoError(t, listErr)
		if row.Meaning == "gone" {
			require.Empty(t, instances)
			return
		}
		err = instances[0].Err
		require.Equal(t, tempdir.Unknown, instances[0].State)
	case "Owns":
		require.NoError(t, os.Remove(filepath.Join(w.root.Path(), "lock-"+staleID)))
		report, err := w.root.Recover(background)
		require.NoError(t, err)
		require.Equal(t, tempdir.Denied, outcomeOf(t, report, staleID).Outcome)
		require.NoFileExists(t, filepath.Join(w.root.Path(), "lock-"+staleID))
		k.errnos = nil
		w.finish(t)
		return
	}
	k.errnos = nil
	require.ErrorIs(t, err, row.Errno)
	require.ErrorIs(t, err, row.Kind)
	requireLayer(t, w.victim)
	w.finish(t)
}

// documentedKinds are the kinds by their names in the documentation.
var documentedKinds = map[string]error{
	"ErrContainsRoot": tempdir.ErrContainsRoot, "ErrCrossDevice": tempdir.ErrCrossDevice, "ErrForeign": tempdir.ErrForeign,
	"ErrImmutable": tempdir.ErrImmutable, "ErrInstanceGone": tempdir.ErrInstanceGone, "ErrMountPoint": tempdir.ErrMountPoint,
	"ErrNoSpace": tempdir.ErrNoSpace, "ErrReadOnly": tempdir.ErrReadOnly, "ErrRootGone": tempdir.ErrRootGone, "ErrVictimGone": tempdir.ErrVictimGone,
	"errors.ErrUnsupported": errors.ErrUnsupported, "fs.ErrExist": fs.ErrExist,
}

// The documentation has every row, with its kind and whether that is looked for.
func TestErrnoTableIsDocumented(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	for _, row := range tempdir.ErrnoTable() {
		call := row.Call
		if call == "" {
			call = "every call"
		}
		found := false
		for line := range strings.Lines(string(source)) {
			rest, ok := strings.CutPrefix(line, "//\t"+call+" ")
			errnos, meaning, _ := strings.Cut(rest, ": ")
			if !ok || !slices.Contains(strings.Fields(errnos), unix.ErrnoName(row.Errno)) {
				continue
			}
			meaning, kind, _ := strings.Cut(strings.TrimSpace(meaning), ", ")
			kind, _, looks := strings.Cut(kind, " if it is seen")
			kind, itself, _ := strings.Cut(kind, " (or ")
			found = true
			assert.Equal(t, meaning, row.Meaning, line)
			switch {
			case kind == "":
				assert.True(t, row.Kind == nil || call == "OpenRoot", "%s%v", line, row.Kind)
			case itself != "":
				assert.ErrorContains(t, row.Kind, strings.TrimSuffix(itself, ")"))
			default:
				assert.ErrorIs(t, row.Kind, documentedKinds[kind], line)
				assert.Equal(t, looks, row.Looks, line)
			}
		}
		assert.True(t, found, "%s %s %s", call, unix.ErrnoName(row.Errno), row.Meaning)
	}
}

// Rule 14: ENOENT of a call that does not look for the name itself, such as a
// server's to a listing, makes nothing gone; and the lock file goes last.
func TestNotFoundIsNotBelieved(t *testing.T) {
	for _, call := range []string{"OpenDirectory", "List", "RemoveEntry", "RemoveDirectory", "RemoveData", "StageDeletion"} {
		k := newDenying(t, nil)
		w := newWorld(t, t.TempDir(), k)
		file := filepath.Join(w.base, "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		unstaged, err := w.root.Create()
		require.NoError(t, err)
		names := rootNames(t, w.root)
		k.errnos = map[string]unix.Errno{call: unix.ENOENT}
		if call == "StageDeletion" {
			require.NotErrorIs(t, w.dir.StageDeletion(w.victim), fs.ErrNotExist)
			require.NoError(t, unstaged.Close(background))
			k.errnos = nil
			w.finish(t)
			continue
		}
		require.ErrorIs(t, w.dir.Close(background), tempdir.ErrLeftover, call)
		_ = unstaged.Close(background)
		_, err = w.root.Recover(background)
		require.Error(t, err, call)
		for _, path := range []string{w.victim, file} {
			err := tempdir.Remove(background, path, kernel.With[tempdir.Option](k))
			if _, statErr := os.Lstat(path); statErr == nil {
				require.ErrorIs(t, err, tempdir.ErrLeftover, call)
				require.NotErrorIs(t, err, fs.ErrNotExist, call)
			}
		}
		k.errnos = nil
		require.Subset(t, rootNames(t, w.root), w.names, call)
		for _, name := range names { // no data without its lock file
			if id, data := strings.CutPrefix(name, "temp-dir-"); data {
				_, dataErr := os.Lstat(filepath.Join(w.root.Path(), name))
				_, lockErr := os.Lstat(filepath.Join(w.root.Path(), "lock-"+id))
				require.False(t, dataErr == nil && lockErr != nil, "%s: %s", call, name)
			}
		}
		w.finish(t)
		require.Empty(t, k.open)
	}
}

// Rule 14: whatever a helper answers, while the call about the victim keeps being
// refused, nil means gone, and so does "not found".
func TestHelpersDecideNothing(t *testing.T) {
	base := testfs.InMemory(t)
	helpers := []string{"Stat", "StatName", "ChangeMode", "ClearFlags", "SetFlags", "Detach", "OpenParent", "LockHolder", "ShareLock", "OpenToInspect", "ReadOwner", "Hoist"}
	errnos := []unix.Errno{unix.ENOENT}
	if !testing.Short() {
		errnos = append(errnos, unix.ENOTDIR, unix.EACCES, unix.EEXIST, unix.EINVAL, unix.EPERM, unix.EXDEV, unix.EBUSY, unix.ENOTEMPTY)
	}
	refusals := map[string][]unix.Errno{}
	for _, row := range tempdir.ErrnoTable() {
		if row.Meaning == "mended" || row.Meaning == "refused" && row.Looks {
			refusals[row.Call] = append(refusals[row.Call], row.Errno)
		}
	}
	runs := 0
	for call, refused := range refusals {
		if call == "" || call == "OpenUnnamed" || call == "CommitPlainly" || call == "LinkEntry" {
			continue
		}
		for _, refusal := range refused {
			for _, helper := range helpers {
				for _, errno := range errnos {
					k := newDenying(t, nil)
					w := newWorld(t, base, k, tempdir.ClearFlags(), tempdir.DetachMounts(), tempdir.MixedFleet(0, 0))
					if helper == "Hoist" {
						w.stageDeep(t)
					}
					for op, do := range worldOperations {
						if op == "create" || op != operationOf(call) && call != "OpenDirectory" {
							continue
						}
						k.errnos = map[string]unix.Errno{call: refusal, helper: errno}
						gone, err := do(w)
						k.errnos = nil
						if _, statErr := os.Lstat(gone); gone != "" && statErr == nil {
							where := fmt.Sprintf("%s: %s %s, %s %s", op, call, unix.ErrnoName(refusal), helper, unix.ErrnoName(errno))
							require.Error(t, err, where)
							require.False(t, op == "stage" && errors.Is(err, fs.ErrNotExist), where)
						}
					}
					w.finish(t)
					require.NoError(t, os.RemoveAll(w.base))
					runs++
				}
			}
		}
	}
	t.Logf("%d runs", runs)
}
