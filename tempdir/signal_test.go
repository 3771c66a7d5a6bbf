//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	// busy ROOT ROUNDS SIGNALS: creates, stages, commits, closes and recovers
	// at least that often, until it has handled that many signals. Any error is
	// a panic.
	proc.Register("busy", func(arguments []string) {
		var signals atomic.Int64
		arrived := make(chan os.Signal, 1)
		signal.Notify(arrived, unix.SIGUSR1)
		go func() {
			for range arrived {
				signals.Add(1)
			}
		}()
		root := must(tempdir.Open(arguments[0], tempdir.OrphanGrace(0)))
		proc.Parent.Say("ready")
		rounds, enough := must(strconv.Atoi(arguments[1])), must(strconv.ParseInt(arguments[2], 10, 64))
		n := 0
		for ; n < rounds || signals.Load() < enough; n++ {
			busyRound(root, n)
		}
		proc.Parent.Say("%d rounds, %d signals", n, signals.Load())
	})
}

// busyRound makes every call of the package once and checks what came of it.
func busyRound(root *tempdir.Root, n int) {
	dir := must(root.Create())
	addition := must(dir.StageAddition())
	for _, name := range []string{"a/b", "c/d"} {
		must(0, os.MkdirAll(filepath.Join(addition.Path(), name), 0o700))
		must(0, os.WriteFile(filepath.Join(addition.Path(), name, "file"), []byte(name), 0o600))
	}
	destination := filepath.Join(filepath.Dir(root.Path()), fmt.Sprint("layer", n))
	must(0, addition.Commit(destination))
	for _, name := range []string{"a/b", "c/d"} {
		if content := must(os.ReadFile(filepath.Join(destination, name, "file"))); string(content) != name {
			panic("a committed file is damaged")
		}
	}
	must(0, dir.StageDeletion(destination))
	if n%5 == 0 {
		// What a crashed process leaves.
		must(0, os.MkdirAll(filepath.Join(root.Path(), "temp-dir-"+staleID, "0-layer"), 0o700))
		report := must(root.Recover(background))
		if report.Count(tempdir.Skipped) != 1 || report.Count(tempdir.Recovered) != 1 {
			panic(fmt.Sprintf("%+v", report))
		}
		must(root.Instances(background))
	}
	must(0, dir.Close(background))
	if names := must(os.ReadDir(root.Path())); len(names) > 0 {
		panic(fmt.Sprintf("left: %v", names))
	}
}

// A signal that is handled, or a stop, may come during any call. No operation
// fails of it, and nothing is lost.
func TestSignalsDuringEveryCall(t *testing.T) {
	const (
		pace  = 50 * time.Microsecond
		stops = 50 // signals between two stops
	)
	rounds, signals := "30", "1500"
	if testing.Short() {
		rounds, signals = "10", "300"
	}
	for _, kind := range testfs.Kinds() {
		if kind.Name != "plain" && kind.Name != "fuse" || kind.Mounted && testing.Short() {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			root := openAt(t, filepath.Join(kind.Make(t), "root"))
			child := proc.Start(t, "busy", root.Path(), rounds, signals)
			require.Equal(t, "ready", child.Says(t))
			result := make(chan string, 1)
			go func() { // also of a child that panics: the end of its output
				line, _ := child.Line()
				result <- line
			}()
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for sent := 1; ; sent++ {
				select {
				case line := <-result:
					require.NotEmpty(t, line, "the child failed")
					t.Log(line)
					require.NoError(t, child.Wait())
					require.Empty(t, rootNames(t, root))
					return
				case <-ticker.C:
					_ = child.Process.Signal(unix.SIGUSR1) // it may have ended
					if sent%stops == 0 {
						_ = child.Process.Signal(unix.SIGSTOP)
						_ = child.Process.Signal(unix.SIGCONT)
					}
				}
			}
		})
	}
}

// Where the file system is interrupted by a signal before it has done anything,
// the call is made again.
func TestInterruptedCallsAreMadeAgain(t *testing.T) {
	root := openAt(t, filepath.Join(testfs.FuseInterrupted(t), "root"))
	child := proc.Start(t, "busy", root.Path(), "20", "0")
	require.Equal(t, "ready", child.Says(t))
	require.Equal(t, "20 rounds, 0 signals", child.Says(t))
	require.NoError(t, child.End())
	require.Empty(t, rootNames(t, root))
}
