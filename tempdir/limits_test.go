//go:build linux

package tempdir_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// However many reasons came before, every kind and the context's error are told
// (REVIEW B8).
func TestLeftoverMatchesEveryKind(t *testing.T) {
	for _, files := range []int{1, tempdir.MaxLeftovers - 1, tempdir.MaxLeftovers, tempdir.MaxLeftovers + 1, 100} {
		ctx, cancel := context.WithCancel(background)
		refused := map[string]unix.Errno{}
		failed := 0
		k := kernel.Around(kernel.Linux(), kernel.HookFunc(func(c *kernel.Call) error {
			if errno := refused[filepath.Base(c.Name)]; errno != 0 && c.Method == kernel.RemoveEntry {
				if failed++; failed == files+4 {
					cancel()
				}
				return errno
			}
			return nil
		}))
		root := openRoot(t, kernel.With[tempdir.Option](k))
		dir, entry := stageNew(t, root, func(path string) { require.NoError(t, os.Mkdir(path, 0o755)) })
		for i := range files {
			refused[fmt.Sprint("file", i)] = unix.EIO
		}
		refused["full"], refused["frozen"], refused["busy"], refused["readonly"] = unix.ENOSPC, unix.EUCLEAN, unix.ETXTBSY, unix.EROFS
		for name := range refused {
			require.NoError(t, os.WriteFile(filepath.Join(entry, name), nil, 0o600))
		}
		err := dir.Close(ctx)
		var left *tempdir.LeftoverError
		require.ErrorAs(t, err, &left)
		require.LessOrEqual(t, len(left.Reasons), tempdir.MaxLeftovers)
		for _, kind := range []error{
			tempdir.ErrLeftover, context.Canceled, tempdir.ErrNoSpace, tempdir.ErrReadOnly, unix.EIO, unix.EUCLEAN, unix.ETXTBSY,
		} {
			require.ErrorIs(t, err, kind, "%d files", files)
		}
		require.NotErrorIs(t, err, tempdir.ErrMountPoint)
		clear(refused)
		_, err = root.Recover(background)
		require.NoError(t, err)
		cancel()
	}
}

// What a killed process hoisted is in the way of the names that the next removal
// takes, however many there are.
func TestHoistedByAKilledProcess(t *testing.T) {
	for _, before := range []int{1, 2, tempdir.HoistAttempts + 1, 300} {
		k := newTap()
		root := openRoot(t, kernel.With[tempdir.Option](k))
		dir, entry := stageNew(t, root, func(path string) { makeDeep(t, path, 40, "d") })
		hoists := 0
		k.set(func(method, _ string) error {
			if method != "Hoist" {
				return nil
			}
			if hoists++; hoists == 1 { // whatever the order of the listing is, they are there now
				for i := range before {
					require.NoError(t, os.Mkdir(filepath.Join(filepath.Dir(entry), fmt.Sprintf("%d-hoisted", i)), 0o700))
				}
			}
			return nil
		})
		require.NoError(t, dir.Release())
		_, err := root.Recover(background)
		require.NoError(t, err)
		require.Empty(t, rootNames(t, root))
		require.LessOrEqual(t, hoists, 12, "names are tried in strides")
	}
}

// An instance that comes while a listing is made is found by the next MaybeDirty:
// what is taken for clean is what was seen before the listing.
func TestInstanceThatComesDuringAListing(t *testing.T) {
	k := &stamping{stamp: time.Now().Add(-time.Hour)}
	root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)))
	require.True(t, must(root.MaybeDirty()))
	var dir *tempdir.Dir
	k.listed = func() { // between the last call of the listing and its end
		k.listed = nil
		dir = must(openAt(t, root.Path()).Create())
		k.stamp = k.stamp.Add(time.Minute)
		require.True(t, must(root.MaybeDirty()), "another goroutine")
	}
	report, err := root.Recover(background)
	require.NoError(t, err)
	require.Empty(t, report.Results)
	require.True(t, must(root.MaybeDirty()))
	require.NoError(t, dir.Close(background))
	_, err = root.Recover(background)
	require.NoError(t, err)
	require.False(t, must(root.MaybeDirty()), "and then nothing is there")
}

// A stamping kernel says when the root was changed.
type stamping struct {
	stamp  time.Time
	listed func()
}

func (k *stamping) Before(c *kernel.Call) error {
	if c.Method == kernel.Close && k.listed != nil {
		k.listed()
	}
	return nil
}

func (k *stamping) After(c *kernel.Call) {
	if c.Method == kernel.Stat {
		c.Attributes.Changed = k.stamp
	}
}

// An owner record of exactly the greatest size is read whole, one byte more is cut
// to what fits.
func TestOwnerRecordOfEverySize(t *testing.T) {
	empty := len(tempdir.Owner{PID: 1, Executable: "x"}.Encode())
	for _, size := range []int{tempdir.MaxRecord - 1, tempdir.MaxRecord, tempdir.MaxRecord + 1} {
		owner := tempdir.Owner{PID: 1, Executable: "x", Purpose: strings.Repeat("p", size-empty-len(`,"purpose":""`))}
		record := owner.Encode()
		if size <= tempdir.MaxRecord {
			require.Len(t, record, size)
		} else {
			require.Less(t, len(record), tempdir.MaxRecord)
			owner.Executable, owner.Purpose = "", ""
		}
		root := openRoot(t)
		require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "lock-"+staleID), record, 0o600))
		require.Equal(t, &owner, instanceOf(t, root, staleID).Owner, size)
	}
}

// A name that cannot be looked at is listed, with the reason.
func TestInstancesLeavesNothingOut(t *testing.T) {
	failing := false
	k := kernel.Around(kernel.Linux(), kernel.HookFunc(func(c *kernel.Call) error {
		if failing && c.Method == kernel.StatName {
			return unix.EIO
		}
		return nil
	}))
	root := openRoot(t, kernel.With[tempdir.Option](k), tempdir.MixedFleet(long, long))
	makeOrphan(t, root)
	for name, mode := range map[string]os.FileMode{"lock-" + idOf("d"): 0o700, "foreign": 0o700} {
		require.NoError(t, os.Mkdir(filepath.Join(root.Path(), name), mode))
	}
	require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "lock-17"), nil, 0o600))
	before, err := root.Instances(background)
	require.NoError(t, err)
	require.Len(t, before, 4)
	failing = true
	after, err := root.Instances(background)
	require.NoError(t, err)
	require.Len(t, after, 4)
	for _, instance := range after {
		require.Error(t, instance.Err, instance.Name)
	}
}

// JSON has errors as text and every byte of a name.
func TestReportsInJSON(t *testing.T) {
	root := openRoot(t)
	for _, name := range []string{"\xff", "\xfe", "plain"} {
		require.NoError(t, os.WriteFile(filepath.Join(root.Path(), name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root.Path(), "lock-"+staleID), 0o700))
	report, err := root.Recover(background)
	require.ErrorIs(t, err, tempdir.ErrForeign)
	instances, err := root.Instances(background)
	require.NoError(t, err)
	text, err := json.Marshal(map[string]any{"report": report, "instances": instances})
	require.NoError(t, err)
	var read struct {
		Report struct {
			Results      []struct{ Error string }
			ForeignBytes [][]byte `json:"foreign_bytes"`
		}
		Instances []struct {
			Name      string
			NameBytes []byte `json:"name_bytes"`
			Error     string
		}
	}
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, report.Results[0].Err.Error(), read.Report.Results[0].Error)
	require.Equal(t, [][]byte{[]byte("\xfe"), []byte("\xff")}, read.Report.ForeignBytes)
	names := map[string]bool{}
	for i, instance := range read.Instances {
		name := instance.Name
		if instance.NameBytes != nil {
			name = string(instance.NameBytes)
		}
		require.Equal(t, instances[i].Name, name)
		require.Equal(t, instances[i].Err != nil, instance.Error != "")
		names[name] = true
	}
	require.Len(t, names, 4)
}

// Usage says that it did not look deeper than 64 levels, and not before.
func TestUsageAtItsDepth(t *testing.T) {
	root := openRoot(t)
	for levels := 62; levels < 66; levels++ {
		dir, _ := stageNew(t, root, func(path string) { makeDeep(t, path, levels, "d") })
		usage, err := root.Usage(background, dir.ID())
		require.NoError(t, err)
		require.Equal(t, levels >= 64, usage.Partial, levels)
		require.Equal(t, min(int64(2*levels+1), 2*64+1), usage.Files)
		require.NoError(t, dir.Close(background))
	}
}

// Every digit of an id is drawn: of 200 draws 16 digits are not fewer than 8.
func TestEveryDigitOfAnIDIsDrawn(t *testing.T) {
	drawn := map[string]bool{}
	root := openRoot(t)
	for range 200 {
		dir := must(root.Create())
		for at, digit := range dir.ID() {
			drawn[fmt.Sprint(at, " ", digit)] = true
		}
		require.NoError(t, dir.Close(background))
	}
	for at := range 2 * tempdir.Limits["idBytes"] {
		digits := 0
		for _, digit := range "0123456789abcdef" {
			digits += boolInt(drawn[fmt.Sprint(at, " ", digit)])
		}
		require.Greater(t, digits, 8, "digit %d", at)
	}
}
