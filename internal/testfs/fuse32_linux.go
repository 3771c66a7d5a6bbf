//go:build 386 || arm || mips || mipsle

package testfs

import "testing"

const no32 = "skipped, because the FUSE server of the tests does not build for 32 bits"

// Fuse skips the test on this architecture.
func Fuse(t testing.TB) string {
	t.Helper()
	t.Skip(no32)
	return ""
}

// FuseAt skips the test on this architecture.
func FuseAt(t testing.TB, _ string) func() {
	t.Helper()
	t.Skip(no32)
	return nil
}

// FuseInterrupted skips the test on this architecture.
func FuseInterrupted(t testing.TB) string { return Fuse(t) }
