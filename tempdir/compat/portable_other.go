//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package compat

import (
	"errors"
	"io/fs"
	"os"
)

// The standard library has no lock here that tells live from stale.

func systemLock(*os.File) error { return errors.ErrUnsupported }

func heldElsewhere(*os.File) bool { return true } // nothing is lost by a close

func device(fs.FileInfo) uint64 { return 0 }

func links(fs.FileInfo) uint64 { return 1 }

func ofAnotherUser(fs.FileInfo) bool { return false }

func systemClearFlags(*os.Root, string, fs.FileInfo) bool { return false }
