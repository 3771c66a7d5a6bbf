//go:build linux

package disk_test

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/kernel"
)

// A step is one call. Descriptors are slots: what the i-th open returned.
type step struct {
	Call        string
	Process     int
	Slot, Slot2 int // directories, or files; none: the name is a path
	To          int // the slot that an open fills
	Name, Name2 string
}

const (
	slots  = 5 // the last is never open
	none   = -1
	closed = 4000
)

// An argument is what a step stands for on the disk, or in the kernel.
type argument struct {
	fd, fd2     int
	name, name2 string // in the directories fd and fd2
	path, path2 string // from anywhere
}

// A call returns a descriptor, or something else that can be compared.
type call func(k kernel.Kernel, a argument) (fd int, more string, err error)

func opens(open func(k kernel.Kernel, a argument) (int, error)) call {
	return func(k kernel.Kernel, a argument) (int, string, error) {
		fd, err := open(k, a)
		return fd, "", err
	}
}

func does(do func(k kernel.Kernel, a argument) error) call {
	return func(k kernel.Kernel, a argument) (int, string, error) { return none, "", do(k, a) }
}

func says[T any](say func(k kernel.Kernel, a argument) (T, error)) call {
	return func(k kernel.Kernel, a argument) (int, string, error) {
		said, err := say(k, a)
		return none, fmt.Sprint(said), err
	}
}

// attributes without what means nothing here, or is not kept.
func attributes(a kernel.Attributes, err error) (string, error) {
	return fmt.Sprintf("%v, %d links", a.Mode, a.Links), err
}

// kinds are the calls that the disk has, but for OpenParent, which is OpenRoot where
// nothing is asked of the descriptor.
var kinds = map[string]call{
	"OpenRoot": opens(func(k kernel.Kernel, a argument) (int, error) {
		fd, _, err := k.OpenRoot(a.path)
		return fd, err
	}),
	"OpenUnnamed":     opens(func(k kernel.Kernel, a argument) (int, error) { return k.OpenUnnamed(a.fd) }),
	"CreateLock":      opens(func(k kernel.Kernel, a argument) (int, error) { return k.CreateLock(a.fd, a.name) }),
	"OpenLock":        opens(func(k kernel.Kernel, a argument) (int, error) { return k.OpenLock(a.fd, a.name) }),
	"OpenDirectory":   opens(func(k kernel.Kernel, a argument) (int, error) { return k.OpenDirectory(a.fd, a.name) }),
	"OpenToInspect":   opens(func(k kernel.Kernel, a argument) (int, error) { return k.OpenToInspect(a.fd, a.name) }),
	"TakeLock":        does(func(k kernel.Kernel, a argument) error { return k.TakeLock(a.fd) }),
	"WriteOwner":      does(func(k kernel.Kernel, a argument) error { return k.WriteOwner(a.fd, []byte("owner "+a.name)) }),
	"LinkLock":        does(func(k kernel.Kernel, a argument) error { return k.LinkLock(a.fd2, a.fd, a.name) }),
	"RemoveLock":      does(func(k kernel.Kernel, a argument) error { return k.RemoveLock(a.fd, a.name) }),
	"MakeData":        does(func(k kernel.Kernel, a argument) error { return k.MakeData(a.fd, a.name) }),
	"RemoveData":      does(func(k kernel.Kernel, a argument) error { return k.RemoveData(a.fd, a.name) }),
	"RemoveEntry":     does(func(k kernel.Kernel, a argument) error { return k.RemoveEntry(a.fd, a.name) }),
	"RemoveDirectory": does(func(k kernel.Kernel, a argument) error { return k.RemoveDirectory(a.fd, a.name) }),
	"StageDeletion":   does(func(k kernel.Kernel, a argument) error { return k.StageDeletion(a.path, a.fd2, a.name2) }),
	"Commit":          does(func(k kernel.Kernel, a argument) error { return k.Commit(a.fd, a.name, a.path2) }),
	"Hoist":           does(func(k kernel.Kernel, a argument) error { return k.Hoist(a.fd, a.name, a.fd2, a.name2) }),
	"SyncData":        does(func(k kernel.Kernel, a argument) error { return k.SyncData(a.fd) }),
	"SyncAll":         does(func(k kernel.Kernel, a argument) error { return k.SyncAll(a.fd) }),
	"Owns":            does(func(k kernel.Kernel, a argument) error { return k.Owns(a.fd, a.name) }),
	"Close":           does(func(k kernel.Kernel, a argument) error { return k.Close(a.fd) }),
	"Stat":            says(func(k kernel.Kernel, a argument) (string, error) { return attributes(k.Stat(a.fd)) }),
	"StatName":        says(func(k kernel.Kernel, a argument) (string, error) { return attributes(k.StatName(a.fd, a.name)) }),
	"LockHolder":      says(func(k kernel.Kernel, a argument) (kernel.Holder, error) { return k.LockHolder(a.fd) }),
	"ReadOwner":       says(func(k kernel.Kernel, a argument) ([]byte, error) { return k.ReadOwner(a.fd) }),
	"List": says(func(k kernel.Kernel, a argument) ([]string, error) {
		entries, err := k.List(a.fd, nil)
		var words []string
		for _, e := range entries {
			words = append(words, fmt.Sprint(e.Name, " ", e.Type))
		}
		sort.Strings(words)
		return words, err
	}),
	"kill": nil,
}

// prelude is how every program begins: both processes have the root, and there
// is something in it.
var prelude = []step{{Call: "OpenRoot", Name: "."}, {Call: "OpenRoot", Process: 1, Name: "."},
	{Call: "MakeData", Name: "d"}, {Call: "CreateLock", Name: "d/f", To: 1}, {Call: "MakeData", Name: "temp-dir-a"}}

// fragments are what random calls alone rarely come to. A program begins with
// some of them.
var fragments = [][]step{
	{{Call: "OpenUnnamed", To: 1}, {Call: "TakeLock", Slot: 1}, {Call: "LinkLock", Slot2: 1, Name: "lock-a"},
		{Call: "OpenLock", Process: 1, To: 1, Name: "lock-a"}, {Call: "TakeLock", Process: 1, Slot: 1}},
	{{Call: "OpenDirectory", To: 2, Name: "temp-dir-a"}, {Call: "RemoveData", Name: "temp-dir-a"}, {Call: "List", Slot: 2},
		{Call: "CreateLock", Slot: 2, To: 3, Name: "x"}},
	{{Call: "StageDeletion", Name: "d", Name2: "temp-dir-a/0-d"}, {Call: "OpenDirectory", To: 2, Name: "temp-dir-a"},
		{Call: "List", Slot: 2}},
	{{Call: "CreateLock", To: 3, Name: "lock-a"}, {Call: "TakeLock", Slot: 3}, {Call: "RemoveLock", Process: 1, Name: "lock-a"},
		{Call: "CreateLock", Process: 1, To: 3, Name: "lock-a"}, {Call: "TakeLock", Process: 1, Slot: 3}},
	{{Call: "MakeData", Slot: none, Name: "x"}, {Call: "RemoveDirectory", Name: "x"}, {Call: "StageDeletion", Name: "d", Name2: "d/0-d"}},
}

// wanted are answers that must have been met, so that the comparison is not one of
// refusals: the former by any programs, the latter by many.
var wanted = [2][]string{
	{"TakeLock ok", "TakeLock EAGAIN", "LinkLock ok", "OpenLock ok", "OpenDirectory ok", "RemoveData ok", "List ok", "List ENOENT",
		"CreateLock ENOENT", "StageDeletion ok", "StageDeletion EINVAL", "RemoveDirectory ok", "RemoveLock ok"},
	{"TakeLock EBADF", "LinkLock EEXIST", "LinkLock ENOENT", "OpenLock EISDIR", "OpenDirectory ENOTDIR", "List ENOTDIR", "RemoveDirectory ENOTEMPTY",
		"RemoveEntry EISDIR", "StageDeletion EEXIST", "StageDeletion ENOENT", "MakeData EEXIST", "Hoist EEXIST", "Hoist ok", "Commit ok", "kill ok"},
}

// A side is the disk or a real directory, with two processes.
type side struct {
	dir       string // "" of the disk
	processes [2]kernel.Kernel
	fds       [2][slots]int
	listed    [2][slots]bool
}

func (s *side) path(path string) string { return s.dir + "/t/" + path }

// run makes the step, and says in words what it returned.
func (s *side) run(step step) string {
	k, fds := s.processes[step.Process], &s.fds[step.Process]
	a := argument{name: step.Name, name2: step.Name2, path: s.path(step.Name), path2: s.path(step.Name2)}
	a.fd2 = fds[step.Slot2]
	if a.fd = unix.AT_FDCWD; step.Slot == none {
		a.name = a.path
	} else {
		a.fd = fds[step.Slot]
	}
	if step.Call == "kill" {
		for _, fd := range fds {
			_ = k.Close(fd)
		}
		*fds = [slots]int{closed, closed, closed, closed, closed}
		return "ok"
	}
	fd, more, err := kinds[step.Call](k, a)
	switch {
	case err != nil:
		return unix.ErrnoName(err.(unix.Errno))
	case fd != none:
		_ = k.Close(fds[step.To])
		fds[step.To], s.listed[step.Process][step.To] = fd, false
	case step.Call == "Close":
		fds[step.Slot] = closed
	case step.Call == "List":
		// What a listing says of names that came or went since it began is for
		// the file system to choose, so only the first batch is compared: all.
		if listed := &s.listed[step.Process][step.Slot]; *listed {
			more = ""
		} else {
			*listed = true
		}
	}
	return "ok; " + more
}

// here and there are both trees, name by name.
func here(d *disk.Disk) string {
	var lines []string
	d.Walk(func(f disk.Found) {
		lines = append(lines, fmt.Sprintf("%s %v links %d %q", f.Path, f.Kind, f.Links, f.Content))
	})
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func there(t *rapid.T, dir string) string {
	var lines []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		var s unix.Stat_t
		err = unix.Lstat(path, &s)
		var content []byte
		if err == nil && !entry.IsDir() {
			content, err = os.ReadFile(path)
		}
		lines = append(lines, fmt.Sprintf("%s %v links %d %q", strings.TrimPrefix(path, dir), entry.Type(), s.Nlink, content))
		return err
	}))
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func TestRandomProgramsAnswerLikeTmpfs(t *testing.T) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if f := flag.Lookup("rapid.checks"); !given {
		was := f.Value.String()
		require.NoError(t, f.Value.Set(map[bool]string{false: "1000", true: "200"}[testing.Short()]))
		t.Cleanup(func() { _ = f.Value.Set(was) })
	}
	base, err := os.MkdirTemp("/dev/shm", "afterlock-differential-")
	if err != nil {
		t.Skipf("skipped, because there is no tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	programs, counts := 0, map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		programs++
		steps := slices.Clone(prelude)
		for i, fragment := range fragments {
			if rapid.IntRange(0, 3).Draw(t, fmt.Sprint("fragment ", i)) == 3 {
				steps = append(steps, fragment...)
			}
		}
		steps = append(steps, rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(t, "program")...)
		d := disk.New(disk.Options{})
		simulated := &side{processes: [2]kernel.Kernel{d.Process(), d.Process()}}
		real := &side{dir: filepath.Join(base, fmt.Sprint(programs)), processes: [2]kernel.Kernel{kernel.Linux(), kernel.Linux()}}
		for _, s := range []*side{simulated, real} {
			for i := range s.fds {
				s.fds[i] = [slots]int{closed, closed, closed, closed, closed}
			}
		}
		require.NoError(t, os.MkdirAll(real.dir+"/t", 0o700))
		require.NoError(t, d.Process().Mkdir("/t"))
		defer func() {
			real.run(step{Call: "kill"})
			real.run(step{Call: "kill", Process: 1})
			require.NoError(t, os.RemoveAll(real.dir))
		}()
		for i, s := range steps {
			disk, kernel := simulated.run(s), real.run(s)
			require.Equal(t, kernel, disk, "the kernel and the disk, after %v", steps[:i+1])
			word, _, _ := strings.Cut(kernel, ";")
			counts[s.Call+" "+word]++
		}
		require.Equal(t, there(t, real.dir), here(d), "the kernel and the disk, after %v", steps)
	})
	for i, least := range []int{100, 1000} {
		for _, answer := range wanted[i] {
			assert.True(t, programs < least || counts[answer] > 0, "no program met %q", answer)
		}
	}
	t.Logf("%d programs; %d sorts of answers", programs, len(counts))
}

// usual is the name that the library would use.
var usual = map[string]string{
	"CreateLock": "lock-a", "OpenLock": "lock-a", "LinkLock": "lock-a", "RemoveLock": "lock-a", "OpenToInspect": "lock-a",
	"MakeData": "temp-dir-a", "RemoveData": "temp-dir-a", "OpenDirectory": "temp-dir-a",
}

// anywhere are calls whose directory may also be the working directory, for a path.
var anywhere = []string{"CreateLock", "MakeData", "RemoveEntry", "RemoveDirectory", "StatName"}

func drawName(t *rapid.T, label string) string {
	elements := rapid.SampledFrom([]string{"lock-a", "temp-dir-a", "d", "d", "f", "x"})
	name := elements.Draw(t, label)
	if rapid.IntRange(0, 2).Draw(t, label+" depth") == 0 {
		name += "/" + elements.Draw(t, label+" below")
	}
	return name
}

func drawStep(t *rapid.T) step {
	calls := slices.Sorted(maps.Keys(kinds))
	slot := rapid.IntRange(-3, slots-1) // mostly the root
	s := step{
		Call: rapid.SampledFrom(calls).Draw(t, "call"), Process: rapid.IntRange(0, 1).Draw(t, "process"), To: rapid.IntRange(1, slots-2).Draw(t, "to"),
		Slot: max(0, slot.Draw(t, "slot")), Slot2: max(0, slot.Draw(t, "slot 2")), Name: drawName(t, "name"), Name2: drawName(t, "name 2"),
	}
	if slices.Contains(anywhere, s.Call) && rapid.Bool().Draw(t, "from anywhere") {
		s.Slot = none
	}
	if name := usual[s.Call]; name != "" && rapid.Bool().Draw(t, "usual") {
		s.Name = name
	}
	return s
}
