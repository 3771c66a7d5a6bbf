//go:build !linux

package compat_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
)

func TestEverythingIsUnsupported(t *testing.T) {
	root := t.TempDir()
	_, err := compat.NewTempDir(root)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, compat.RecoverStaleDirs(root), errors.ErrUnsupported)
	_, _, err = compat.CreateAndLock(root, "lock-")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = compat.TryLockPath(filepath.Join(root, "lock"))
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
