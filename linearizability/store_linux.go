package linearizability

import (
	"context"
	"errors"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A client makes operations on a real store.
type client struct {
	store *layerstore.Store
	site
}

// do makes one operation and says how it ended.
func (c *client) do(ctx context.Context, op *Operation) (Result, string) {
	var result Result
	var err error
	switch op.Kind {
	case Create:
		_, err = c.store.Create(ctx, layerstore.Layer{ID: op.Layers[0], Parent: op.Parent, Image: op.Image}, layerstore.Tar(content(op.Tree, c.Files, c.canary())))
		result.Outcome = createOutcome(err)
	case Delete:
		var deletion layerstore.Deletion
		deletion, err = c.store.Delete(ctx, op.Layers...)
		if result = deleteResult(err); err == nil {
			result.Yes = len(deletion.InPlace) > 0
		}
	case List:
		var layers []layerstore.Layer
		layers, err = c.store.List(ctx)
		for _, layer := range layers {
			result.Layers = append(result.Layers, layer.ID)
		}
	case Exists:
		result.Yes, err = c.store.Exists(ctx, op.Layers[0])
	case Read:
		result, err = c.read(ctx, op.Layers[0])
	case Look:
		links := 0
		result.Trees, links, err = look(c.site, op.Layers[0])
		result.Yes, result.Links = links > 0, links > 1
	case Recover:
		// Without this, a process that is being started by another goroutine could
		// still have our descriptors, and with them a lock whose holder is done.
		syscall.ForkLock.RLock()
		var report layerstore.Report
		report, err = c.store.Recover(ctx)
		syscall.ForkLock.RUnlock()
		result.Yes = nothingLeft(report)
	case Mount:
		_, err = c.store.Mount(ctx, op.Layers[0])
		result.Outcome = mountOutcome(err)
	case Unmount:
		err = c.store.Unmount(ctx, op.Layers[0])
		result.Outcome = mountOutcome(err)
	}
	switch {
	case err == nil:
		result.Outcome = Done
		return result, ""
	case result.Outcome == "":
		result = Result{Outcome: Failed}
	}
	if result.Outcome == Failed && isExhausted(err) {
		result.Outcome = Exhausted
	}
	return result, err.Error()
}

// isExhausted reports whether err is about the machine, not the store.
func isExhausted(err error) bool {
	return slices.ContainsFunc([]error{unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE, unix.ENOMEM}, func(errno error) bool {
		return errors.Is(err, errno)
	})
}

func createOutcome(err error) Outcome {
	_, alone := err.(*layerstore.Error) // joined with another, what was built is not gone
	switch {
	case layerstore.EffectOf(err) != layerstore.NoEffect:
		return Indefinite
	case alone && errors.Is(err, layerstore.ErrLayerExists):
		return AlreadyExists
	case alone && errors.Is(err, layerstore.ErrNoParent):
		return NoParent
	case alone && errors.Is(err, layerstore.ErrBusy):
		return Busy
	}
	return Failed
}

func deleteResult(err error) Result {
	var failure *layerstore.Error
	switch layerstore.EffectOf(err) {
	case layerstore.TookEffect:
		return Result{Outcome: Leftover}
	case layerstore.MayHaveEffect:
		return Result{Outcome: Indefinite}
	}
	if errors.As(err, &failure) {
		for kind, outcome := range map[error]Outcome{
			layerstore.ErrLayerUnknown: Unknown, layerstore.ErrHasChildren: HasChildren, layerstore.ErrMounted: Mounted,
		} {
			if errors.Is(err, kind) {
				return Result{Outcome: outcome, Layers: []string{failure.Layer}}
			}
		}
	}
	return Result{Outcome: Failed}
}

func mountOutcome(err error) Outcome {
	switch {
	case layerstore.EffectOf(err) != layerstore.NoEffect:
		return Indefinite
	case errors.Is(err, layerstore.ErrLayerUnknown):
		return Unknown
	case errors.Is(err, layerstore.ErrNotMounted):
		return Unmounted
	}
	return Failed
}

// nothingLeft reports whether recovery met no instance and no flagged layer that it
// had to leave. It does not ask what else the store says is left: if there is
// anything, look sees it.
func nothingLeft(report layerstore.Report) bool {
	for _, root := range report.Roots {
		if root.Count(tempdir.Skipped)+root.Count(tempdir.Young)+root.Count(tempdir.Failed) > 0 {
			return false
		}
	}
	return len(report.Roots) > 0 && len(report.Flagged) == 0
}
