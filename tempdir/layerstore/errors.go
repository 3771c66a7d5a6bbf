package layerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// Kinds of failure that a caller may want to tell apart with [errors.Is].
// Errors of package tempdir are wrapped as well and match their own kinds.
var (
	// ErrLayerUnknown: there is no such layer. It is an [fs.ErrNotExist].
	ErrLayerUnknown error = &kind{"no such layer", fs.ErrNotExist}

	// ErrLayerExists: a layer has the id already. It is an [fs.ErrExist].
	ErrLayerExists error = &kind{"layer exists", fs.ErrExist}

	// ErrNoParent: there is no layer with the parent's id, or there is none any
	// more, or another one than when the addition began.
	ErrNoParent error = &kind{"no such parent", nil}

	// ErrHasChildren: a layer that is not to be deleted has it as its parent.
	ErrHasChildren error = &kind{"layer has children", nil}

	// ErrMounted: the layer is mounted, by count or in the kernel's table, or it
	// cannot be told that it is not.
	ErrMounted error = &kind{"layer is mounted", nil}

	// ErrMountsUnknown: the kernel does not tell what is mounted: there is no
	// /proc, and no listmount (Linux 6.8). Nothing is deleted then, unless the
	// store has [CountsOnly]. It is an [errors.ErrUnsupported].
	ErrMountsUnknown error = &kind{"what is mounted cannot be told", errors.ErrUnsupported}

	// ErrNotMounted: the layer is not mounted.
	ErrNotMounted error = &kind{"layer is not mounted", nil}

	// ErrBusy: an unfinished operation has the id: a layer, or one that was its
	// descendant, is being removed in place, or could not be removed. The id is
	// free again when that is done.
	ErrBusy error = &kind{"an operation on the layer is not finished", nil}

	// ErrUnrecorded: something without a record is where the layer would go. It
	// was not touched.
	ErrUnrecorded error = &kind{"a layer without record is in the way", nil}

	// ErrBadID: the id has not the grammar, see [Layer].
	ErrBadID error = &kind{"not an id of a layer", nil}

	// ErrBadContent: the content has an entry that may not be in a layer. The
	// message names the entry.
	ErrBadContent error = &kind{"content refused", nil}

	// ErrTooLarge: the content exceeds a limit, see [WithLimits].
	ErrTooLarge error = &kind{"content too large", nil}

	// ErrCorrupt: there is no metadata, or something else in its place. Nothing
	// was changed. Not being able to read it now is an errno alone.
	ErrCorrupt error = &kind{"metadata damaged", nil}

	// ErrDamaged: a layer has a record and no files.
	ErrDamaged error = &kind{"layer without files", nil}

	// ErrNewerVersion: the metadata was written by a newer version of this
	// package. Nothing was changed.
	ErrNewerVersion error = &kind{"metadata of a newer version", nil}

	// ErrNoImageStore: the layer lies in an image store, and this handle has none.
	ErrNoImageStore error = &kind{"no image store", nil}

	// ErrLeftover: a deletion took effect, and data is left for recovery. It is
	// kept apart from success, which is reported only when the data is gone.
	ErrLeftover error = &kind{"data left behind", nil}

	// ErrClosed: the [Store] is closed. It is an [fs.ErrClosed].
	ErrClosed error = &kind{"store already closed", fs.ErrClosed}
)

// A kind is a sentinel error that may belong to a wider class.
type kind struct {
	text  string
	class error
}

func (k *kind) Error() string { return k.text }
func (k *kind) Unwrap() error { return k.class }

// An Effect says of a failed operation whether it happened. The first two are
// definite failures, the third is an indefinite one.
type Effect int

const (
	// NoEffect: it surely did not happen, and will not. What it left behind is
	// flagged or in a stale instance, invisible to every operation.
	NoEffect Effect = iota + 1
	// TookEffect: it surely happened for everybody who looks; what failed is
	// what comes after, such as the removal of the data.
	TookEffect
	// MayHaveEffect: it may have happened. In this process and others it is
	// visible if it did; whether it is durable is not known.
	MayHaveEffect
)

var effectNames = map[Effect]string{NoEffect: "no effect", TookEffect: "took effect", MayHaveEffect: "may have taken effect"}

// String returns the effect in words.
func (e Effect) String() string {
	if name, ok := effectNames[e]; ok {
		return name
	}
	return fmt.Sprintf("Effect(%d)", int(e))
}

// EffectOf returns the effect that err reports: that of the [*Error] in it. A
// nil error took effect. Any other error was made before anything happened.
func EffectOf(err error) Effect {
	var failure *Error
	switch {
	case err == nil:
		return TookEffect
	case errors.As(err, &failure):
		return failure.Effect
	}
	return NoEffect
}

// An Error is a failure of one operation of a [Store].
type Error struct {
	Op     string // "create", "delete", …
	Layer  string // the id, or "" if it is about the store
	Path   string // what it was about, or ""
	Effect Effect // whether the operation happened
	Kind   error  // one of the kinds of this package, or nil
	Err    error  // the reason, or nil
}

// Error names operation, layer, path, reason and effect on one line.
func (e *Error) Error() string {
	text := e.Op
	if e.Layer != "" {
		text += " layer " + quote(e.Layer)
	}
	if e.Path != "" {
		text += " at " + quote(e.Path)
	}
	for _, err := range e.Unwrap() {
		text += ": " + err.Error()
	}
	if e.Effect != NoEffect {
		text += " (" + e.Effect.String() + ")"
	}
	return text
}

// Unwrap returns Kind and Err, those that are there.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// quote makes a name safe to print: as it is, or quoted if it holds anything
// but printable text.
func quote(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || name == "" {
		return quoted
	}
	return name
}
