//go:build !linux

package testfs

import "testing"

const elsewhere = "skipped, because file systems for tests are made on Linux only"

func skip(t testing.TB) string {
	t.Helper()
	t.Skip(elsewhere)
	return ""
}

// Tmpfs skips the test on this system.
func Tmpfs(t testing.TB, _ string) string { return skip(t) }

// Ext4 skips the test on this system.
func Ext4(t testing.TB, _ Ext4Options) string { return skip(t) }

// Xfs skips the test on this system.
func Xfs(t testing.TB) string { return skip(t) }

// Btrfs skips the test on this system.
func Btrfs(t testing.TB) string { return skip(t) }

// Mount skips the test on this system.
func Mount(t testing.TB, _, _, _ string) string { return skip(t) }

// Overlay skips the test on this system.
func Overlay(t testing.TB) string { return skip(t) }

// Fuse skips the test on this system.
func Fuse(t testing.TB) string { return skip(t) }

// FuseInterrupted skips the test on this system.
func FuseInterrupted(t testing.TB) string { return skip(t) }

// Bindfs skips the test on this system.
func Bindfs(t testing.TB) string { return skip(t) }

// Bind skips the test on this system.
func Bind(t testing.TB, _, _ string) { skip(t) }

// ReadOnly skips the test on this system.
func ReadOnly(t testing.TB, _ string) { skip(t) }
