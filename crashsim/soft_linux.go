package crashsim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// A SoftReport says what [Soft] did.
type SoftReport struct {
	CrashPoints int64 // calls at which a process was left
	Nested      int64 // of them, calls of a recovery from another crash
	Recoveries  int64 // recoveries that ran to their end, each of them checked
	Findings    []Found
}

// Soft runs the library on a real file system, below the existing directory
// dir, and leaves it at every call: it makes no call any more, not even those
// of its deferred functions, and its descriptors are closed. Recovery of what
// is left is left at each of its calls in turn, and then run to its end.
//
// Nothing is lost here but the process; power loss is for the simulated layer.
// It stops soon after ctx is done, and leaves nothing behind.
func Soft(ctx context.Context, dir string, s Scenario) (report SoftReport, err error) {
	scratch, err := os.MkdirTemp(dir, "afterlock-soft-")
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	for first := 1; ; first++ {
		for second := 0; ; second++ {
			if err := ctx.Err(); err != nil {
				return report, err
			}
			point := softPoint{scenario: s, dir: filepath.Join(scratch, fmt.Sprintf("%d-%d", first, second)), first: first, second: second}
			firstDied, secondDied, err := point.run(&report)
			if err != nil {
				return report, err
			}
			if !firstDied {
				return report, nil // every call was a crash point
			}
			report.CrashPoints++
			if second > 0 {
				report.Nested++
			}
			if second > 0 && !secondDied {
				break
			}
		}
	}
}

// A softPoint is one pair of crash points: the calls, counted from 1, before
// which the program and the recovery are left. A second of 0 is no crash of the
// recovery.
type softPoint struct {
	scenario      Scenario
	dir           string
	first, second int
}

func (p softPoint) run(report *SoftReport) (firstDied, secondDied bool, err error) {
	if err := p.layout(); err != nil {
		return false, false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	found := func(f world.Finding) {
		report.Findings = append(report.Findings, Found{Finding: f, Scenario: p.scenario, Trees: 1,
			Repeat: fmt.Sprintf("afterlock verify --run crash (killed at call %d, recovery at %d)", p.first, p.second)})
	}
	firstDied, err = p.process(p.first, p.program)
	if err != nil {
		found(world.Finding{Claim: world.CallsSucceed, Path: "process", Detail: err.Error()})
	}
	want := p.scenario.want()
	for i := range want.Layers {
		want.Layers[i].Record = "" // a store of files is for other layers
	}
	want.NoOrphans = true
	look := func(want *world.Want) error {
		t, err := world.Look(p.dir)
		for _, f := range world.Check(t, want) {
			found(f)
		}
		return err
	}
	if err := look(&want); err != nil {
		return false, false, err
	}
	recovery := func(root *tempdir.Root) error {
		_, err := root.Recover(context.Background())
		return err
	}
	if p.second > 0 {
		if secondDied, err = p.process(p.second, recovery); err != nil {
			found(world.Finding{Claim: world.CallsSucceed, Path: "recovery", Detail: err.Error()})
		}
		if err := look(&want); err != nil {
			return false, false, err
		}
	}
	if _, err = p.process(0, recovery); err != nil {
		found(world.Finding{Claim: world.CallsSucceed, Path: "last recovery", Detail: err.Error()})
	}
	report.Recoveries++
	want.Recovered = true
	if err := look(&want); err != nil {
		return false, false, err
	}
	return firstDied, secondDied, nil
}

// layout makes the scenario's tree.
func (p softPoint) layout() error {
	errs := []error{os.Mkdir(p.dir, 0o700), os.Mkdir(filepath.Join(p.dir, rootName), 0o700), os.Mkdir(filepath.Join(p.dir, layersName), 0o700),
		os.WriteFile(filepath.Join(p.dir, rootName, foreign), nil, 0o600)}
	for i := range p.scenario.Deleters {
		for _, home := range p.scenario.deletion(i).layers {
			errs = append(errs, fill(filepath.Join(p.dir, home), p.scenario.files()))
		}
	}
	return errors.Join(errs...)
}

func fill(dir string, files []string) error {
	errs := []error{os.Mkdir(dir, 0o700)}
	for _, name := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	return errors.Join(errs...)
}

// program deletes and adds what the scenario says, one after the other.
func (p softPoint) program(root *tempdir.Root) error {
	for i := range p.scenario.Deleters {
		dir, err := root.Create()
		if err != nil {
			return err
		}
		for _, home := range p.scenario.deletion(i).layers {
			if err := dir.StageDeletion(filepath.Join(p.dir, home)); err != nil {
				return err
			}
		}
		if err := dir.Close(context.Background()); err != nil {
			return err
		}
	}
	for i := range p.scenario.Adders {
		dir, err := root.Create()
		if err != nil {
			return err
		}
		addition, err := dir.StageAddition()
		if err != nil {
			return err
		}
		if err := fill(addition.Path(), p.scenario.files()); err != nil {
			return err
		}
		if err := addition.Commit(filepath.Join(p.dir, p.scenario.addition(i).layers[0])); err != nil {
			return err
		}
		if err := dir.Close(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// process runs do as a process that is left before its call number limit; 0:
// it runs to its end.
func (p softPoint) process(limit int, do func(*tempdir.Root) error) (died bool, err error) {
	l := &leaver{limit: limit, open: make(map[int]bool)}
	defer func() {
		if r := recover(); r != nil {
			if r != any(errKilled) {
				panic(r)
			}
			died, err = true, nil
		}
		for fd := range l.open {
			_ = unix.Close(fd)
		}
	}()
	k := kernel.Around(kernel.Linux(), l)
	root, err := tempdir.Open(filepath.Join(p.dir, rootName), kernel.With[tempdir.Option](k), tempdir.OrphanGrace(0))
	if err != nil {
		return false, err
	}
	defer root.Close()
	return false, do(root)
}

// A leaver is a hook that ends the process at one call, and then makes none. It
// knows which descriptors are open.
type leaver struct {
	limit int
	left  bool
	open  map[int]bool
}

func (l *leaver) Before(c *kernel.Call) error {
	if l.left {
		return unix.ESRCH
	}
	if l.limit > 0 {
		if l.limit--; l.limit == 0 {
			l.left = true
			panic(errKilled)
		}
	}
	return nil
}

func (l *leaver) After(c *kernel.Call) {
	switch {
	case c.Err != nil:
	case c.Method == kernel.Close:
		delete(l.open, c.Fd)
	case c.Result >= 0:
		l.open[c.Result] = true
	}
}
