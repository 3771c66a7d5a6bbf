//go:build linux

package disk_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// programs is how many random programs a test runs: fewer with -short, and as
// many as -rapid.checks says if it is given.
func programs(t *testing.T, usual, short int) {
	t.Helper()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if given {
		return
	}
	n := usual
	if testing.Short() {
		n = short
	}
	f := flag.Lookup("rapid.checks")
	was := f.Value.String()
	require.NoError(t, f.Value.Set(fmt.Sprint(n)))
	t.Cleanup(func() { _ = f.Value.Set(was) })
}

func TestRandomProgramsAnswerLikeTmpfs(t *testing.T) {
	programs(t, 1200, 150)
	base := scratch(t, "/dev/shm")
	for _, privileged := range []bool{false, true} {
		t.Run(map[bool]string{false: "ordinary user", true: "privileged"}[privileged], func(t *testing.T) {
			if privileged && os.Geteuid() != 0 {
				t.Skip("skipped, because this is not root")
			}
			differential(t, base, disk.Options{Privileged: privileged})
		})
	}
}

func TestRandomProgramsAnswerLikeExt4(t *testing.T) {
	programs(t, 100, 10)
	base := scratch(t, t.TempDir())
	var info unix.Statfs_t
	require.NoError(t, unix.Statfs(base, &info))
	if info.Type != unix.EXT4_SUPER_MAGIC {
		t.Skip("skipped, because the temporary directory is not on ext4")
	}
	differential(t, base, disk.Options{Privileged: os.Geteuid() == 0, Ext4: true})
}

// scratch makes a directory that everybody can write to.
func scratch(t *testing.T, parent string) string {
	t.Helper()
	base, err := os.MkdirTemp(parent, "afterlock-differential-")
	if err != nil {
		t.Skipf("skipped, because there is no place for files: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	require.NoError(t, os.Chmod(base, 0o777))
	return base
}

// nobody is who an ordinary user is when the test runs as root.
const nobody = 65534

func differential(t *testing.T, base string, options disk.Options) {
	// The thread has mounts and an identity of its own, and ends with the test.
	runtime.LockOSThread()
	if options.Privileged {
		require.NoError(t, unix.Unshare(unix.CLONE_NEWNS))
		require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	}
	n := 0
	counts := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		n++
		steps := slices.Clone(prelude)
		for i, fragment := range fragments {
			if rapid.IntRange(0, 3).Draw(t, fmt.Sprint("fragment ", i)) == 3 {
				steps = append(steps, fragment...)
			}
		}
		steps = append(steps, rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(t, "program")...)
		p := newPair(t, filepath.Join(base, fmt.Sprint(n)), options)
		defer p.remove()
		for i, s := range steps {
			simulated, real := p.run(s)
			word, _, _ := strings.Cut(real, ";")
			counts[s.Call+" "+word]++
			if simulated != real {
				t.Fatalf("step %d, %v: the disk says %s, the kernel says %s\nprogram:\n%s", i, s, simulated, real, program(steps[:i+1]))
			}
			if quiet[s.Call] || !strings.HasPrefix(real, "ok") && i < len(steps)-1 {
				continue
			}
			if here, there := p.trees(); here != there {
				t.Fatalf("step %d, %v: the disk has\n%s\nthe kernel has\n%s\nprogram:\n%s", i, s, here, there, program(steps[:i+1]))
			}
		}
	})
	must := common
	if n >= 10000 { // fewer need not meet what is rare
		must = wanted(options.Privileged)
	}
	for _, want := range must {
		assert.True(t, n < 100 || counts[want] > 0, "no program met %q", want)
	}
	t.Logf("%d programs; %d sorts of answers", n, len(counts))
}

// quiet are calls that change no name; the trees are not compared after them.
var quiet = map[string]bool{"Stat": true, "StatName": true, "List": true, "TakeLock": true, "SyncData": true,
	"OpenToInspect": true, "LockHolder": true, "ReadOwner": true, "OpenRoot": true, "OpenLock": true, "OpenDirectory": true, "OpenUnnamed": true}

func program(steps []step) string {
	var lines []string
	for i, s := range steps {
		lines = append(lines, fmt.Sprintf("%3d %v", i, s))
	}
	return strings.Join(lines, "\n")
}
