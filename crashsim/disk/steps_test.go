//go:build linux

package disk_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// A step is one call. Descriptors are slots: what the i-th open returned.
type step struct {
	Call        string
	Process     int
	Slot, Slot2 int
	To          int // the slot that an open fills
	Name, Name2 string
}

func (s step) String() string {
	return fmt.Sprintf("%s(process %d, slots %d %d %d, %.20q, %.20q)", s.Call, s.Process, s.Slot, s.Slot2, s.To, s.Name, s.Name2)
}

const slots = 5 // the last is never open

// prelude is how every program begins: both processes have the root, and there
// is something in it.
var prelude = []step{{Call: "OpenRoot", Name: "/t"}, {Call: "OpenRoot", Process: 1, Name: "/t"},
	{Call: "mkdir", Name: "/t/d"}, {Call: "file", Name: "/t/d/f"}, {Call: "mkdir", Name: "/t/temp-dir-a"}}

// fragments are what random calls alone rarely come to. A program begins with
// some of them.
var fragments = [][]step{
	{{Call: "OpenUnnamed", To: 1}, {Call: "TakeLock", Slot: 1}, {Call: "LinkLock", Slot: 1, Name: "lock-a"},
		{Call: "OpenLock", Process: 1, To: 1, Name: "lock-a"}, {Call: "TakeLock", Process: 1, Slot: 1}},
	{{Call: "OpenDirectory", To: 2, Name: "temp-dir-a"}, {Call: "RemoveData", Name: "temp-dir-a"}, {Call: "List", Slot: 2},
		{Call: "CreateLock", Slot: 2, To: 3, Name: "x"}},
	{{Call: "StageDeletion", Name: "/t/d", Name2: "temp-dir-a/0-d"}, {Call: "OpenDirectory", To: 2, Name: "temp-dir-a"},
		{Call: "List", Slot: 2}},
	{{Call: "CreateLock", To: 3, Name: "lock-a"}, {Call: "TakeLock", Slot: 3}, {Call: "RemoveLock", Process: 1, Name: "lock-a"},
		{Call: "CreateLock", Process: 1, To: 3, Name: "lock-a"}, {Call: "TakeLock", Process: 1, Slot: 3}},
	{{Call: "socket", Name: "/t/x"}, {Call: "OpenLock", To: 3, Name: "x"}, {Call: "symlink", Name: "/t/s", Name2: "/t/d"},
		{Call: "OpenLock", To: 3, Name: "s"}, {Call: "OpenDirectory", To: 3, Name: "s"}},
	{{Call: "mkdir", Name: "/t/x"}, {Call: "RemoveDirectory", Name: "x"}, {Call: "StageDeletion", Name: "/t/d", Name2: "d/0-d"}},
}

// common are answers that the fragments bring about, so that even a few
// programs meet them.
var common = []string{"TakeLock ok", "TakeLock EAGAIN", "LinkLock ok", "OpenLock ok", "OpenLock ELOOP", "OpenLock ENXIO",
	"OpenDirectory ok", "RemoveData ok", "List ok", "List ENOENT", "CreateLock ENOENT", "StageDeletion ok",
	"StageDeletion EINVAL", "RemoveDirectory ok", "RemoveLock ok"}

// wanted are answers that must have been met, so that the comparison is not
// one of refusals.
func wanted(privileged bool) (answers []string) {
	for _, call := range slices.Concat(kernelCalls, otherCalls) {
		if privileged || call != "immutable" && call != "mount" {
			answers = append(answers, call+" ok")
		}
	}
	return append(answers, "TakeLock EAGAIN", "TakeLock EBADF", "LinkLock EEXIST", "LinkLock ENOENT", "OpenLock ELOOP",
		"OpenLock EISDIR", "OpenLock ENXIO", "OpenDirectory ENOTDIR", "OpenDirectory EXDEV", "List ENOENT", "List ENOTDIR",
		"RemoveDirectory ENOTEMPTY", "RemoveEntry EISDIR", "StageDeletion EEXIST", "StageDeletion EINVAL",
		"StageDeletion ENOENT", "MakeData EEXIST", "MakeData ENAMETOOLONG", "Hoist EEXIST")
}

var (
	kernelCalls = []string{"OpenUnnamed", "CreateLock", "OpenLock", "TakeLock", "TakeLock", "WriteOwner", "LinkLock",
		"LinkLock", "Stat", "StatName", "RemoveLock", "MakeData", "StageDeletion", "Commit", "SyncData", "RemoveData",
		"OpenDirectory", "OpenDirectory", "List", "RemoveEntry", "RemoveDirectory", "Hoist", "ChangeMode",
		"ClearFlags", "OpenToInspect", "LockHolder", "ReadOwner", "Close"}
	otherCalls = []string{"OpenRoot", "OpenRoot", "mkdir", "mkdir", "file", "symlink", "fifo", "socket", "rename",
		"chmod", "immutable", "mount", "kill"}
	elements = []string{"lock-a", "temp-dir-a", "d", "d", "f", "s", "x"}
	oddities = []string{"", ".", "..", "d/", "f/", "s/", "x/", "d/.", "d/..", "./d", "f/.", strings.Repeat("n", 255),
		strings.Repeat("n", 256), "d/" + strings.Repeat("n", 256), "/t/d", "//t//d//", strings.Repeat("d/", 2100)}
	targets = []string{"d", "f", "s", "x", "temp-dir-a", "/t/d", "/t", "d/s", "./d/", strings.Repeat("d/", 10)}
	modes   = []string{"700", "500", "300", "600", "400", "000"}
)

// usual is the name that the library would use.
var usual = map[string]string{
	"CreateLock": "lock-a", "OpenLock": "lock-a", "LinkLock": "lock-a", "RemoveLock": "lock-a", "OpenToInspect": "lock-a",
	"MakeData": "temp-dir-a", "RemoveData": "temp-dir-a", "OpenDirectory": "temp-dir-a",
}

// drawName is mostly a plain name, sometimes a path, sometimes a bad argument.
func drawName(t *rapid.T, label string) string {
	switch rapid.IntRange(0, 9).Draw(t, label+" sort") {
	case 0:
		return rapid.SampledFrom(oddities).Draw(t, label)
	case 1, 2:
		return rapid.SampledFrom(elements).Draw(t, label) + "/" + rapid.SampledFrom(elements).Draw(t, label+" below")
	}
	return rapid.SampledFrom(elements).Draw(t, label)
}

func drawPath(t *rapid.T, label string) string {
	path := "/t/" + drawName(t, label)
	if rapid.IntRange(0, 2).Draw(t, label+" depth") == 0 {
		path += "/" + drawName(t, label+" below")
	}
	// The disk ends at "/"; the real one does not. One ".." stays inside.
	if strings.Count(path, "..") > 1 {
		return "/t"
	}
	return path
}

func drawStep(t *rapid.T) (s step) {
	calls := kernelCalls
	if rapid.IntRange(0, 4).Draw(t, "sort") < 2 {
		calls = otherCalls
	}
	s = step{
		Call:    rapid.SampledFrom(calls).Draw(t, "call"),
		Process: rapid.IntRange(0, 1).Draw(t, "process"),
		Slot:    max(0, rapid.IntRange(-3, slots-1).Draw(t, "slot")),
	}
	defer func() {
		if name := usual[s.Call]; name != "" && rapid.Bool().Draw(t, "usual") {
			s.Name = name
		}
	}()
	switch s.Call {
	case "OpenUnnamed":
		s.To = rapid.IntRange(1, slots-2).Draw(t, "to")
	case "CreateLock", "OpenLock", "OpenToInspect", "OpenDirectory":
		s.To = rapid.IntRange(1, slots-2).Draw(t, "to")
		s.Name = drawName(t, "name")
	case "OpenRoot", "mkdir", "file", "fifo", "socket", "mount":
		s.Name = drawPath(t, "path")
	case "rename":
		s.Name, s.Name2 = drawPath(t, "path"), drawPath(t, "to")
	case "symlink":
		s.Name, s.Name2 = drawPath(t, "path"), rapid.SampledFrom(targets).Draw(t, "target")
	case "chmod":
		s.Name, s.Name2 = drawPath(t, "path"), rapid.SampledFrom(modes).Draw(t, "mode")
	case "immutable":
		s.Name, s.Name2 = drawPath(t, "path"), rapid.SampledFrom([]string{"set", "clear"}).Draw(t, "flag")
	case "StageDeletion":
		s.Name, s.Name2 = drawPath(t, "victim"), drawName(t, "entry")
	case "Commit":
		s.Name, s.Name2 = drawName(t, "entry"), drawPath(t, "destination")
	case "Hoist":
		s.Slot2 = max(0, rapid.IntRange(-3, slots-1).Draw(t, "data"))
		s.Name, s.Name2 = drawName(t, "name"), drawName(t, "hoisted")
	case "LinkLock":
		s.Slot2 = max(0, rapid.IntRange(-3, slots-1).Draw(t, "root"))
		s.Name = drawName(t, "name")
	default:
		s.Name = drawName(t, "name")
	}
	return s
}
