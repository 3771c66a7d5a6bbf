//go:build linux

package disk_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/tempdir"
)

// programs is how many random programs a test runs: fewer with -short, and as
// many as -rapid.checks says if it is given.
func programs(t *testing.T, usual, short int) {
	t.Helper()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if given {
		return
	}
	n := usual
	if testing.Short() {
		n = short
	}
	f := flag.Lookup("rapid.checks")
	was := f.Value.String()
	require.NoError(t, f.Value.Set(fmt.Sprint(n)))
	t.Cleanup(func() { _ = f.Value.Set(was) })
}

func TestRandomProgramsAnswerLikeTmpfs(t *testing.T) {
	programs(t, 1200, 150)
	base := scratch(t, "/dev/shm")
	for _, privileged := range []bool{false, true} {
		t.Run(map[bool]string{false: "ordinary user", true: "privileged"}[privileged], func(t *testing.T) {
			if privileged && os.Geteuid() != 0 {
				t.Skip("skipped, because this is not root")
			}
			differential(t, base, disk.Options{Privileged: privileged})
		})
	}
}

func TestRandomProgramsAnswerLikeExt4(t *testing.T) {
	programs(t, 100, 10)
	base := scratch(t, t.TempDir())
	var info unix.Statfs_t
	require.NoError(t, unix.Statfs(base, &info))
	if info.Type != unix.EXT4_SUPER_MAGIC {
		t.Skip("skipped, because the temporary directory is not on ext4")
	}
	differential(t, base, disk.Options{Privileged: os.Geteuid() == 0, Ext4: true})
}

// scratch makes a directory that everybody can write to.
func scratch(t *testing.T, parent string) string {
	t.Helper()
	base, err := os.MkdirTemp(parent, "afterlock-differential-")
	if err != nil {
		t.Skipf("skipped, because there is no place for files: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	require.NoError(t, os.Chmod(base, 0o777))
	return base
}

// nobody is who an ordinary user is when the test runs as root.
const nobody = 65534

func differential(t *testing.T, base string, options disk.Options) {
	// The thread has mounts and an identity of its own, and ends with the test.
	runtime.LockOSThread()
	if options.Privileged {
		require.NoError(t, unix.Unshare(unix.CLONE_NEWNS))
		require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	}
	n := 0
	counts := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		n++
		steps := slices.Clone(prelude)
		for i, fragment := range fragments {
			if rapid.IntRange(0, 3).Draw(t, fmt.Sprint("fragment ", i)) == 3 {
				steps = append(steps, fragment...)
			}
		}
		steps = append(steps, rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(t, "program")...)
		p := newPair(t, filepath.Join(base, fmt.Sprint(n)), options)
		defer p.remove()
		for i, s := range steps {
			simulated, real := p.run(s)
			word, _, _ := strings.Cut(real, ";")
			counts[s.Call+" "+word]++
			if simulated != real {
				t.Fatalf("step %d, %v: the disk says %s, the kernel says %s\nprogram:\n%s", i, s, simulated, real, program(steps[:i+1]))
			}
			if quiet[s.Call] || !strings.HasPrefix(real, "ok") && i < len(steps)-1 {
				continue
			}
			if here, there := p.trees(); here != there {
				t.Fatalf("step %d, %v: the disk has\n%s\nthe kernel has\n%s\nprogram:\n%s", i, s, here, there, program(steps[:i+1]))
			}
		}
	})
	must := common
	if n >= 10000 { // fewer need not meet what is rare
		must = wanted(options.Privileged)
	}
	for _, want := range must {
		assert.True(t, n < 100 || counts[want] > 0, "no program met %q", want)
	}
	t.Logf("%d programs; %d sorts of answers", n, len(counts))
}

// quiet are calls that change no name; the trees are not compared after them.
var quiet = map[string]bool{"Stat": true, "StatName": true, "List": true, "TakeLock": true, "SyncData": true,
	"InspectLock": true, "OpenRoot": true, "OpenLock": true, "OpenDirectory": true, "OpenUnnamed": true}

func program(steps []step) string {
	var lines []string
	for i, s := range steps {
		lines = append(lines, fmt.Sprintf("%3d %v", i, s))
	}
	return strings.Join(lines, "\n")
}

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
		"OpenDirectory", "OpenDirectory", "List", "RemoveEntry", "RemoveDirectory", "Hoist", "MakeTraversable",
		"ClearFlags", "InspectLock", "Close"}
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
	"CreateLock": "lock-a", "OpenLock": "lock-a", "LinkLock": "lock-a", "RemoveLock": "lock-a", "InspectLock": "lock-a",
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
	case "CreateLock", "OpenLock", "OpenDirectory":
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

// A place is a descriptor, on the disk or in the kernel.
type place struct {
	simulated   bool
	process, fd int
}

// A pair is the disk and a real directory, with the same program on both.
type pair struct {
	t         *rapid.T
	options   disk.Options
	dir       string
	disk      *disk.Disk
	processes [2]*disk.Process
	simulated [2][slots]int
	real      [2][slots]int
	kernel    tempdir.Kernel
	mounted   string // the path of the one mount
	listed    map[place]bool
}

func newPair(t *rapid.T, dir string, options disk.Options) *pair {
	p := &pair{t: t, options: options, dir: dir, disk: disk.New(options), kernel: tempdir.LinuxKernel(), listed: map[place]bool{}}
	for i := range p.processes {
		p.processes[i] = p.disk.Process()
		for j := range slots {
			p.simulated[i][j], p.real[i][j] = 4000, 4000
		}
	}
	p.become(true)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Mkdir(dir+"/t", 0o700))
	p.become(false)
	must(t, p.processes[0].Mkdir("/t"))
	return p
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// become makes this thread the ordinary user for file systems, or itself again.
func (p *pair) become(user bool) {
	if p.options.Privileged || os.Geteuid() != 0 {
		return
	}
	id := 0
	if user {
		id = nobody
	}
	// Each returns the former id, also when it fails.
	_, _ = unix.SetfsuidRetUid(id)
}

func (p *pair) remove() {
	for i := range p.real {
		p.closeAll(i)
	}
	if p.mounted != "" {
		p.unmount()
	}
	_ = filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		setImmutable(path, false)
		return nil
	})
	if err := os.RemoveAll(p.dir); err != nil {
		p.t.Fatal(err)
	}
}

// unmount takes the mount away, wherever renames have moved it.
func (p *pair) unmount() {
	info, err := os.ReadFile("/proc/thread-self/mountinfo")
	must(p.t, err)
	for line := range strings.Lines(string(info)) {
		if fields := strings.Fields(line); strings.HasPrefix(fields[4], p.dir) {
			must(p.t, unix.Unmount(fields[4], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
		}
	}
}

func (p *pair) closeAll(process int) {
	for i, fd := range p.real[process] {
		if i < slots-1 && fd != 4000 {
			_ = unix.Close(fd)
		}
		p.real[process][i], p.simulated[process][i] = 4000, 4000
	}
}

// path is the real path of a path on the disk.
func (p *pair) path(path string) string {
	if strings.HasPrefix(path, "/") {
		return p.dir + path
	}
	return path
}

// run makes the step on both and returns what both answered.
func (p *pair) run(s step) (simulated, real string) {
	a := p.on(p.processes[s.Process], s, &p.simulated, func(path string) string { return path })
	p.become(true)
	defer p.become(false)
	b := p.on(p.kernel, s, &p.real, p.path)
	return p.canonical(a), p.text(b)
}

// An answer is everything that a call returns, but for descriptors.
type answer struct {
	err        error
	attributes *tempdir.Attributes
	more       string
}

func (p *pair) on(k tempdir.Kernel, s step, fds *[2][slots]int, path func(string) string) (a answer) {
	fd, fd2 := fds[s.Process][s.Slot], fds[s.Process][s.Slot2]
	name, name2 := s.Name, s.Name2
	if strings.HasPrefix(name, "/") {
		name = path(name)
	}
	process, _ := k.(*disk.Process)
	opened := func(got int, err error) {
		a.err = err
		if err == nil {
			to := &fds[s.Process][s.To]
			if *to != 4000 {
				_ = k.Close(*to)
			}
			delete(p.listed, place{process != nil, s.Process, got})
			*to = got
		}
	}
	if !p.options.Privileged && (s.Call == "immutable" || s.Call == "mount") || s.Call == "mount" && (p.mounted != "" || len(name) > 2000) {
		return answer{}
	}
	switch s.Call {
	case "OpenRoot":
		got, _, err := k.OpenRoot(name)
		opened(got, err)
	case "OpenUnnamed":
		opened(k.OpenUnnamed(fd))
	case "CreateLock":
		opened(k.CreateLock(fd, name))
	case "OpenLock":
		opened(k.OpenLock(fd, name))
	case "OpenDirectory":
		opened(k.OpenDirectory(fd, name))
	case "TakeLock":
		a.err = k.TakeLock(fd)
	case "WriteOwner":
		a.err = k.WriteOwner(fd, []byte("owner "+s.Name[:min(len(s.Name), 3)]))
	case "LinkLock":
		a.err = k.LinkLock(fd, fd2, name)
	case "Stat":
		got, err := k.Stat(fd)
		a.attributes, a.err = &got, err
	case "StatName":
		got, err := k.StatName(fd, name)
		a.attributes, a.err = &got, err
	case "RemoveLock":
		a.err = k.RemoveLock(fd, name)
	case "MakeData":
		a.err = k.MakeData(fd, name)
	case "StageDeletion":
		a.err = k.StageDeletion(name, fd, path(name2))
	case "Commit":
		a.err = k.Commit(fd, name, path(name2))
	case "SyncData":
		a.err = k.SyncData(fd)
	case "RemoveData":
		a.err = k.RemoveData(fd, name)
	case "List":
		entries, err := k.List(fd, nil)
		a.err = err
		// What a listing says of names that came or went since it began is for
		// the file system to choose, so only the first batch is compared: all.
		if at := (place{process != nil, s.Process, fd}); p.listed[at] || err != nil {
			entries = nil
		} else {
			p.listed[at] = true
		}
		var words []string
		for _, e := range entries {
			words = append(words, fmt.Sprintf("%.20s %v", e.Name, e.Type))
		}
		sort.Strings(words)
		a.more = strings.Join(words, ", ")
	case "RemoveEntry":
		a.err = k.RemoveEntry(fd, name)
	case "RemoveDirectory":
		a.err = k.RemoveDirectory(fd, name)
	case "Hoist":
		a.err = k.Hoist(fd, name, fd2, path(name2))
	case "MakeTraversable":
		a.err = k.MakeTraversable(fd, name)
	case "ClearFlags":
		a.err = k.ClearFlags(fd, name)
	case "InspectLock":
		got, err := k.InspectLock(fd, name)
		a.attributes, a.err = &got.Attributes, err
		a.more = fmt.Sprintf("held %v by %d: %q", got.Held, got.Holder, got.Record)
	case "Close":
		a.err = k.Close(fd)
		if a.err == nil {
			fds[s.Process][s.Slot] = 4000
		}
	case "kill":
		if process != nil {
			process.Kill()
			process.Restart(0)
		} else {
			p.closeAll(s.Process)
		}
	case "mount":
		if process != nil {
			a.err = process.Mount(name + "/.") // a directory
		} else if a.err = unix.Mount(name+"/.", name+"/.", "", unix.MS_BIND, ""); a.err == nil {
			p.mounted = name
		}
	default:
		if process != nil {
			a.err = otherSimulated(process, s)
		} else {
			a.err = otherReal(s, path)
		}
	}
	return a
}

func mode(text string) (perm fs.FileMode) {
	_, _ = fmt.Sscanf(text, "%o", &perm)
	return perm
}

func otherSimulated(k *disk.Process, s step) error {
	switch s.Call {
	case "mkdir":
		return k.Mkdir(s.Name)
	case "file":
		return k.Make(s.Name, 0, "content")
	case "fifo":
		return k.Make(s.Name, fs.ModeNamedPipe, "")
	case "socket":
		return k.Make(s.Name, fs.ModeSocket, "")
	case "symlink":
		return k.Make(s.Name, fs.ModeSymlink, s.Name2)
	case "rename":
		return k.Rename(s.Name, s.Name2)
	case "chmod":
		return k.Chmod(s.Name, mode(s.Name2))
	}
	return k.SetImmutable(s.Name, s.Name2 == "set")
}

func otherReal(s step, path func(string) string) error {
	name := path(s.Name)
	switch s.Call {
	case "mkdir":
		return unix.Mkdir(name, 0o700)
	case "file":
		err := unix.Mknod(name, unix.S_IFREG|0o600, 0)
		if err == nil {
			err = os.WriteFile(name, []byte("content"), 0)
		}
		return err
	case "fifo":
		return unix.Mknod(name, unix.S_IFIFO|0o600, 0)
	case "socket":
		return unix.Mknod(name, unix.S_IFSOCK|0o600, 0)
	case "symlink":
		return unix.Symlink(path(s.Name2), name)
	case "rename":
		return unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, path(s.Name2), unix.RENAME_NOREPLACE)
	case "chmod":
		return unix.Chmod(name, uint32(mode(s.Name2)))
	}
	return setImmutable(name, s.Name2 == "set")
}

func setImmutable(path string, immutable bool) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	flags &^= unix.STATX_ATTR_IMMUTABLE
	if immutable {
		flags |= unix.STATX_ATTR_IMMUTABLE
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags)
}

// text is an answer in words. Numbers of inodes and devices mean nothing here.
func (p *pair) text(a answer) string {
	words := []string{"ok"}
	if a.err != nil {
		words[0] = a.err.Error()
		if errno, ok := a.err.(unix.Errno); ok {
			words[0] = unix.ErrnoName(errno)
		}
	} else if a.attributes != nil {
		words = append(words, fmt.Sprintf("%v, %d links, mount %v, immutable %v",
			a.attributes.Mode, a.attributes.Links, a.attributes.MountRoot, a.attributes.Immutable))
	}
	if a.err == nil {
		words = append(words, a.more)
	}
	return strings.Join(words, "; ")
}

// canonical is text, for the disk.
func (p *pair) canonical(a answer) string { return p.text(a) }

// trees are both trees, name by name.
func (p *pair) trees() (simulated, real string) {
	var here, there []string
	names := map[int32]string{}
	p.disk.Walk(func(f disk.Found) {
		first, known := names[f.Node]
		if !known {
			names[f.Node], first = f.Path, f.Path
		}
		_ = first
		target := f.Content
		here = append(here, fmt.Sprintf("%s %v %v links %d immutable %v %q", f.Path, f.Kind, f.Perm, f.Links, f.Immutable, target))
	})
	p.realTree("", &there)
	sort.Strings(here)
	sort.Strings(there)
	return strings.Join(here, "\n"), strings.Join(there, "\n")
}

func (p *pair) realTree(below string, lines *[]string) {
	dir := p.dir + below
	entries, err := os.ReadDir(dir)
	if err != nil && os.Geteuid() != 0 {
		// An ordinary user's own directory; its mode is put back.
		info, statErr := os.Lstat(dir)
		must(p.t, statErr)
		must(p.t, os.Chmod(dir, 0o700))
		defer func() { must(p.t, os.Chmod(dir, info.Mode().Perm())) }()
		entries, err = os.ReadDir(dir)
	}
	must(p.t, err)
	for _, e := range entries {
		path := below + "/" + e.Name()
		var s unix.Statx_t
		must(p.t, unix.Statx(unix.AT_FDCWD, p.dir+path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &s))
		kind := e.Type()
		content := ""
		switch kind {
		case 0:
			content = p.content(p.dir + path)
		case fs.ModeSymlink:
			content, err = os.Readlink(p.dir + path)
			must(p.t, err)
			content = strings.TrimPrefix(content, p.dir)
		}
		*lines = append(*lines, fmt.Sprintf("%s %v %v links %d immutable %v %q", path, kind, fs.FileMode(s.Mode&0o777),
			s.Nlink, s.Attributes&unix.STATX_ATTR_IMMUTABLE != 0, content))
		if kind == fs.ModeDir {
			p.realTree(path, lines)
		}
	}
}

// content reads a file, whose own mode may forbid it.
func (p *pair) content(path string) string {
	content, err := os.ReadFile(path)
	if err != nil && os.Geteuid() != 0 {
		info, statErr := os.Lstat(path)
		must(p.t, statErr)
		must(p.t, os.Chmod(path, 0o600))
		content, err = os.ReadFile(path)
		must(p.t, os.Chmod(path, info.Mode().Perm()))
	}
	must(p.t, err)
	return string(content)
}
