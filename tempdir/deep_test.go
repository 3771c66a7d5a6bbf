//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A mortal kernel makes so many more calls that change something, and then none, as
// that of a process that is killed. It also ends with a call that is made again and again,
// with the same arguments and the same errno.
type mortalKernel struct {
	left    int // -1: it lives
	dead    bool
	again   map[string]int
	endless string
}

func (k *mortalKernel) Before(c *kernel.Call) error {
	switch c.Method {
	case kernel.RemoveEntry, kernel.RemoveDirectory, kernel.RemoveData, kernel.RemoveLock, kernel.Hoist:
		if k.left--; k.left == -1 {
			k.dead = true
		}
	}
	if k.dead && c.Method != kernel.Close {
		return unix.ESRCH
	}
	return nil
}

func (k *mortalKernel) After(c *kernel.Call) {
	// What was hoisted comes last, so that it is still there when its name is wanted.
	slices.SortFunc(c.Entries, func(a, b kernel.Entry) int { return strings.Compare(b.Name, a.Name) })
	if c.Err == nil {
		return
	}
	call := fmt.Sprint(c.Method, c.Dir, c.Name, c.ToDir, c.To, c.Err)
	if k.again[call]++; k.again[call] > 8 {
		k.endless, k.dead = call, true
	}
}

// recoverDeep recovers the root in a process that is killed after so many calls.
func recoverDeep(t *testing.T, path string, calls int) (finished bool) {
	t.Helper()
	k := &mortalKernel{left: calls, again: map[string]int{}}
	root, err := tempdir.Open(path, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)), tempdir.OrphanGrace(0), tempdir.Workers(1))
	require.NoError(t, err)
	defer root.Close()
	_, err = root.Recover(background)
	require.Empty(t, k.endless, "a call that is made again and again")
	if !k.dead {
		require.NoError(t, err)
	}
	return !k.dead
}

// Recovery of a tree that is deeper than what is kept open may be killed before each of
// its calls, and the next one as well: what the dead have hoisted is in nobody's way.
func TestKilledTwiceInADeepTree(t *testing.T) {
	base := testfs.InMemory(t)
	var text strings.Builder
	at := "temp-dir-" + staleID
	fmt.Fprintf(&text, "0600 lock-%s \"\"\n0700 %s/\n", staleID, at)
	for _, tree := range []string{"0-layer", "1-layer"} {
		path := at
		for depth := range 35 { // 32 are kept open
			if path = filepath.Join(path, "d"); depth == 0 {
				path = filepath.Join(at, tree)
			}
			fmt.Fprintf(&text, "0700 %s/\n", path)
		}
		fmt.Fprintf(&text, "0600 %s/file \"\"\n", path)
	}
	rounds := 0
	for first := 0; ; first += 1 + first/8 {
		for second := 0; ; second += 1 + second/2 {
			rounds++
			path := filepath.Join(base, fmt.Sprint(rounds))
			require.NoError(t, os.Mkdir(path, 0o700))
			testfs.Lay(t, path, text.String())
			if recoverDeep(t, path, first) {
				require.Greater(t, rounds, 60, "all is gone after fewer")
				return
			}
			done := recoverDeep(t, path, second)
			recoverDeep(t, path, -1)
			require.Empty(t, testfs.Text(t, path), "killed before calls %d and %d", first, second)
			if done {
				break
			}
		}
	}
}
