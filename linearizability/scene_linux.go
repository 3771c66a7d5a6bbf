package linearizability

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A scene is one store with the records of those who work on it.
type scene struct {
	dir     string // everything is below, but for the image store
	site    site   // of the store
	note    string
	tickets *tickets

	mu       sync.Mutex
	records  [][]byte
	parent   bytes.Buffer // kills
	counts   counts
	programs map[Client][]Action // of everybody who was to record something
	observer int                 // goroutines of process 0 so far
}

// counts are of what no history says.
type counts struct {
	held, under int64 // store locks that were held exclusively, and removals under them
	removing    int64 // kills in the middle of a removal
	problems    []string
}

func (s *scene) count(add func(*counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.counts)
}

// newScene makes an empty store below dir, which does not exist. The site has no
// directory yet.
func newScene(dir string, at site, note string) (*scene, error) {
	at.Dir, at.Files = filepath.Join(dir, "store"), max(at.Files, treeFiles)
	s := &scene{dir: dir, site: at, note: note, programs: map[Client][]Action{}}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	err := os.WriteFile(at.canary(), []byte(canary), 0o600)
	if err != nil {
		return nil, err
	}
	if s.tickets, err = openTickets(s.ticketFile(), true); err != nil {
		return nil, err
	}
	store, err := s.site.open(layerstore.Make(0o700))
	if err != nil {
		return nil, err
	}
	return s, store.Close()
}

func (s *scene) ticketFile() string { return filepath.Join(s.dir, "tickets") }

// remove removes the store and gives the tickets up.
func (s *scene) remove() error {
	err := s.tickets.close()
	for _, dir := range append(s.site.roots(), s.dir) {
		if removed := os.RemoveAll(dir); err == nil {
			err = removed
		}
	}
	return err
}

// A fault breaks the store of a test; the zero value does not. All fields may be
// nil.
type fault struct {
	disk   func(d kernel.Disk, dir string) kernel.Disk // around the store's own system calls
	kernel func(k kernel.Kernel) kernel.Kernel         // around those of the roots
}

// faults are the faults that a job can name. The program has none; the tests of
// this package put some here in an init function.
var faults map[string]fault

// open opens a handle with the fault, and returns what a client calls. Before every
// system call of the store it calls before, if that is not nil, with the call's
// name; an error of it is the call's.
func (f fault) open(at site, before func(call string) error, options ...layerstore.Option) (*layerstore.Store, do, error) {
	disk, k := kernel.LinuxDisk(), at.kernel()
	if f.disk != nil {
		disk = f.disk(disk, at.Dir)
	}
	if f.kernel != nil {
		k = f.kernel(k)
	}
	if before != nil {
		disk = kernel.AroundDisk(disk, func(method, _ string) error { return before(method) })
		k = kernel.Around(k, beforeHook(before))
	}
	store, err := at.open(append(options, kernel.WithDisk[layerstore.Option](disk), kernel.With[layerstore.Option](k))...)
	if err != nil {
		return nil, nil, err
	}
	return store, (&client{store, at}).do, nil
}

type beforeHook func(call string) error

func (h beforeHook) Before(c *kernel.Call) error { return h(c.Method.String()) }
func (beforeHook) After(*kernel.Call)            {}

// run lets the clients of a program work as goroutines of this process, each
// second one with a handle of its own.
func (s *scene) run(ctx context.Context, process int, program Program, f fault) error {
	const handles = 2
	var calls [handles]do
	for i := range calls {
		store, call, err := f.open(s.site, nil)
		if err != nil {
			return err
		}
		defer store.Close()
		calls[i] = call
	}
	records := make([]bytes.Buffer, len(program))
	errs := make(chan error, len(program))
	s.expect(process, program)
	for i, actions := range program {
		go func() {
			r := &recorder{client: Client{process, i}, tickets: s.tickets, out: &records[i], do: calls[i%handles]}
			errs <- r.performAll(ctx, actions)
		}()
	}
	var err error
	for range program {
		if e := <-errs; e != nil {
			err = e
		}
	}
	for i := range records {
		s.addRecord(records[i].Bytes())
	}
	return err
}

// expect notes what the clients of a process are to record.
func (s *scene) expect(process int, program Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, actions := range program {
		s.programs[Client{process, i}] = actions
	}
}

func (s *scene) addRecord(record []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, record)
}

// killed writes down that the process is dead.
func (s *scene) killed(process int, note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.parent, "%d %d killed%s\n", s.tickets.next(), process, noted(note))
}

// canary is what is in the file that links lead to.
const canary = "nobody removes this"

// observe looks at everything, as a client of the parent, when everybody else has
// ended: what recovery leaves, what there is, what is on disk, and whether these
// ids can be had if they are free.
func (s *scene) observe(ctx context.Context, f fault, free ...string) error {
	program := []Action{{Kind: List}, {Kind: Recover}, {Kind: List}}
	for _, layer := range layerNames {
		for _, kind := range []Kind{Exists, Read, Look} {
			program = append(program, Action{Kind: kind, Layers: []string{layer}})
		}
	}
	for _, layer := range free {
		program = append(program, Action{Kind: Create, Layers: []string{layer}})
	}
	s.observer++
	s.programs[Client{0, s.observer}] = program
	store, call, err := f.open(s.site, nil, layerstore.WithoutRecovery())
	if err != nil {
		return err
	}
	defer store.Close()
	var record bytes.Buffer
	r := &recorder{client: Client{0, s.observer}, tickets: s.tickets, out: &record, do: call}
	err = r.performAll(ctx, program)
	s.addRecord(record.Bytes())
	if text, failed := os.ReadFile(s.site.canary()); failed != nil || string(text) != canary {
		s.counts.problems = append(s.counts.problems, fmt.Sprintf("what a link in a layer leads to was removed or changed: %q, %v", text, failed))
	}
	return err
}

// history is what everybody recorded, all of it.
func (s *scene) history() (*History, error) {
	h, err := merge(s.site.Layout, s.note, append(s.records, s.parent.Bytes()))
	if err != nil {
		return nil, err
	}
	return h, h.complete(s.programs, s.tickets.last())
}
