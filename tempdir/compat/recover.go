package compat

import (
	"errors"
	"io/fs"
	"log/slog"

	"github.com/afterlock/afterlock/tempdir"
)

// Warn is called for every instance that [RecoverStaleDirs] could not remove, each
// time it tries, and with an empty id if nothing can be recovered here at all. A store that logs elsewhere, or has a level of its own, puts its
// own function here before the first call:
//
//	compat.Warn = func(rootDir, id string, err error) { logrus.Warnf("%s: %v", rootDir, err) }
var Warn = func(rootDir, id string, err error) {
	slog.Warn("stale instance not removed", "root", rootDir, "id", id, "error", err)
}

// RecoverStaleDirs removes what crashed and failed processes left in rootDir.
// Live instances are skipped; it never waits. A root that does not exist is
// nothing to do.
//
// The error is about the root as a whole: it cannot be opened or listed. An
// instance that cannot be removed is no error, so that no store is refused
// service because of one leftover: it is reported to [Warn], it keeps its names, and
// the next call tries again. [RecoverStaleDirsReport] tells more.
//
// It needs no store lock and should be called without one. It may run at any
// time, many times at once, and may be killed anywhere.
func RecoverStaleDirs(rootDir string) error {
	report, err := RecoverStaleDirsReport(rootDir)
	if errors.Is(err, errors.ErrUnsupported) && len(report.Results) == 0 {
		// A sandbox or a file system that lacks what recovery needs keeps no store
		// from loading.
		Warn(rootDir, "", err)
		return nil
	}
	for _, result := range report.Results {
		if result.Err != nil {
			Warn(rootDir, result.ID, result.Err)
		}
	}
	if report.Count(tempdir.Failed) > 0 {
		return nil
	}
	return err
}

// RecoverStaleDirsReport is [RecoverStaleDirs], and returns what it did about
// each id and which names it left alone as foreign. The error joins one error
// an instance that could not be removed, or is about the root as a whole.
func RecoverStaleDirsReport(rootDir string) (tempdir.Report, error) {
	r, err := openRoot(rootDir, false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tempdir.Report{}, nil
	case err != nil:
		return tempdir.Report{}, err
	}
	defer r.Close()
	report, err := r.Recover()
	if len(report.Results) == 0 && errors.Is(err, tempdir.ErrRootGone) {
		err = nil // removed after it was opened
	}
	return report, err
}
