//go:build linux

package tempdir_test

import (
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	// traced ROOT VICTIM: one create, stage and close on one thread, with a
	// failing access(2) of a telling path between them.
	proc.Register("traced", func(arguments []string) {
		runtime.LockOSThread()
		mark := func(name string) { unix.Access("/mark/"+name, 0) }
		root := must(tempdir.Open(arguments[0]))
		mark("create")
		dir, err := root.Create()
		mark("stage")
		must(0, err)
		err = dir.StageDeletion(arguments[1])
		mark("close")
		must(0, err)
		err = dir.Close(background)
		mark("end")
		must(0, err)
	})
}

// The view from outside, which no call can bypass: what one create, stage and
// close cost. Upstream needs 12 for the first.
func TestSystemCallsAsStraceListsThem(t *testing.T) {
	root := openRoot(t)
	victim := beside(root, "victim")
	require.NoError(t, os.Mkdir(victim, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(victim, "file"), nil, 0o644))
	content := testfs.Strace(t, proc.New("traced", root.Path(), victim).Cmd)

	calls := map[string][]string{}
	for match, section := range betweenMarks(content) {
		calls[section] = append(calls[section], testfs.Any32.Replace(match[2]))
	}
	// For the id; newer kernels answer without a system call.
	calls["create"] = slices.DeleteFunc(calls["create"], func(name string) bool { return name == "getrandom" })
	for section, names := range calls {
		t.Logf("%-6s %d: %s", section, len(names), strings.Join(names, " "))
	}
	sync := []string{"fsync"} // where the file system does not order renames
	if root.Ordered() {
		sync = nil
	}
	assert.Equal(t, map[string][]string{
		"create": {"openat", "fcntl", "pwrite64", "linkat", "mkdirat"},
		"stage":  {"renameat2"},
		"close": slices.Concat([]string{"openat2"}, sync, []string{
			"getdents64",                                                           // the data directory
			"openat2", "getdents64", "unlinkat", "getdents64", "unlinkat", "close", // the victim: one file
			"getdents64", "unlinkat", "close", // the data directory
			"statx", "statx", "unlinkat", "close", // recheck, lock file
		}),
	}, calls)
}

// betweenMarks are the calls that strace lists after a mark and before "end", of the thread
// that makes the marks and, if they are named, of any: each as thread, name and
// arguments, with the mark.
func betweenMarks(content string, ofAny ...string) iter.Seq2[[]string, string] {
	return func(yield func([]string, string) bool) {
		thread, section := "", "end"
		for _, match := range regexp.MustCompile(`(?m)^(\d+) +(\w+)(\(.*)$`).FindAllStringSubmatch(content, -1) {
			if _, name, ok := strings.Cut(match[3], `"/mark/`); ok {
				thread, section = match[1], name[:strings.IndexByte(name, '"')]
			} else if section != "end" && (match[1] == thread || slices.Contains(ofAny, match[2])) && !slices.Contains(testfs.RuntimeCalls, match[2]) {
				if !yield(match, section) {
					return
				}
			}
		}
	}
}
