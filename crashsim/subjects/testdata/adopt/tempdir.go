// Package tempdir has package compat in the place of the package of this name, and
// the unexported things that its own tests look at.
package tempdir

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
)

const (
	tempDirPrefix     = "temp-dir-"
	tempdirLockPrefix = "lock-"
)

type (
	StagedAddition     = compat.StagedAddition
	CleanupTempDirFunc = compat.CleanupTempDirFunc
)

var (
	RecoverStaleDirs            = compat.RecoverStaleDirs
	CleanupTemporaryDirectories = compat.CleanupTemporaryDirectories
)

type TempDir struct {
	*compat.TempDir
	tempDirPath, tempDirLockPath string
	tempDirLock                  *compat.TempDir
}

// NewTempDir finds the paths, which compat does not tell, by what is new in the root.
func NewTempDir(root string) (*TempDir, error) {
	before, _ := filepath.Glob(filepath.Join(root, tempDirPrefix+"*"))
	inner, err := compat.NewTempDir(root)
	if err != nil {
		return nil, err
	}
	td := &TempDir{TempDir: inner, tempDirLock: inner}
	after, err := filepath.Glob(filepath.Join(root, tempDirPrefix+"*"))
	for _, path := range after {
		if !slices.Contains(before, path) {
			td.tempDirPath = path
			id := strings.TrimPrefix(filepath.Base(path), tempDirPrefix)
			td.tempDirLockPath = filepath.Join(root, tempdirLockPrefix+id)
		}
	}
	return td, err
}

func (td *TempDir) Cleanup() error {
	err := td.TempDir.Cleanup()
	td.tempDirPath, td.tempDirLockPath, td.tempDirLock = "", "", nil
	return err
}

func listPotentialStaleDirs(path string) (map[string]struct{}, error) {
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return nil, nil
	}
	root, err := tempdir.Open(path, tempdir.MixedFleet(0, 0))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	ids := make(map[string]struct{})
	found, err := root.Instances(context.Background())
	for _, instance := range found {
		if instance.State != tempdir.Foreign {
			ids[instance.Name] = struct{}{}
		}
	}
	return ids, err
}
