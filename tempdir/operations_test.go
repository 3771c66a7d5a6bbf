//go:build linux

package tempdir_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An operated is a scene of every kind of object, for one operation on one of them.
type operated struct {
	base     string
	hook     *nth
	option   tempdir.Option
	root     *tempdir.Root
	dir      *tempdir.Dir
	addition *tempdir.Addition
	lock     *tempdir.Lock
	end      func() error // gives up what the operation returned
}

// operations are every exported method and function that makes or may make system
// calls, or hands out anything: what it holds afterwards if it succeeds, and if not.
var operations = map[string]struct {
	do                 func(s *operated) error
	succeeded, refused int // descriptors more than before
	ends               string
}{
	"Open": {do: func(s *operated) error {
		root, err := tempdir.Open(s.base+"/made/root", s.option, tempdir.Make(0o700), tempdir.AllowOthers())
		s.end = closer(err, root.Close)
		return err
	}, succeeded: 1},
	"Remove": {do: func(s *operated) error {
		return tempdir.Remove(background, s.base+"/victim", s.option, tempdir.ClearFlags(), tempdir.DetachMounts())
	}},
	"Root.Create": {do: func(s *operated) error {
		dir, err := s.root.Create()
		s.end = closer(err, func() error { return dir.Close(background) })
		return err
	}, succeeded: 1},
	"Root.CreateLock": {do: func(s *operated) error {
		lock, err := s.root.CreateLock("plain")
		s.end = closer(err, lock.Delete)
		return err
	}, succeeded: 1},
	"Root.TryLock": {do: func(s *operated) error {
		lock, err := s.root.TryLock("lock-" + staleID)
		s.end = closer(err, lock.Delete)
		return err
	}, succeeded: 1},
	"Root.Recover":    {do: func(s *operated) error { _, err := s.root.Recover(background); return err }},
	"Root.Instances":  {do: func(s *operated) error { _, err := s.root.Instances(background); return err }},
	"Root.Usage":      {do: func(s *operated) error { _, err := s.root.Usage(background, s.dir.ID()); return err }},
	"Root.MaybeDirty": {do: func(s *operated) error { _, err := s.root.MaybeDirty(); return err }},
	"Root.Reap": {do: func(s *operated) error { // it is MaybeDirty and Recover
		done, cancel := context.WithCancel(background)
		cancel()
		if err := s.root.Reap(done, 0, nil); err != done.Err() {
			return err
		}
		return nil
	}},
	"Root.Close":        {do: func(s *operated) error { return s.root.Close() }},
	"Root.Path":         {do: func(s *operated) error { s.root.Path(); return nil }},
	"Root.Ordered":      {do: func(s *operated) error { s.root.Ordered(); return nil }},
	"Dir.ID":            {do: func(s *operated) error { s.dir.ID(); return nil }},
	"Dir.StageDeletion": {do: func(s *operated) error { return s.dir.StageDeletion(s.base + "/victim") }},
	"Dir.StageAddition": {do: func(s *operated) error { _, err := s.dir.StageAddition(); return err }},
	"Dir.Sync":          {do: func(s *operated) error { return s.dir.Sync() }},
	"Dir.Close":         {do: func(s *operated) error { return s.dir.Close(background) }, succeeded: -1, refused: -1, ends: "dir"},
	"Dir.Release":       {do: func(s *operated) error { return s.dir.Release() }, succeeded: -1, refused: -1, ends: "dir"},
	"Addition.Path":     {do: func(s *operated) error { s.addition.Path(); return nil }},
	"Addition.Commit":   {do: func(s *operated) error { return s.addition.Commit(s.base + "/destination") }},
	"Lock.Delete":       {do: func(s *operated) error { return s.lock.Delete() }, succeeded: -1, refused: -1, ends: "lock"},

	// Refused without any failure.
	"Root.CreateLock, no name":  {do: func(s *operated) error { _, err := s.root.CreateLock("a/b"); return err }},
	"Root.CreateLock, taken":    {do: func(s *operated) error { _, err := s.root.CreateLock("foreign"); return err }},
	"Root.TryLock, missing":     {do: func(s *operated) error { _, err := s.root.TryLock("missing"); return err }},
	"Root.TryLock, held":        {do: func(s *operated) error { _, err := s.root.TryLock("other"); return err }},
	"Root.TryLock, a directory": {do: func(s *operated) error { _, err := s.root.TryLock("temp-dir-" + staleID); return err }},
	"Root.Usage, no id":         {do: func(s *operated) error { _, err := s.root.Usage(background, "../x"); return err }},
	"Dir.StageDeletion, gone":   {do: func(s *operated) error { return s.dir.StageDeletion(s.base + "/gone") }},
	"Addition.Commit, taken":    {do: func(s *operated) error { return s.addition.Commit(s.base + "/victim") }},
	"Open, a file":              {do: func(s *operated) error { _, err := tempdir.Open(s.base+"/root/foreign", s.option); return err }},
	"Remove, gone":              {do: func(s *operated) error { return tempdir.Remove(background, s.base+"/gone", s.option) }},
}

func closer(err error, end func() error) func() error {
	if err != nil {
		return nil
	}
	return end
}

// Every exported method of Root, Dir, Addition and Lock, and every function that is
// no option, is in the scene.
func TestEveryOperationIsInTheScene(t *testing.T) {
	want := []string{}
	for _, of := range []reflect.Type{reflect.TypeFor[*tempdir.Root](), reflect.TypeFor[*tempdir.Dir](), reflect.TypeFor[*tempdir.Addition](), reflect.TypeFor[*tempdir.Lock]()} {
		for i := range of.NumMethod() {
			want = append(want, of.Elem().Name()+"."+of.Method(i).Name)
		}
	}
	for _, file := range sources(t, ".") {
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is && f.Recv == nil && f.Name.IsExported() && !slices.Contains(want, f.Name.Name) {
				if result, is := f.Type.Results.List[0].Type.(*ast.Ident); !is || result.Name != "Option" {
					want = append(want, f.Name.Name)
				}
			}
		}
	}
	require.ElementsMatch(t, want, slices.DeleteFunc(slices.Collect(maps.Keys(operations)), func(name string) bool { return strings.Contains(name, ",") }))
}

// sources are the files of the package in the directory, without its tests.
func sources(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(dir + "/*.go")
	require.NoError(t, err)
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			files = append(files, must(parser.ParseFile(token.NewFileSet(), name, nil, 0)))
		}
	}
	return files
}

// An nth kernel lets the n-th call since it was armed fail, early, late or for ever. It takes
// renames for unordered if it is not told otherwise, directories called "closed" for closed until their mode was
// changed, and the victim for immutable.
type nth struct {
	n, calls     int // n < 0: not armed
	errno        unix.Errno
	late, mended bool
	ever         bool // and every later call of its method
	named        bool // no O_TMPFILE
	plain        bool // no rename that never replaces
	ordered      bool
	syncs        []string // what was made durable by name
	met          string
}

func (h *nth) fails(c *kernel.Call) bool {
	if h.n >= 0 && h.calls == h.n {
		h.met = c.Method.String()
	}
	return h.n >= 0 && (h.calls == h.n || h.ever && h.met == c.Method.String())
}

func (h *nth) Before(c *kernel.Call) error {
	switch {
	case h.fails(c) && !h.late && c.Method != kernel.Close:
		h.calls++
		return h.errno
	case h.named && c.Method == kernel.OpenUnnamed:
		h.calls++
		return unix.EOPNOTSUPP
	case h.plain && c.Method == kernel.Commit:
		h.calls++
		return unix.EINVAL
	case c.Method == kernel.ChangeMode:
		h.mended = true
	case c.Method == kernel.OpenDirectory && c.Name == "closed" && !h.mended:
		h.calls++
		return unix.EACCES
	case c.Method == kernel.SetFlags:
		c.Flags = 0
	case c.Method == kernel.SyncData:
		path, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", c.Fd))
		h.syncs = append(h.syncs, filepath.Base(path))
	case c.Method == kernel.SyncAll:
		h.syncs = append(h.syncs, "all")
	}
	return nil
}

func (h *nth) After(c *kernel.Call) {
	if h.fails(c) && c.Err == nil {
		if c.Result >= 0 {
			kernel.Linux().Close(c.Result)
		}
		c.Result, c.Err = -1, h.errno
	}
	h.calls++
	c.Ordered = h.ordered
	if c.Method == kernel.StatName && strings.HasSuffix(c.Name, "victim") {
		c.Attributes.Immutable = true
	}
	if c.Method == kernel.ClearFlags && c.Err == nil {
		c.Flags = unix.STATX_ATTR_APPEND
	}
}

// newOperated makes the scene in base.
func newOperated(t *testing.T, base string, h *nth, mixed bool) *operated {
	t.Helper()
	s := &operated{base: base, hook: h, option: kernel.With[tempdir.Option](patient(t, h))}
	options := []tempdir.Option{s.option, tempdir.ClearFlags(), tempdir.DetachMounts()}
	if mixed {
		options = append(options, tempdir.MixedFleet(0, 0))
	}
	s.root = openAt(t, base+"/root", options...)
	s.dir, s.lock = must(s.root.Create()), must(s.root.CreateLock("other"))
	s.addition = must(s.dir.StageAddition())
	require.NoError(t, os.Mkdir(s.addition.Path(), 0o500))
	for _, path := range []string{"staged/closed", "victim/closed", "from", "lost", "root/temp-dir-" + staleID + "/0-x/closed", "root/temp-dir-" + someID + "/0-x"} {
		require.NoError(t, os.MkdirAll(filepath.Join(base, path), 0o700))
	}
	for _, path := range []string{"staged/file", "from/file", "lost/file", "victim/file", "root/lock-" + staleID, "root/foreign"} {
		require.NoError(t, os.WriteFile(filepath.Join(base, path), nil, 0o600))
	}
	for _, victim := range []string{"/staged", "/from/file", "/lost/file"} {
		require.NoError(t, s.dir.StageDeletion(base+victim))
	}
	require.NoError(t, os.Remove(base+"/lost"))
	return s
}

// descriptorsBelow are those of files below base, with or without a name.
func descriptorsBelow(t *testing.T, base string) (paths []string) {
	t.Helper()
	numbers, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, n := range numbers {
		if path, err := os.Readlink("/proc/self/fd/" + n.Name()); err == nil && strings.HasPrefix(path+"/", base+"/") {
			paths = append(paths, path)
		}
	}
	return paths
}

// lockedIn are the files in the directory of which any byte is locked by anybody.
func lockedIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR, 0)
		require.NoError(t, err)
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		require.NoError(t, unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock))
		if lock.Type != unix.F_UNLCK {
			names = append(names, e.Name())
		}
		f.Close()
	}
	return names
}

// requireWhole wants an error that names what failed, and what was to be moved whole at
// one of its two places: where the error says, unless the failure came late.
func (s *operated) requireWhole(t *testing.T, name string, err error, h nth, what string) {
	t.Helper()
	if err != nil && h.errno == unix.EIO && !strings.Contains(name, ",") {
		var reason unix.Errno
		if h.met == "ChangeMode" && !errors.Is(err, tempdir.ErrUnrestored) || name == "Addition.Commit" && os.Geteuid() != 0 && errors.Is(err, unix.EACCES) {
			reason = unix.EACCES // what it could not mend
		}
		requireRefusal(t, err, strings.ToLower(word.FindString(name)), s.base, cmp.Or(reason, h.errno))
	}
	for of, place := range map[string][2]string{
		"Dir.StageDeletion": {s.base + "/victim/file", s.base + "/root/temp-dir-*/*-victim/file"},
		"Addition.Commit":   {s.addition.Path(), s.base + "/destination"},
	} {
		before, _ := filepath.Glob(place[0])
		after, _ := filepath.Glob(place[1])
		if of == name {
			require.Len(t, append(before, after...), 1, what)
			require.True(t, h.late || (err == nil || errors.Is(err, tempdir.ErrUnrestored)) == (len(before) == 0), what)
		}
	}
}

// word is one that an operation's errors begin with.
var word = regexp.MustCompile("[A-Z][a-z]+$")

// Every operation, with each of its calls failing in turn: what it leaves open is what it
// should hold, what it gave up is not locked, and once the failure is over one look
// finishes and nothing is open or locked.
func TestEveryOperationFailsAtEveryCall(t *testing.T) {
	met := failAtEveryCall(t, map[string]nth{"": {}, "mixed": {}})
	// These need a deep tree, a mount, a flag, another user, or a file and a poor file
	// system; a shared lock is what a parked descriptor is swept with.
	for _, method := range append(poor, kernel.Hoist, kernel.ClearFlags, kernel.SetFlags, kernel.Detach, kernel.Owns, kernel.LinkEntry, kernel.ShareLock) {
		met[method.String()] = true
	}
	require.Len(t, met, kernel.Methods, "a method that no operation meets")
}

// The same on file systems without unnamed files, and without RENAME_NOREPLACE.
func TestEveryOperationFailsOnAPoorFileSystem(t *testing.T) {
	met := failAtEveryCall(t, map[string]nth{"named": {named: true}, "plain": {plain: true}})
	for _, method := range poor {
		require.Contains(t, met, method.String())
	}
}

// poor are the methods that only poor file systems need.
var poor = []kernel.Method{kernel.CreateLock, kernel.CommitPlainly}

// A failure may also come after the effect, or from then on.
func TestEveryOperationFailsLateOrForEver(t *testing.T) {
	failAtEveryCall(t, map[string]nth{"late": {late: true}, "ever": {ever: true}})
}

// syncing are the operations that wait for the disk, on a file system that does not order
// renames and on one that does, and for what. The others never do; among them are those
// that a caller makes under its own lock: Create, StageDeletion, StageAddition and Commit.
var syncing = map[bool]map[string][]string{
	false: {"Dir.Sync": {"all", "from", "own"}, "Dir.Close": {"own"}, "Root.Recover": {"other", "stale"}},
	true:  {"Dir.Sync": {"own"}},
}

func TestFsyncsOfEveryOperation(t *testing.T) {
	for ordered, want := range syncing {
		got := map[string][]string{}
		for name, operation := range operations {
			h := nth{n: -1, ordered: ordered}
			s := newOperated(t, testfs.InMemory(t), &h, false)
			id := strings.NewReplacer("temp-dir-", "", s.dir.ID(), "own", staleID, "stale", someID, "other")
			_ = operation.do(s)
			syncs := h.syncs
			_, _ = s.dir.Close(background), s.lock.Delete()
			for _, synced := range syncs {
				got[name] = append(got[name], id.Replace(synced))
			}
			slices.Sort(got[name])
		}
		require.Equal(t, want, got, "ordered: %v", ordered)
	}
}

// forgiven are methods that may fail without a word: a mode that cannot be changed fails what
// needs it, nothing is ever decided by the record of an owner, and a close closes; operations
// that say what they cannot tell in what they return; a look that is made again, since a
// mount may have been dead; and one without which Sync makes everything durable.
var forgiven = []string{"ChangeMode", "Close", "WriteOwner", "Root.Instances", "Root.Usage", "StatName of Remove", "StatName of Dir.StageDeletion"}

func isForgiven(what string) bool { return slices.Contains(forgiven, what) }

// failAtEveryCall returns the methods that were met.
func failAtEveryCall(t *testing.T, modes map[string]nth) (met map[string]bool) {
	t.Helper()
	errnos := []unix.Errno{unix.EIO, unix.EACCES, unix.EPERM, unix.ENOENT}
	memory := testfs.InMemory(t)
	scenes := 0
	met = map[string]bool{}
	for name, operation := range operations {
		for mode, h := range modes {
			for i, errno := range errnos {
				if (mode == "ever" || testing.Short()) && i > 0 {
					break
				}
				if mode == "plain" && !strings.HasPrefix(name, "Addition") {
					break
				}
				for n, more := -1, true; more; n++ {
					base := filepath.Join(memory, fmt.Sprint(scenes))
					require.NoError(t, os.Mkdir(base, 0o700))
					scenes++
					h := h
					h.n, h.errno = -1, errno
					s := newOperated(t, base, &h, mode == "mixed")
					before := len(descriptorsBelow(t, base))
					names := rootNames(t, s.root)
					h.n, h.calls, h.mended = n, 0, false
					err := operation.do(s)
					more = n < 0 || h.met != ""
					h.n = -1
					met[h.met] = true
					h.mended = true
					what := fmt.Sprintf("%s %s, %v at call %d, %s: %v", name, mode, errno, n, h.met, err)
					if n < 0 {
						require.Equal(t, strings.Contains(name, ","), err != nil, what)
					}
					if mode != "mixed" && !h.late && errno == unix.EIO && h.met != "" && !slices.ContainsFunc([]string{h.met, name, h.met + " of " + name}, isForgiven) {
						require.Error(t, err, what)
					}
					require.True(t, tempdir.Unlocked(s.root) && tempdir.Unlocked(s.dir), "a mutex is held: "+what)
					s.requireWhole(t, name, err, h, what)
					if name == "Root.Create" && err != nil && !h.late && !(h.named && slices.Contains([]string{"TakeLock", "Stat", "StatName"}, h.met)) { // whose it is cannot be told
						require.Equal(t, names, rootNames(t, s.root), what)
					}
					holds := operation.refused
					if err == nil {
						holds = operation.succeeded
					}
					open := descriptorsBelow(t, base)
					if mode == "mixed" { // what nobody can say about is parked while the lock lives
						require.GreaterOrEqual(t, len(open), before+holds, what)
					} else {
						require.Len(t, open, before+holds, what)
					}
					locked := []string{"lock-" + s.dir.ID(), "other"}
					switch operation.ends {
					case "dir":
						locked = locked[1:]
					case "lock":
						locked = locked[:1]
					}
					require.Len(t, lockedIn(t, base+"/root"), len(locked)+max(0, holds)-boolInt(name == "Open" && err == nil), what)
					if s.end != nil {
						require.NoError(t, s.end(), what)
					}
					require.Subset(t, append(locked, ""), append(lockedIn(t, base+"/root"), ""), what)
					_ = s.dir.Close(background)
					_ = s.lock.Delete()
					if name == "Root.Close" {
						s.root = openAt(t, base+"/root")
					}
					_, err = s.root.Recover(context.Background())
					require.NoError(t, err, what)
					names = slices.DeleteFunc(rootNames(t, s.root), func(n string) bool { return n == "foreign" || n == "other" || n == "plain" })
					require.Empty(t, names, what)
					require.Empty(t, lockedIn(t, base+"/root"), what)
					require.NoError(t, s.root.Close())
					require.Empty(t, descriptorsBelow(t, base), what)
					require.NoError(t, os.RemoveAll(base))
				}
			}
		}
	}
	delete(met, "")
	return met
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
