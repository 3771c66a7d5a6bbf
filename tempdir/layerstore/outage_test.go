//go:build linux

package layerstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

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
