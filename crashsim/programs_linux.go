package crashsim

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/world"
	"github.com/afterlock/afterlock/tempdir"
)

// setup lays the scenario's tree out.
func (s *Scenario) setup(p *disk.Process) error {
	errs := []error{p.Mkdir("/" + rootName), p.Mkdir("/" + layersName), p.Mkdir("/" + metaName),
		p.Make("/" + rootName + "/" + foreign)}
	for i := range s.Deleters {
		b := s.deletion(i)
		record := world.Complete
		if len(b.layers) == 0 { // of a deletion that was cut off
			record = world.Incomplete
		}
		errs = append(errs, p.Save("/"+b.record, record))
		for v, home := range b.layers {
			if s.Loose {
				errs = append(errs, p.Make("/"+home))
				continue
			}
			errs = append(errs, p.Mkdir("/"+home))
			for _, name := range s.files() {
				errs = append(errs, p.Make("/"+home+"/"+name))
			}
			if s.Deleters == 1 {
				errs = append(errs, p.Symmetric("/"+home, uint8(v+1)))
			}
		}
	}
	return errors.Join(errs...)
}

// programs are what the processes do.
func (s *Scenario) programs() (all []func(*actor) error) {
	for i := range s.Deleters {
		all = append(all, s.remove(s.deletion(i)))
	}
	for i := range s.Adders {
		all = append(all, s.add(s.addition(i)))
	}
	for range s.Recoverers {
		all = append(all, s.recoverRoot)
	}
	return all
}

// remove is a store that deletes layers, in the order of spec/PowerLoss.tla:
// flag the record, make an instance, move the layers in, forget the record,
// drop the store's lock, remove.
func (s *Scenario) remove(b batch) func(*actor) error {
	return func(a *actor) error {
		if err := a.save("/"+b.record, world.Incomplete); err != nil {
			return err
		}
		if s.syncs("flag") {
			if err := a.sync("/" + metaName); err != nil {
				return err
			}
		}
		return s.finish(a, b)
	}
}

// finish is the rest of a deletion, and what a store does about a flagged
// record that it finds.
func (s *Scenario) finish(a *actor, b batch) error {
	dir, err := a.root.Create()
	if err != nil {
		return err
	}
	return errors.Join(s.move(a, b, dir), dir.Close(context.Background()))
}

// move is the part of a deletion that has an instance.
func (s *Scenario) move(a *actor, b batch, dir *tempdir.Dir) error {
	for _, home := range b.layers {
		if err := dir.StageDeletion("/" + home); err != nil && !errors.Is(err, tempdir.ErrVictimGone) {
			return err
		}
	}
	if s.syncs("record") {
		if err := dir.Sync(); err != nil {
			return err
		}
	}
	return a.forget("/" + b.record)
}

// add is a store that adds a layer: flag its record, build it aside, put it in
// place, and say that it is complete.
func (s *Scenario) add(b batch) func(*actor) error {
	return func(a *actor) error {
		if err := a.save("/"+b.record, world.Incomplete); err != nil {
			return err
		}
		if s.syncs("flag") {
			if err := a.sync("/" + metaName); err != nil {
				return err
			}
		}
		dir, err := a.root.Create()
		if err != nil {
			return err
		}
		return errors.Join(s.build(a, b, dir), dir.Close(context.Background()))
	}
}

// build is the part of an addition that has an instance.
func (s *Scenario) build(a *actor, b batch, dir *tempdir.Dir) error {
	addition, err := dir.StageAddition()
	if err != nil {
		return err
	}
	path := a.identify(addition.Path())
	if err := a.mkdir(path); err != nil {
		return err
	}
	for _, name := range s.files() {
		if err := a.create(path + "/" + name); err != nil {
			return err
		}
	}
	if s.syncs("content") {
		if err := a.sync(path); err != nil {
			return err
		}
	}
	if err := addition.Commit("/" + b.layers[0]); err != nil {
		return err
	}
	if s.syncs("record") {
		if err := a.sync("/" + layersName); err != nil {
			return err
		}
	}
	return a.save("/"+b.record, world.Complete)
}

// recoverRoot is a process that recovers, once or in a few rounds.
func (s *Scenario) recoverRoot(a *actor) (err error) {
	for range max(s.Rounds, 1) {
		_, failed := a.root.Recover(context.Background())
		err = errors.Join(err, failed)
	}
	return err
}

// afterCrash is what the next process does: recover, and then what a store does
// about the records that it finds.
func (s *Scenario) afterCrash(d *disk.Disk, batches []batch) func(*actor) error {
	return func(a *actor) error {
		report, err := a.root.Recover(context.Background())
		if err != nil {
			return err
		}
		for _, result := range report.Results {
			if result.Outcome != tempdir.Recovered {
				return errors.New("recovery found an instance " + result.Outcome.String() + " when nobody else was there")
			}
		}
		for _, b := range batches {
			record, err := a.read(d, "/"+b.record)
			if errors.Is(err, fs.ErrNotExist) || record == world.Complete {
				continue
			}
			if err != nil {
				return err
			}
			if err := s.load(a, b); err != nil {
				return err
			}
		}
		return nil
	}
}

// load is Load of spec/PowerLoss.tla: a flagged record is a deletion to be done
// again, or to be forgotten if nothing is left of it.
func (s *Scenario) load(a *actor, b batch) error {
	for _, home := range b.layers {
		err := a.do("Lookup", home, func() error {
			_, err := a.process.Lookup("/" + home)
			return err
		})
		switch {
		case err == nil:
			return s.finish(a, b)
		case !errors.Is(err, unix.ENOENT):
			return err
		}
	}
	return a.forget("/" + b.record)
}
