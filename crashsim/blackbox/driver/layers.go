package driver

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// layouts are those that a command may name.
var layouts = map[string]layerstore.Driver{"vfs": layerstore.VFS, "overlay": layerstore.Overlay}

// Layers does the commands of a layer store that exists:
//
//	recover STORE                            and nothing else: opening recovers nothing
//	open STORE                               open it as anybody does, which recovers, and recover
//	create STORE LAYOUT ID PARENT DIRECTORY  a layer of the directory's files; PARENT "-": none
//	delete STORE ID...                       all of them
//	group STORE ID...                        each by itself, at once, by one handle
//
// An error begins with its effect. Opening recovers for a limited time, so the
// commands that are looked at call by call open without. The options are asked
// for anew for each command.
func Layers(options func() []layerstore.Option) func(words []string) error {
	return func(words []string) error {
		err := doLayers(options(), words)
		if err != nil {
			err = fmt.Errorf("%v: %w", layerstore.EffectOf(err), err)
		}
		return err
	}
}

func doLayers(options []layerstore.Option, words []string) (err error) {
	if len(words) < 2 {
		return fmt.Errorf("no command: %q", words)
	}
	command, path, rest := words[0], words[1], words[2:]
	options = append(options, layerstore.OrphanGrace(0)) // one recovery leaves nothing
	if command != "open" {
		options = append(options, layerstore.WithoutRecovery())
	}
	if command == "create" && len(rest) == 4 {
		options = append(options, layerstore.WithDriver(layouts[rest[0]]))
	}
	store, err := layerstore.Open(path, options...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx := context.Background()
	switch {
	case (command == "recover" || command == "open") && len(rest) == 0:
		report, err := store.Recover(ctx)
		if err == nil && len(report.Unrecorded) > 0 {
			err = fmt.Errorf("without a record: %q", report.Unrecorded)
		}
		return err
	case command == "create" && len(rest) == 4 && layouts[rest[0]] != nil:
		layer := layerstore.Layer{ID: rest[1], Parent: rest[2]}
		if layer.Parent == "-" {
			layer.Parent = ""
		}
		_, err := store.Create(ctx, layer, layerstore.Directory(rest[3]))
		return err
	case command == "delete":
		_, err := store.Delete(ctx, rest...)
		return err
	case command == "group":
		return deleteGroup(ctx, store, rest)
	}
	return fmt.Errorf("no command %q", words)
}

// deleteGroup deletes each layer by a goroutine of its own. The first one, which leads
// the line of the handle, stays there until all are in it, so that it makes the saves
// for all. At any time one of them makes calls, and a run makes the same ones again.
func deleteGroup(ctx context.Context, store *layerstore.Store, ids []string) error {
	receipts, said := make([]*layerstore.Receipt, len(ids)), make([]error, len(ids))
	complete := make(chan struct{})
	var all sync.WaitGroup
	for i, id := range ids {
		there := make(chan struct{})
		arrive := sync.OnceFunc(func() { close(there) })
		all.Go(func() {
			defer arrive()
			receipts[i], said[i] = store.DeferredDelete(waiting{ctx, func() {
				if arrive(); i == 0 {
					<-complete
				}
			}}, id)
		})
		<-there
	}
	close(complete)
	all.Wait()
	for i, receipt := range receipts {
		if receipt != nil {
			_, err := receipt.Finish(ctx)
			said[i] = errors.Join(said[i], err)
		}
	}
	return errors.Join(said...)
}

// A waiting context says when somebody is about to wait for its end.
type waiting struct {
	context.Context
	begins func()
}

func (w waiting) Done() <-chan struct{} {
	w.begins()
	return w.Context.Done()
}
