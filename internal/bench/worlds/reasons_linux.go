package worlds

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// kinds are what an error may be told to be, by name.
var kinds = map[string]error{
	"ErrCrossDevice": tempdir.ErrCrossDevice, "ErrMountPoint": tempdir.ErrMountPoint, "ErrImmutable": tempdir.ErrImmutable,
	"ErrVictimGone": tempdir.ErrVictimGone, "ErrInstanceGone": tempdir.ErrInstanceGone, "ErrRootGone": tempdir.ErrRootGone,
	"ErrForeign": tempdir.ErrForeign, "ErrContainsRoot": tempdir.ErrContainsRoot, "ErrReadOnly": tempdir.ErrReadOnly,
	"ErrNoSpace": tempdir.ErrNoSpace, "ErrLeftover": tempdir.ErrLeftover, "ErrUnrestored": tempdir.ErrUnrestored,
	"ErrExposed": tempdir.ErrExposed, "ErrHeld": tempdir.ErrHeld, "ErrMounted": layerstore.ErrMounted,
	"ErrMountsUnknown": layerstore.ErrMountsUnknown, "ErrBusy": layerstore.ErrBusy, "ErrLayerUnknown": layerstore.ErrLayerUnknown,
	"layerstore.ErrLeftover": layerstore.ErrLeftover, "ErrDamaged": layerstore.ErrDamaged, "ErrCorrupt": layerstore.ErrCorrupt,
	"ErrUnsupported": errors.ErrUnsupported, "ErrPermission": fs.ErrPermission, "ErrNotExist": fs.ErrNotExist,
	"ErrExist": fs.ErrExist, "DeadlineExceeded": context.DeadlineExceeded,
	"ErrNothingStaged": tempdir.ErrNothingStaged, "ErrLayerExists": layerstore.ErrLayerExists,
	"ErrNoParent": layerstore.ErrNoParent, "ErrUnrecorded": layerstore.ErrUnrecorded,
}

// reasons are those of an error, see [step]: what it says about a helper, or that
// something is left, is none.
func reasons(err error) (all []string) {
	reason := func(kind, err error) []string {
		name, code := "", ""
		for _, n := range slices.Sorted(maps.Keys(kinds)) {
			if kind == kinds[n] || kind != nil && name == "" && errors.Is(kind, kinds[n]) {
				name = n // the narrowest
			}
		}
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			code = unix.ErrnoName(errno)
		}
		return []string{name + ":" + code}
	}
	for _, kind := range kinds {
		if err == kind {
			return reason(err, nil)
		}
	}
	switch e := err.(type) {
	case *tempdir.LeftoverError:
		for _, one := range e.Reasons {
			all = append(all, reasons(one)...)
		}
	case *tempdir.Error:
		all = reason(e.Kind, e.Err)
	case *layerstore.Error:
		if e.Kind != nil && e.Kind != layerstore.ErrLeftover || e.Err == nil {
			return reason(e.Kind, e.Err)
		}
		all = reasons(e.Err)
	case syscall.Errno:
		all = reason(nil, e)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, reasons(one)...)
		}
	case interface{ Unwrap() error }:
		all = reasons(e.Unwrap())
	default:
		all = reason(err, err)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
