package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A hard is a place in which something is hard to remove.
type hard struct {
	name  string
	world string // a file system, see makeWorld; "" is that of the temporary directory
	conditions
	victim string                            // its name; "" is "victim"
	build  func(t *testing.T, victim string) // makes it; nil: a plain tree
	after  func(t *testing.T, s subject)     // once everything belongs to the user
	// spoil makes the place hard right before the removal, and returns how to undo
	// that at the end, or nil.
	spoil  func(t *testing.T, s subject) (undo func())
	in     func(s subject) string             // the working directory
	named  func(s subject) string             // how the command is given the victim; nil: by its path
	is     func(t *testing.T, s subject) bool // whether it is there; nil: by its path
	flags  []string                           // of afterlock rm; the layer store knows --clear-flags
	better bool                               // ours can even if rm -rf cannot
	// noStore says why such a thing is no layer, or there can be no store.
	noStore string
	// differs says why ours may fail where rm -rf does not, a decision, by column.
	differs map[string]string
}

// The columns of the table.
const (
	columnRm    = "rm -rf"
	columnOurs  = "afterlock rm"
	columnStore = "layer store"
)

// An observed is what one program did in one place.
type observed struct {
	gone   bool // exit code 0, and the victim is not there
	text   string
	litter []string // names beside the victim that were not there before
}

func (o observed) String() string {
	switch {
	case o.gone && len(o.litter) > 0:
		return fmt.Sprintf("gone, and left %q", o.litter)
	case o.gone:
		return "gone"
	}
	return "FAILS: " + o.text
}

// Whatever rm -rf can delete, as this user, in this place, the command and the
// layer store can delete too.
func TestParityWithRm(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped, because only root can make these places")
	}
	if testing.Short() {
		t.Skip("skipped with -short, because it makes many file systems")
	}
	places := map[string][]hard{}                 // by world
	temporary, n, ran := testfs.InMemory(t), 0, 0 // a short path, for sockets
	for _, place := range slices.Concat(fullPlaces(), refusingPlaces(), peoplePlaces(), shapePlaces()) {
		places[place.world] = append(places[place.world], place)
		n++
	}
	rows := [][]string{{"PLACE", columnRm, columnOurs, columnStore, "NOTE"}}
	for _, world := range slices.Sorted(maps.Keys(places)) {
		t.Run(cmp.Or(world, "temporary directory"), func(t *testing.T) {
			base := temporary
			if make := makeWorld[world]; make != nil {
				base = make(t)
			} else if world != "" {
				base = testfs.Mount(t, "none", world, "")
			}
			testfs.Reachable(t, base)
			for i, place := range places[world] {
				t.Run(place.name, func(t *testing.T) {
					row := []string{place.name, "-", "-", "-", ""}
					defer func() {
						if t.Skipped() {
							row[4] = "skipped"
						}
						rows = append(rows, row)
					}()
					dir := filepath.Join(base, fmt.Sprintf("place%d", i))
					require.NoError(t, os.Mkdir(dir, 0o755))
					place.compare(t, dir, row)
					ran++
				})
			}
		})
	}
	var table bytes.Buffer
	require.NoError(t, printTable(&table, rows))
	t.Logf("%d places, %d ran\n%s", n, ran, table.String())
	require.GreaterOrEqual(t, ran, 60, "places that could be made")
}

// compare lets every program remove what is in the place, and fills the row in.
func (h hard) compare(t *testing.T, dir string, row []string) {
	columns := []string{columnRm, columnOurs, columnStore}
	if h.noStore != "" {
		columns, row[4] = columns[:2], "no layer: "+h.noStore
	}
	// All are built before the first place is made hard, and spoiled.
	var subjects []subject
	for _, column := range columns {
		subjects = append(subjects, h.prepare(t, dir, column))
	}
	removable := h.better
	for at, s := range subjects {
		o := h.observe(t, s)
		row[1+at] = o.String()
		if at == 0 {
			removable = removable || o.gone
			continue
		}
		if decision := h.differs[s.column]; decision != "" {
			row[4] = "by decision: " + decision
			assert.False(t, o.gone, "%s does not differ any more", s.column)
			continue
		}
		assert.True(t, o.gone || !removable, "%s: %s", s.column, o.text)
		assert.False(t, o.gone && len(o.litter) > 0, "%s left %q", s.column, o.litter)
	}
}

// A subject is what one program has to remove.
type subject struct {
	column       string
	home         string // of the column
	parent, name string // of the victim
}

// prepare builds the place for the column.
func (h hard) prepare(t *testing.T, dir, column string) subject {
	t.Helper()
	s := subject{column: column, home: filepath.Join(dir, strings.ReplaceAll(column, " ", "-")), name: h.victim}
	require.NoError(t, os.Mkdir(s.home, 0o755))
	if s.name == "" {
		s.name = "victim"
	}
	s.parent = s.home
	if column == columnStore {
		s.parent, s.name = s.home+"/st/vfs/dir", "x"
		makeStore(t, s.home+"/st")
	}
	if h.build == nil {
		tree(t, s.victim())
	} else {
		h.build(t, s.victim())
	}
	if user := h.User + h.Map; user != 0 {
		give(t, s.home, user)
	}
	if h.after != nil {
		h.after(t, s)
	}
	return s
}

func (s subject) victim() string { return s.parent + "/" + s.name }

// observe runs the column's program on what was prepared for it.
func (h hard) observe(t *testing.T, s subject) (o observed) {
	t.Helper()
	if h.spoil != nil {
		if undo := h.spoil(t, s); undo != nil {
			t.Cleanup(undo)
		}
	}
	before := namesIn(t, s.parent)
	given := s.victim()
	if h.named != nil {
		given = h.named(s)
	}
	arguments, variable := []string{"/bin/rm", "-rf", "--", given}, ""
	switch s.column {
	case columnOurs:
		arguments, variable = slices.Concat([]string{"self", "rm"}, h.flags, arguments[2:]), proc.Variable+"="+programRole
	case columnStore:
		arguments, variable = append([]string{"self", s.home + "/st"}, h.flags...), proc.Variable+"="+deleteRole
	}
	under := h.conditions
	if h.in != nil {
		under.Dir = h.in(s)
	}
	output, code := under.run(t, arguments, variable)
	o.text = firstLine(strings.ReplaceAll(output, s.home, "…"))
	_, err := os.Lstat(s.victim())
	is := !missing(err)
	if h.is != nil {
		is = h.is(t, s)
	}
	o.gone = code == 0 && !is
	if code == 0 && is {
		o.text = "exit code 0, and it is there"
	}
	for _, left := range namesIn(t, s.parent) {
		if left != s.name && !slices.Contains(before, left) {
			o.litter = append(o.litter, left)
		}
	}
	if s.column == columnStore {
		for _, left := range namesIn(t, s.home+"/st/tempdirs") {
			o.litter = append(o.litter, "tempdirs/"+left)
		}
	}
	return o
}

// run runs the program under the conditions.
func (c conditions) run(t *testing.T, arguments []string, variable string) (output string, code int) {
	t.Helper()
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("/proc/self/exe", arguments...)
	cmd.Env = append(os.Environ(), underVariable+"="+string(encoded), selfVariable+"="+self)
	if variable != "" {
		cmd.Env = append(cmd.Env, variable)
	}
	if c.Proc || c.Chroot {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	if c.NewPIDs {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	}
	if c.Map != 0 {
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: c.Map, Size: 65536}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{NoSetGroups: true}}
	}
	out, err := cmd.CombinedOutput()
	if c.Chroot {
		roots, _ := filepath.Glob(os.TempDir() + "/root[0-9]*")
		for _, root := range roots {
			os.Remove(root) // empty: its mount was in a namespace that is gone
		}
	}
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Skipf("skipped, because the program cannot be started so: %v", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	const most = 70
	if len(line) > most {
		line = line[:most/2] + " … " + line[len(line)-most/2:]
	}
	return line
}

// makeStore makes a layer store with the layer x, whose files are removed again.
func makeStore(t *testing.T, path string) {
	t.Helper()
	store, err := layerstore.Open(path, layerstore.Make(0o755))
	require.NoError(t, err)
	_, err = store.Create(context.Background(), layerstore.Layer{ID: "x"}, layerstore.Empty())
	require.NoError(t, err)
	require.NoError(t, store.Close())
	require.NoError(t, os.RemoveAll(path+"/vfs/dir/x"))
}

// give makes everything from dir on down the user's.
func give(t *testing.T, dir string, user int) {
	t.Helper()
	output, err := exec.Command("chown", "-hR", fmt.Sprintf("%d:%d", user, user), "--", dir).CombinedOutput()
	require.NoError(t, err, string(output))
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if missing(err) {
		return nil
	}
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// makeWorld are file systems of places by name. Others are mounted as they are.
var makeWorld = map[string]func(testing.TB) string{
	"ext4":                func(t testing.TB) string { return testfs.Ext4(t, testfs.Ext4Options{MiB: 16}) },
	"ext4 of few inodes":  func(t testing.TB) string { return testfs.Ext4(t, testfs.Ext4Options{MiB: 8, Inodes: 128}) },
	"small tmpfs":         func(t testing.TB) string { return testfs.Tmpfs(t, "size=1m") },
	"tmpfs of few inodes": func(t testing.TB) string { return testfs.Tmpfs(t, "nr_inodes=120") },
	"xfs":                 testfs.Xfs,
	"btrfs":               testfs.Btrfs,
	"full btrfs":          testfs.Btrfs,
	"btrfs with a quota":  testfs.Btrfs,
	"fuse":                testfs.Fuse,
	"overlay":             testfs.Overlay,
	"bindfs":              testfs.Bindfs,
}
