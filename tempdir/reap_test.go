//go:build linux

package tempdir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A look takes the interval, more or less; one at a root that has not changed is no recovery,
// but for every tenth.
func TestReapLooksNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTap()
		var looks []time.Duration
		begin := time.Now()
		last := begin
		k.set(func(method, _ string) error {
			if method == "Stat" {
				looks = append(looks, time.Since(last))
				last = time.Now()
			}
			return nil
		})
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(k, &stamping{stamp: begin.Add(-time.Hour)})))
		looks = nil // of Open
		ctx, cancel := context.WithTimeout(background, 1000*time.Minute)
		defer cancel()
		reported := 0
		require.ErrorIs(t, root.Reap(ctx, 0, func(report tempdir.Report, err error) {
			assert.NoError(t, err)
			reported++
		}), context.DeadlineExceeded)
		require.Equal(t, 1000*time.Minute, time.Since(begin))
		shorter := 0
		for _, pause := range looks {
			require.True(t, 45*time.Second <= pause && pause <= 75*time.Second, pause)
			if pause < time.Minute {
				shorter++
			}
		}
		require.InDelta(t, len(looks)/2, shorter, float64(len(looks))/5, "by chance")
		require.Equal(t, 1+len(looks)/10, reported)
	})
}

// An instance that fails is tried less and less often, at least every hour or so, and
// recovered as soon as that works; others are not kept waiting.
func TestReapBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTap()
		root := openRoot(t, kernel.With[tempdir.Option](k))
		tried, last := []time.Duration{}, time.Now()
		removable, looks := false, 0
		const unlisted = 150 // in the middle of an hour's rest, which goes on
		k.set(func(method, name string) error {
			if method == "RemoveEntry" && name == "stays" && !removable {
				tried, last = append(tried, time.Since(last)), time.Now()
				return unix.EIO
			}
			if method == "OpenDirectory" && name == "." && looks == unlisted {
				return unix.EIO
			}
			return nil
		})
		leave := func() string {
			data := makeStale(t, root)
			require.NoError(t, os.WriteFile(filepath.Join(data, "stays"), nil, 0o600))
			return data
		}
		data := leave()
		ctx, cancel := context.WithTimeout(background, 1000*time.Hour)
		defer cancel()
		err := root.Reap(ctx, time.Minute, func(report tempdir.Report, err error) {
			if looks++; looks == unlisted+1 {
				assert.ErrorIs(t, err, unix.EIO)
				assert.Empty(t, report.Results)
				return
			}
			switch outcome := outcomeOf(t, report, someID).Outcome; {
			case outcome == tempdir.Failed:
				assert.ErrorIs(t, err, unix.EIO)
				removable = len(tried) == 11
			case outcome == tempdir.Recovered && len(tried) == 11:
				assert.NoDirExists(t, data)
				removable = false
				leave() // it is as new
			case outcome == tempdir.Recovered:
				cancel()
			default:
				assert.NoError(t, err)
				assert.Equal(t, tempdir.Resting, outcome)
			}
			if len(tried) == 13 {
				removable = true
			}
			if looks > 1 && looks < 100 {
				assert.Equal(t, tempdir.Recovered, outcomeOf(t, report, idOf(fmt.Sprintf("%02d", looks-1))).Outcome)
			}
			if looks < 99 {
				leaveMany(t, root, looks, 1)
			}
		})
		require.ErrorIs(t, err, context.Canceled)
		const look = 75 * time.Second
		for i, most := range []int{0, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, -1, 2} {
			pause := time.Duration(max(most, 0)) * time.Minute
			if most == -1 { // when it worked, and one look later
				pause = time.Hour
			}
			require.GreaterOrEqual(t, tried[i], pause, tried)
			require.LessOrEqual(t, tried[i], pause+2*look, tried)
		}
	})
}

// What ends a reaper, and what does not.
func TestReapEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(root *tempdir.Root, cancel func())
		want error
	}{
		"context":   {func(_ *tempdir.Root, cancel func()) { cancel() }, context.Canceled},
		"closed":    {func(root *tempdir.Root, _ func()) { root.Close() }, tempdir.ErrClosed},
		"root gone": {func(root *tempdir.Root, _ func()) { os.Remove(root.Path()) }, tempdir.ErrRootGone},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newTap()
				root := openRoot(t, kernel.With[tempdir.Option](k))
				pauses := []time.Duration{}
				k.set(func(method, _ string) error {
					if method == "List" && len(pauses) != 3 {
						return unix.EIO
					}
					return nil
				})
				ctx, cancel := context.WithTimeout(background, 1000*time.Hour)
				defer cancel()
				at := time.Now()
				err := root.Reap(ctx, time.Second, func(_ tempdir.Report, err error) {
					pauses, at = append(pauses, time.Since(at)), time.Now()
					if len(pauses) == 20 {
						c.end(root, cancel)
					} else if len(pauses) != 4 {
						assert.ErrorIs(t, err, unix.EIO)
					}
				})
				require.ErrorIs(t, err, c.want)
				want := time.Second
				for i, pause := range pauses { // 1, 2, 4, 8, 1, 2, 4, ... 3600 seconds
					require.True(t, want*3/4 <= pause && pause <= want*5/4, pauses)
					if want = min(2*want, time.Hour); i == 3 {
						want = time.Second
					}
				}
			})
		})
	}
}
