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
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

var drawnAtRandom = regexp.MustCompile(`[0-9a-f]{32}|[A-Z2-7]{26}|"created\\":\\"[^"]*"`)

// A durability is what file systems promise about the order of what was done.
type durability struct {
	name    string
	model   disk.Durability
	ordered bool // what they say of themselves
	images  bool // content is on a second file system
}

// An outage runs a store's own code where power may be lost at every call.
type outage struct {
	durability
	driver      layerstore.Driver
	dirs        []string // what is watched
	disks       []string // one for each of dirs
	journal     *journal
	store       *layerstore.Store
	subject     *subject
	state       string            // of the store, after what has returned
	allowed     []string          // what may be found after power loss
	before      []string          // of it, what an earlier process, or a failed operation, left
	files       map[string]string // of layers, by id
	worlds      map[string]outcome
	loss        string // what was lost
	failing     bool   // an operation may fail, and says with what effect
	lastAllowed string
}

func newOutage(t testing.TB, d durability, driver layerstore.Driver) *outage {
	t.Helper()
	o := &outage{durability: d, driver: driver, files: map[string]string{}, worlds: map[string]outcome{}}
	o.disks = []string{scratch(t)}
	if d.images {
		o.disks = append(o.disks, testfs.Tmpfs(t, ""))
	}
	return o
}

// begin starts anew, with an empty disk or the image of another journal.
func (o *outage) begin(from *journal, image image) {
	o.dirs = nil
	for _, disk := range o.disks {
		o.dirs = append(o.dirs, must(os.MkdirTemp(disk, "live")))
	}
	if from != nil {
		from.put(image, o.dirs)
	}
	o.journal = newJournal(o.model, o.dirs...)
	o.state, o.allowed, o.before = "", []string{""}, nil
}

func (o *outage) end() {
	for _, dir := range o.dirs {
		must(0, os.RemoveAll(dir))
	}
}

func at(dirs []string, driver layerstore.Driver) (path string, options []layerstore.Option) {
	options = []layerstore.Option{layerstore.Make(0o700), layerstore.Sync(), layerstore.WithDriver(driver), layerstore.OrphanGrace(0), layerstore.CountsOnly()}
	if len(dirs) > 1 {
		options = append(options, layerstore.ImageStore(filepath.Join(dirs[1], "images")))
	}
	return filepath.Join(dirs[0], "store"), options
}

// open opens the store by another process, which is killed after so many calls.
func (o *outage) open(calls int, refuse func(string) error) bool {
	var err error
	o.subject = &subject{journal: o.journal, ordered: o.ordered, refuse: refuse, left: -1, look: o.look}
	path, options := at(o.dirs, o.driver)
	o.store, err = layerstore.Open(path, append(append(options, o.subject.options()...), layerstore.WithoutRecovery())...)
	o.subject.left = calls
	if err != nil && o.loss == "" {
		o.loss = fmt.Sprint("the store does not open: ", err)
	}
	return err == nil
}

// A step is an operation, and what the store has after it.
type step struct {
	name   string
	run    func(o *outage) error
	after  string
	refuse string // methods that are refused while it runs
	next   string // those that are refused to the next process, if this one is killed
	fails  bool   // every sync of the next process fails, too
}

// refusing answers calls of the methods with an errno; those after "then" once one of
// those before it was refused.
func refusing(methods *string) func(call string) error {
	return func(call string) error {
		refused, _, _ := strings.Cut(call, " ")
		if now, _, _ := strings.Cut(*methods, " then "); strings.Contains(now, refused) {
			*methods = strings.Replace(*methods, " then ", " ", 1)
			return map[string]error{"StageDeletion": unix.EXDEV, "Replace": unix.EINVAL}[refused]
		}
		return nil
	}
}

func making(id, parent string) func(o *outage) error {
	return func(o *outage) error { return makingAt(id, parent, o.images)(o) }
}

func makingAt(id, parent string, image bool) func(o *outage) error {
	return func(o *outage) error {
		layer := layerstore.Layer{ID: id, Parent: parent, Image: image}
		_, err := o.store.Create(background, layer, someFiles(1, id))
		return err
	}
}

func deleting(ids ...string) func(o *outage) error {
	return func(o *outage) error { _, err := o.store.Delete(background, ids...); return err }
}

func labelling(id, text string) func(o *outage) error {
	return func(o *outage) error { return o.store.Save(background, id, label(text)) }
}

// take takes one step; killed reports that its process was. What it promised is what
// may be found from then on.
func (o *outage) take(s step) (killed bool) {
	o.allowed = append([]string{o.state, s.after}, o.before...)
	var err error
	done, ended := make(chan bool), false
	go func() {
		defer close(done)
		err = s.run(o)
		ended = true
	}()
	<-done
	o.subject.left = -1
	o.journal.scan()
	switch {
	case !ended:
		o.subject.kill()
	case err == nil:
		o.allowed, o.before = []string{s.after}, nil
		o.state = s.after
	case o.failing && layerstore.EffectOf(err) == layerstore.NoEffect:
		o.allowed = append([]string{o.state}, o.before...)
	case o.failing && layerstore.EffectOf(err) == layerstore.MayHaveEffect:
		o.state = described(o.store)
	case o.failing:
		o.allowed = []string{s.after}
		o.state = s.after
	case o.loss == "":
		o.loss = fmt.Sprint(s.name, ": ", err)
	}
	o.look()
	return !ended
}

// look visits every world, if there are others than before.
func (o *outage) look() {
	if o.loss != "" {
		return
	}
	allowed := strings.Join(o.allowed, "|")
	all := allowed != o.lastAllowed
	o.lastAllowed = allowed
	o.journal.worlds(all, func(left image) {
		if o.loss != "" {
			return
		}
		text := o.journal.text(left)
		outcome, known := o.worlds[text]
		if !known {
			outcome.has, outcome.wrong = o.check(left)
			o.worlds[text] = outcome
		}
		if outcome.wrong == "" && !slices.Contains(o.allowed, outcome.has) {
			outcome.wrong = "the store has " + outcome.has
		}
		if outcome.wrong != "" {
			o.loss = outcome.wrong + "\nallowed: " + strings.Join(o.allowed, " or ") + "\nleft by power loss:\n" + text
		}
	})
}

// An outcome is what the next process finds after power loss: what the store has, or
// what is wrong with it.
type outcome struct{ has, wrong string }

// check lets another process recover what power loss left.
func (o *outage) check(left image) (has, wrong string) {
	var dirs []string
	for _, disk := range o.disks {
		dirs = append(dirs, must(os.MkdirTemp(disk, "copy")))
		defer os.RemoveAll(dirs[len(dirs)-1])
	}
	o.journal.put(left, dirs)
	return recovered(dirs, o.driver, o.files)
}

// recovered lets another process recover the store in dirs, and returns what it has
// then, or what is wrong with it: what layers say and what is in them do not agree,
// or something is left. files is what layers have, and learns it.
func recovered(dirs []string, driver layerstore.Driver, files map[string]string) (has, wrong string) {
	path, options := at(dirs, driver)
	s, err := layerstore.Open(path, options...)
	if err != nil {
		return "", fmt.Sprint("the store does not open: ", err)
	}
	defer s.Close()
	if _, err := s.Recover(background); err != nil {
		return "", fmt.Sprint("recovery fails: ", err)
	}
	layers, err := s.List(background)
	if err != nil {
		return "", fmt.Sprint("its layers are not listed: ", err)
	}
	for _, layer := range layers {
		path, err := s.Path(background, layer.ID)
		if err != nil {
			return "", fmt.Sprint(layer.ID, " is not there: ", err)
		}
		if text := contentOf(path); files[layer.ID] == "" {
			files[layer.ID] = text
		} else if text != files[layer.ID] {
			return "", fmt.Sprintf("layer %s is torn: it has %s", layer.ID, text)
		}
	}
	left := leftovers(path)
	if len(dirs) > 1 {
		left = append(left, leftovers(filepath.Join(dirs[1], "images"))...)
	}
	if len(left) != len(layers)*len(driver.Parts(layerstore.Placed{})) {
		return "", fmt.Sprintf("what is left for ever is among %v", left)
	}
	return described(s), ""
}

// described tells what layers a store has, with their labels and how often they are mounted.
func described(s *layerstore.Store) string {
	layers, err := s.List(background)
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, layer := range layers {
		text := layer.ID
		for _, label := range layer.Labels {
			text += "=" + strings.Replace(label, long, "x...", 1)
		}
		text += strings.Repeat("+", layer.Mounts)
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

// contentOf is every file below dir.
func contentOf(dir string) string {
	entries := []string{}
	filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		text := strings.TrimPrefix(path, dir)
		if err == nil && entry.Type().IsRegular() {
			text += "=" + string(must(os.ReadFile(path)))
		}
		entries = append(entries, text)
		return nil
	})
	return strings.Join(entries, " ")
}

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
