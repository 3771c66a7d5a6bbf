package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// callsIn are the calls of the command that a document shows, and what it shows
// that they print.
func callsIn(t *testing.T, document string) (calls []string, printed map[string][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", document))
	require.NoError(t, err)
	printed = map[string][]string{}
	for _, block := range regexp.MustCompile("(?ms)^```(?:sh)?\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		last := ""
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			call, _, _ := strings.Cut(line, "  #")
			call, _, _ = strings.Cut(call, " >")
			if rest, ok := strings.CutPrefix(call, "$ afterlock "); ok {
				last = strings.TrimSpace(rest)
				calls = append(calls, last)
			} else if rest, ok := strings.CutPrefix(call, "./afterlock "); ok {
				calls = append(calls, strings.TrimSpace(rest))
			} else if last != "" {
				printed[last] = append(printed[last], line)
			}
		}
	}
	for _, match := range regexp.MustCompile("`afterlock ([^`]+)`").FindAllStringSubmatch(string(text), -1) {
		calls = append(calls, match[1])
	}
	return calls, printed
}

// Flags and commands that documents show exist, and what costs little is run.
func TestDocumentsShowCallsOfTheCommandThatWork(t *testing.T) {
	ran := 0
	for document, least := range map[string]int{"README.md": 5, "docs/verification.md": 8, "docs/speed.md": 4, "docs/operations.md": 8} {
		calls, printed := callsIn(t, document)
		assert.GreaterOrEqual(t, len(calls), least, document)
		for _, words := range calls {
			args := strings.Fields(words)
			stdout, stderr, code := call(t, append(args, "--help")...)
			assert.Zero(t, code, "%s: afterlock %s: %s", document, words, stderr)
			assert.Contains(t, stdout, "afterlock "+args[0], words)
		}
		for words, lines := range printed {
			stdout, stderr, code := call(t, append(strings.Fields(words), "--dir", t.TempDir())...)
			assert.Zero(t, code, "%s: %s", words, stderr)
			for _, line := range lines {
				assert.Contains(t, stdout, line+"\n", "%s: afterlock %s", document, words)
			}
			ran++
		}
	}
	assert.Positive(t, ran)
}

// The units are such that systemd takes them, and call the command as it is.
func TestSystemdUnits(t *testing.T) {
	const command = "/usr/local/bin/afterlock"
	dir, units := t.TempDir(), []string{}
	for _, name := range []string{"afterlock-recover.service", "afterlock-recover.timer"} {
		text, err := os.ReadFile(filepath.Join("../../docs/systemd", name))
		require.NoError(t, err)
		unit := strings.ReplaceAll(string(text), command, "/bin/true") // has to exist
		units = append(units, filepath.Join(dir, name))
		require.NoError(t, os.WriteFile(units[len(units)-1], []byte(unit), 0o600))
		if _, words, is := strings.Cut(string(text), "ExecStart="+command); is {
			words, _, _ = strings.Cut(words, "\n")
			_, stderr, code := call(t, append(strings.Fields(words), "--help")...)
			assert.Zero(t, code, stderr)
			assert.Contains(t, words, "recover")
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("skipped the rest, because there is no systemd-analyze")
	}
	output, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	require.NoError(t, err, string(output))
	for line := range strings.Lines(string(output)) { // it says what it has against this machine's units, too
		assert.NotContains(t, line, dir)
	}
}
