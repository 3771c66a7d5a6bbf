package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const fixtures = "../../model/conformance/trace/testdata"

func TestCheckJudgesATrace(t *testing.T) {
	stdout, stderr, code := call(t, "check", filepath.Join(fixtures, "ghost-ok.txt"))
	require.Zero(t, code, stdout+stderr)
	assert.Contains(t, stdout, "verdict: valid\n")

	stdout, _, code = call(t, "check", filepath.Join(fixtures, "ghost-bad.txt"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stdout, "verdict: invalid\n")
	assert.Contains(t, stdout, `the guard p \in Creator /\ pc[p] = "live", or p \in Recoverer /\ pc[p] = "claimed" is false`)
	assert.Contains(t, stdout, "next event: ")

	path := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(path, []byte("afterlock trace text 1\nfiles 2\n0 p0 orphan temp-dir-a1 trees=4\n"), 0o600))
	stdout, _, code = call(t, "check", path)
	assert.Equal(t, 3, code)
	assert.Contains(t, stdout, "undecided: instance a1: 4 trees")
	assert.Contains(t, stdout, "verdict: undecided\n")
}

func TestCheckJudgesAHistoryAndDrawsIt(t *testing.T) {
	for name, want := range map[string]struct {
		code    int
		verdict string
	}{"flagged-ok": {0, "ok"}, "flagged-bad": {1, "illegal"}} {
		text, err := os.ReadFile(filepath.Join("../../linearizability/testdata", name))
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		stdout, stderr, code := call(t, "check", path)
		assert.Equal(t, want.code, code, stdout+stderr)
		assert.Contains(t, stdout, "verdict: "+want.verdict+"\n")
		picture, err := os.ReadFile(path + ".html")
		require.NoError(t, err)
		assert.Contains(t, string(picture), "</html>")
	}
}

func TestCheckRefusesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	for _, tt := range []struct{ path, wants string }{
		{fifo, "is not a regular file"},
		{"/dev/zero", "is not a regular file"},
		{write("empty", ""), "the first line is that of no file that verify saves"},
		{write("other", "hello\n"), "the first line is that of no file that verify saves"},
		{write("corrupt", "afterlock trace text 1\nfiles 2\n0 p1 says\n"), "line 3: "},
		{filepath.Join(dir, "missing"), "no such file"},
		{dir, "is a directory"},
	} {
		_, stderr, code := call(t, "check", tt.path)
		assert.Equal(t, 2, code, tt.path)
		assert.Contains(t, stderr, tt.path)
		assert.Contains(t, stderr, tt.wants)
	}
	_, stderr, code := call(t, "check", "--timeout", "-1s", write("history", "afterlock history 1\n"))
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "--timeout -1s: a history cannot take less than nothing")
}
