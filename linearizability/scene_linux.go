package linearizability

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/afterlock/afterlock/internal/seam"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A scene is one store with the records of those who work on it.
type scene struct {
	dir     string // everything is below
	layout  string
	note    string
	tickets *tickets

	mu       sync.Mutex
	records  [][]byte
	parent   bytes.Buffer // kills
	observer int          // goroutines of process 0 so far
}

// newScene makes an empty store below dir, which does not exist.
func newScene(dir, layout, note string) (*scene, error) {
	s := &scene{dir: dir, layout: layout, note: note}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if s.tickets, err = openTickets(s.ticketFile(), true); err != nil {
		return nil, err
	}
	store, err := openStore(s.storeDir(), layout, layerstore.Make(0o700))
	if err != nil {
		return nil, err
	}
	return s, store.Close()
}

func (s *scene) ticketFile() string { return filepath.Join(s.dir, "tickets") }
func (s *scene) storeDir() string   { return filepath.Join(s.dir, "store") }

// remove removes the store and gives the tickets up.
func (s *scene) remove() error {
	err := s.tickets.close()
	if removed := os.RemoveAll(s.dir); err == nil {
		err = removed
	}
	return err
}

func openStore(dir, layout string, options ...layerstore.Option) (*layerstore.Store, error) {
	driver := layerstore.VFS
	if layout == "overlay" {
		driver = layerstore.Overlay
	}
	return layerstore.Open(dir, append(options, layerstore.WithDriver(driver))...)
}

// A fault breaks the store of a test; the zero value does not. All fields may be
// nil.
type fault struct {
	disk   func(d layerstore.Disk, dir string) layerstore.Disk // around the store's own system calls
	kernel func(k tempdir.Kernel) tempdir.Kernel               // around those of the roots
	around func(c *client) do                                  // instead of the client's own calls
}

// faults are the faults that a job can name. The program has none; the tests of
// this package put some here before they call BecomeWorker.
var faults map[string]fault

// open opens a handle with the fault, and returns what a client calls. Before every
// system call of the store it calls before, if that is not nil, with the call's
// name; an error of it is the call's.
func (f fault) open(dir, layout string, before func(call string) error, options ...layerstore.Option) (*layerstore.Store, do, error) {
	disk, kernel := layerstore.LinuxDisk(), tempdir.LinuxKernel()
	if f.disk != nil {
		disk = f.disk(disk, dir)
	}
	if f.kernel != nil {
		kernel = f.kernel(kernel)
	}
	if before != nil {
		disk = layerstore.AroundDisk(disk, func(method, _ string) error { return before(method) })
		kernel = seam.Around(kernel, beforeHook(before))
	}
	store, err := openStore(dir, layout, append(options, layerstore.WithDisk(disk), layerstore.WithKernel(kernel))...)
	if err != nil {
		return nil, nil, err
	}
	c := &client{store, dir, layout}
	if f.around != nil {
		return store, f.around(c), nil
	}
	return store, c.do, nil
}

type beforeHook func(call string) error

func (h beforeHook) Before(c *seam.Call) error { return h(c.Method.String()) }
func (beforeHook) After(*seam.Call)            {}

// run lets the clients of a program work as goroutines of this process, each
// second one with a handle of its own.
func (s *scene) run(ctx context.Context, process int, program Program, f fault) error {
	const handles = 2
	var calls [handles]do
	for i := range calls {
		store, call, err := f.open(s.storeDir(), s.layout, nil)
		if err != nil {
			return err
		}
		defer store.Close()
		calls[i] = call
	}
	records := make([]bytes.Buffer, len(program))
	errs := make(chan error, len(program))
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

// observe looks at everything, as a client of the parent, when everybody else has
// ended: what recovery leaves, what there is, and what is on disk.
func (s *scene) observe(ctx context.Context, f fault) error {
	program := []Action{{Kind: List}, {Kind: Recover}, {Kind: List}}
	for _, layer := range layerNames {
		for _, kind := range []Kind{Exists, Read, Look} {
			program = append(program, Action{Kind: kind, Layers: []string{layer}})
		}
	}
	s.observer++
	store, call, err := f.open(s.storeDir(), s.layout, nil, layerstore.WithoutRecovery())
	if err != nil {
		return err
	}
	defer store.Close()
	var record bytes.Buffer
	r := &recorder{client: Client{0, s.observer}, tickets: s.tickets, out: &record, do: call}
	err = r.performAll(ctx, program)
	s.addRecord(record.Bytes())
	return err
}

// history is what everybody recorded.
func (s *scene) history() (*History, error) {
	return merge(s.layout, s.note, append(s.records, s.parent.Bytes()))
}
