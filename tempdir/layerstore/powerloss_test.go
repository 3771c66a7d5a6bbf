//go:build linux

package layerstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

var drawnAtRandom = regexp.MustCompile(`[0-9a-f]{32}|[A-Z2-7]{26}|"created\\":\\"[^"]*"`)

func backup(o *outage) error {
	for _, name := range []string{"layers.json", "layers.json.spare"} {
		must(0, os.Link(filepath.Join(o.dirs[0], "store", name), filepath.Join(o.dirs[0], name)))
	}
	return nil
}

// life is one life of a store.
var life = []step{
	{name: "create", run: making("keep", ""), after: "keep"},
	{name: "create a child", run: making("a", "keep"), after: "keep a"},
	{name: "save", run: labelling("a", "x"), after: "keep a=x"},
	{name: "create beside the metadata", run: makingAt("home", "", false), after: "keep a=x home"},
	{name: "delete", run: deleting("a", "home"), after: "keep"},
	{name: "create another", run: making("b", ""), after: "keep b"},
	{name: "delete in place", run: deleting("b"), after: "keep", refuse: "StageDeletion"},
	{name: "create without exchange", run: making("c", ""), after: "keep c", refuse: "Replace"},
	{name: "save without exchange", run: labelling("c", "y"), after: "keep c=y", refuse: "Replace"},
	{name: "delete without exchange", run: deleting("c"), after: "keep", refuse: "Replace"},
	{name: "back up by hard links", run: backup, after: "keep"},
	{name: "save over what was backed up", run: labelling("keep", "x"), after: "keep=x", refuse: "Replace"},
	{name: "save by exchange again", run: labelling("keep", "z"), after: "keep=z"},
}

// live runs a life from the first Open on.
func (o *outage) live() {
	o.begin(nil, image{})
	defer o.end()
	refused := ""
	if !o.open(-1, refusing(&refused)) {
		return
	}
	defer o.store.Close()
	for _, step := range life {
		refused = step.refuse
		o.journal.settle()
		o.take(step)
	}
}

// killed are operations that are killed before any of their calls; then another process
// does something, and power may be lost while it does.
var killed = []step{
	{name: "create", run: making("new", "keep"), after: "keep a new"},
	{name: "delete", run: deleting("a"), after: "keep", fails: true},
	{name: "delete in place", run: deleting("a"), after: "keep", refuse: "StageDeletion", next: "StageDeletion"},
	{name: "delete by mark", run: deleting("a"), after: "keep", refuse: "Replace"},
	{name: "save", run: labelling("keep", "x"), after: "keep=x a", next: "Replace", fails: true},
	{name: "save by mark", run: labelling("keep", "x"), after: "keep=x a", refuse: "Replace", next: "Replace", fails: true},
}

// failed are more operations whose syncs fail.
var failed = []step{
	{name: "save by mark over what was backed up", run: func(o *outage) error {
		backup(o)
		return labelling("keep", "x")(o)
	}, after: "keep=x a", refuse: "Replace"},
	{name: "create that needs room", run: func(o *outage) error {
		_, err := o.store.Create(background, layerstore.Layer{ID: "new", Labels: label(long)}, someFiles(1, "new"))
		return err
	}, after: "keep a new=x..."},
	{name: "delete in place, and forget by mark", run: deleting("a"), after: "keep", refuse: "StageDeletion then Replace"},
}

// stage makes what operations are killed, or fail, on.
func (o *outage) stage() (scene *journal, start image) {
	o.begin(nil, image{})
	defer o.end()
	if o.open(-1, nil) {
		o.take(step{run: making("keep", ""), after: "keep"})
		o.take(step{run: making("a", "keep"), after: "keep a"})
		o.store.Close()
	}
	return o.journal, o.journal.now.copy()
}

// kill kills the operation before every call, and lets another process go on.
func (o *outage) kill(operation step) {
	scene, start := o.stage()
	seen := map[string]bool{}
	for k := 0; o.loss == ""; k++ {
		more, syncs := o.killAt(scene, start, operation, k, -1, seen)
		for sync := 0; sync <= syncs && operation.fails; sync++ {
			_, syncs = o.killAt(scene, start, operation, k, sync, map[string]bool{})
		}
		if !more {
			break
		}
	}
}

// failingSync is refusing that also refuses one of the syncs of an operation that may fail,
// and counts them.
func (o *outage) failingSync(k int, syncs *int, method *string) func(call string) error {
	*syncs = 0
	return func(call string) error {
		if o.failing && strings.HasPrefix(call, "Sync") {
			if *syncs++; *syncs == k+1 {
				return unix.EIO
			}
		}
		return refusing(method)(call)
	}
}

// fail lets every sync of the operation fail, and the same process go on: what it says
// of the effect is so whenever power is lost.
func (o *outage) fail(operation step) {
	scene, start := o.stage()
	for k, syncs := 0, 0; o.loss == "" && k <= syncs; k++ { // until there was no k-th one
		refused := operation.refuse
		o.begin(scene, start)
		o.state, o.allowed = "keep a", []string{"keep a"}
		if o.open(-1, o.failingSync(k, &syncs, &refused)) {
			o.failing = true
			o.take(operation)
			o.failing = false
			refused = operation.next
			o.goOn(false)
			o.store.Close()
		}
		if o.loss != "" {
			o.loss = fmt.Sprintf("sync %d of %s failed: %s", k, operation.name, o.loss)
		}
		o.end()
	}
}

// goOn is another save after one that was killed or failed, and fails once itself.
func (o *outage) goOn(fails bool) (after string) {
	found := described(o.store)
	after = regexp.MustCompile(`^keep(=\S+)?`).ReplaceAllString(found, "keep=after")
	o.state, o.before = found, append(o.allowed, found)
	if fails {
		o.failing = true
		o.take(step{run: labelling("keep", "after"), after: after})
		o.failing = false
		return o.goOn(false)
	}
	o.take(step{run: labelling("keep", "after"), after: after})
	return after
}

// killAt kills it before its k-th call, if it makes so many, and lets a sync of the next
// process fail, which makes syncs of them.
func (o *outage) killAt(scene *journal, start image, operation step, k, sync int, seen map[string]bool) (more bool, syncs int) {
	o.begin(scene, start)
	defer o.end()
	o.state, o.allowed = "keep a", []string{"keep a"}
	if !o.open(k, refusing(&operation.refuse)) {
		return false, 0
	}
	if !o.take(operation) {
		o.store.Close()
		return false, 0
	}
	all := []string{}
	o.journal.worlds(true, func(i image) { all = append(all, o.journal.text(i)) })
	slices.Sort(all)
	key := strings.Join(all, "")
	if seen[key] || !o.open(-1, o.failingSync(sync, &syncs, &operation.next)) { // the kill made no difference
		return true, -1
	}
	seen[key] = true
	o.allowed = []string{"keep a", operation.after}
	text := o.goOn(sync >= 0)
	o.take(step{run: func(o *outage) error { _, err := o.store.Recover(background); return err }, after: text})
	o.store.Close()
	return true, syncs
}

// The layer store's own code, where power may be lost at every call: what was promised
// is there, what was deleted is not, and nothing is torn or left for ever; whatever
// the file systems order, in every layout; also after a process was killed.

var (
	unordered    = durability{"nothing is ordered", disk.Weak, false, false}
	ordered      = durability{"all is ordered", disk.Ordered, true, false}
	unorderedTwo = durability{"nothing is ordered, content on a second file system", disk.Weak, false, true}
	orderedTwo   = durability{"all is ordered, content on a second file system", disk.Ordered, true, true}
)

func TestPowerLossWhereNothingIsOrdered(t *testing.T) {
	powerLoss(t, unordered, layerstore.VFS, layerstore.Direct)
}
func TestPowerLossWhereAllIsOrdered(t *testing.T)         { powerLoss(t, ordered, layerstore.VFS) }
func TestPowerLossOnTwoFileSystems(t *testing.T)          { powerLoss(t, unorderedTwo, layerstore.Overlay) }
func TestPowerLossOnTwoOrderedFileSystems(t *testing.T)   { powerLoss(t, orderedTwo, layerstore.Overlay) }
func TestPowerLossAfterAKilledCreate(t *testing.T)        { powerLossAfterAKill(t, 0) }
func TestPowerLossAfterAKilledDelete(t *testing.T)        { powerLossAfterAKill(t, 1) }
func TestPowerLossAfterAKilledDeleteInPlace(t *testing.T) { powerLossAfterAKill(t, 2) }
func TestPowerLossAfterAKilledDeleteByMark(t *testing.T)  { powerLossAfterAKill(t, 3) }
func TestPowerLossAfterAKilledSave(t *testing.T)          { powerLossAfterAKill(t, 4) }
func TestPowerLossAfterAKilledSaveByMark(t *testing.T)    { powerLossAfterAKill(t, 5) }

func powerLoss(t *testing.T, d durability, drivers ...layerstore.Driver) {
	if testing.Short() && d.ordered {
		t.Skip("skipped, because -short: where nothing is ordered more can be lost")
	}
	t.Parallel()
	for _, driver := range drivers {
		o := newOutage(t, d, driver)
		o.live()
		require.Empty(t, o.loss, "%s, %s", d.name, driver.Name())
		assert.Greater(t, len(o.worlds), 100)
	}
}

func TestPowerLossAfterAFailedSync(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because there are many syncs to fail")
	}
	for _, d := range []durability{unordered, ordered} {
		o := newOutage(t, d, layerstore.VFS)
		for _, operation := range slices.Concat(killed, failed) {
			o.fail(operation)
		}
		assert.Empty(t, o.loss, d.name)
	}
}

func powerLossAfterAKill(t *testing.T, operation int) {
	if testing.Short() {
		t.Skip("skipped, because there are many calls before which to kill")
	}
	t.Parallel()
	o := newOutage(t, unordered, layerstore.VFS)
	o.kill(killed[operation])
	require.Empty(t, o.loss)
	assert.Greater(t, len(o.worlds), 50)
}
