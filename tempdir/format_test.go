//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var ofOneRun = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|\\"(pid|start)\\":\d+|\\"executable\\":\\"[^"]*\\"`)

// plainText numbers what is different in every run, or on every machine.
func plainText(text string) string {
	seen := map[string]string{}
	return ofOneRun.ReplaceAllStringFunc(text, func(s string) string {
		if seen[s] == "" {
			seen[s] = fmt.Sprint("#", len(seen))
		}
		return seen[s]
	})
}

// A root with an instance is, on disk, what version 1 wrote, byte for byte: testdata/root.txt
// is never written again. Version 1's is read, told apart and recovered; and so
// is one of containers/storage.
func TestFormat(t *testing.T) {
	defer unix.Umask(unix.Umask(0o022))
	golden, err := os.ReadFile("testdata/root.txt")
	require.NoError(t, err)
	for name, k := range map[string]kernel.Kernel{
		"unnamed files": kernel.Linux(),
		"none": kernel.Around(kernel.Linux(), kernel.HookFunc(func(c *kernel.Call) error {
			if c.Method == kernel.OpenUnnamed {
				return unix.EOPNOTSUPP
			}
			return nil
		})),
	} {
		t.Run("written, "+name, func(t *testing.T) {
			base := t.TempDir()
			root := openAt(t, filepath.Join(base, "root"), tempdir.Purpose("format"), kernel.With[tempdir.Option](k))
			dir, err := root.Create()
			require.NoError(t, err)
			for _, victim := range []string{"layer", "a\n\"b\"$x – é", ".hidden", strings.Repeat("x", 70)} {
				path := filepath.Join(base, victim)
				require.NoError(t, os.WriteFile(path, []byte(victim), 0o644))
				require.NoError(t, dir.StageDeletion(path))
			}
			addition, err := dir.StageAddition()
			require.NoError(t, err)
			require.NoError(t, os.Mkdir(addition.Path(), 0o755))
			got := testfs.Text(t, root.Path())
			assert.Equal(t, plainText(string(golden)), plainText(got), got)
			require.NoError(t, dir.Release())
		})
	}
	for file, options := range map[string][]tempdir.Option{
		"root": nil, "upstream": {tempdir.MixedFleet(0, 0)},
	} {
		t.Run("read, "+file, func(t *testing.T) {
			path := t.TempDir()
			require.NoError(t, os.Chmod(path, 0o700))
			text, err := os.ReadFile("testdata/" + file + ".txt")
			require.NoError(t, err)
			testfs.Lay(t, path, string(text))
			root, err := tempdir.Open(path, options...)
			require.NoError(t, err)
			defer root.Close()
			instances, err := root.Instances(background)
			require.NoError(t, err)
			require.Len(t, instances, 1)
			require.Equal(t, tempdir.Stale, instances[0].State)
			if file == "root" {
				require.Equal(t, &tempdir.Owner{PID: 1, Start: 2, Boot: "00000000-0000-4000-8000-000000000000", Executable: "engine", Purpose: "format"}, instances[0].Owner)
			}
			report, err := root.Recover(background)
			require.NoError(t, err)
			require.Equal(t, 1, report.Count(tempdir.Recovered))
			require.Empty(t, testfs.Text(t, path))
		})
	}
}
