//go:build linux

package layerstore_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// How often every operation waits for the disk, for what, and whether under the store lock
// (in brackets, where everybody else waits, too), is testdata/fsyncs.txt: on a file system
// that orders names, on one that does not, and with [layerstore.Sync] if that adds any.
func TestFsyncsOfEveryOperation(t *testing.T) {
	th := newTheatre(t, layerstore.Overlay)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		fmt.Fprintln(&text, name)
		for _, mode := range []string{"ordered", "unordered"} {
			without := th.fsyncs(t, operations[name], mode == "unordered")
			fmt.Fprintf(&text, "\t%-15s %s\n", mode, without)
			if with := th.fsyncs(t, operations[name], mode == "unordered", layerstore.Sync()); with != without {
				fmt.Fprintf(&text, "\t%-15s %s\n", mode+" Sync", with)
			}
		}
	}
	assert.Equal(t, string(must(os.ReadFile("testdata/fsyncs.txt"))), text.String())
}

// fsyncs are what the operation makes durable in the scene, in order: under the store
// lock and outside, how many; and each, those under the lock in brackets.
func (th *theatre) fsyncs(t *testing.T, o operation, unordered bool, more ...layerstore.Option) string {
	t.Helper()
	dir := must(os.MkdirTemp(th.dir, ""))
	defer os.RemoveAll(dir)
	testfs.Lay(t, dir, th.text)
	path, _ := at([]string{dir}, th.driver)
	l := &ledger{Disk: kernel.LinuxDisk(), store: path, locks: true, unordered: unordered || o.loose, marks: o.refuse == "Disk.Replace"}
	l.refuse = func(c *kernel.Call) error {
		if "Kernel."+c.Method.String() != o.refuse {
			return nil
		}
		return map[kernel.Method]error{kernel.StageDeletion: unix.EXDEV, kernel.Commit: unix.EEXIST}[c.Method]
	}
	options := []layerstore.Option{layerstore.WithDriver(th.driver), layerstore.OrphanGrace(0), layerstore.CountsOnly(), layerstore.WithoutRecovery()}
	s := must(layerstore.Open(path, slices.Concat(options, l.options(), more)...))
	defer s.Close()
	if o.after != "" && !strings.Contains(o.after, " half") { // or it finishes that first
		must(s.Load(background))
		l.take()
	}
	require.NoError(t, o.run(s))
	counts := map[bool]int{}
	var words []string
	for _, line := range l.take() {
		what, locked := strings.CutSuffix(line, ", locked")
		call, object, _ := strings.Cut(what, " ")
		switch {
		case !strings.HasPrefix(call, "sync"):
			continue
		case call == "syncfs":
			object = "all of " + object
		case locked:
			object = "[" + object + "]"
		}
		counts[locked]++
		words = append(words, strings.ReplaceAll(object, "store/", ""))
	}
	return strings.TrimSuffix(fmt.Sprintf("%d locked, %d not: %s", counts[true], counts[false], strings.Join(words, ", ")), ": ")
}
