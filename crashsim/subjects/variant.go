package subjects

import (
	"context"
	"slices"
)

// variants are what can be made of a release.
var variants = map[string][]edit{
	// The release, as it is.
	"released": nil,
	// The release on our library: two import paths are changed, nothing else.
	"compat": useCompat,
	// The release with the patch of docs/UPSTREAM.md, and without one part of it each.
	"patched":           patched(checksBothSides, closesAlone),
	"patched-creator":   patched(checksOneSide("CreateAndLock"), closesAlone),
	"patched-recoverer": patched(checksOneSide("TryLockPath"), closesAlone),
	"patched-rechecks":  patched(checksBothSides),
	"released-timed":    {timed},
	"patched-timed":     append(patched(checksBothSides, closesAlone), timed),
	"patched-opened":    append(patched(checksBothSides, closesAlone), outOfLocks...),
	// The same with places to stop at, for goroutines of one process.
	"released-played":         hook("CreateAndLock"),
	"patched-played":          slices.Concat(patched(checksBothSides, closesAlone), hook("createTemp"), []edit{writeFile(lockFiles+"checkpath_test.go", checkPathTest)}),
	"patched-rechecks-played": slices.Concat(patched(checksBothSides), hook("CreateAndLock")),
}

// useCompat puts package compat in the place of the two packages.
var useCompat = []edit{
	changeImport("internal/tempdir", ours+"/tempdir/compat", "internal/tempdir"),
	changeImport("internal/staging_lockfile", ours+"/tempdir/compat", "internal/tempdir", "internal/staging_lockfile"),
	requireOurs,
}

// internals is the directory of a package that exportInternals adds.
const internals = "afterlock"

// exportInternals lets the driver use the package that instances are made by. A
// release before v1.60 has none, or one that cannot add.
func exportInternals(ctx context.Context, t *tree) error {
	if !t.hasInternals() {
		return nil
	}
	return writeFile(internals+"/afterlock.go", `// Package afterlock exports a package.
package afterlock

import "MODULE/internal/tempdir"

type (
	TempDir        = tempdir.TempDir
	StagedAddition = tempdir.StagedAddition
)

var (
	NewTempDir       = tempdir.NewTempDir
	RecoverStaleDirs = tempdir.RecoverStaleDirs
)
`)(ctx, t)
}

func (t *tree) hasInternals() bool {
	s, err := t.parse("internal/tempdir/tempdir.go")
	if err == nil {
		_, err = s.function("TempDir.StageAddition")
	}
	return err == nil
}

// linkInternals is the other end of exportInternals, in the driver.
var linkInternals = writeFile("internals.go", `package main

import "MODULE/afterlock"

func init() {
	newTempDir = func(root string) (instance, error) {
		dir, err := afterlock.NewTempDir(root)
		return linked{dir}, err
	}
	recoverStaleDirs = afterlock.RecoverStaleDirs
	commands["create"], commands["recover"] = create, recoverFor
}

type linked struct{ *afterlock.TempDir }

func (l linked) stageAddition() (string, func(string) error, error) {
	addition, err := l.StageAddition()
	if err != nil {
		return "", nil, err
	}
	return addition.Path, addition.Commit, nil
}
`)
