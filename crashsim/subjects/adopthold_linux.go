package subjects

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	heldFiles = 10_000 // of the layers whose deletion takes long
	heldTurns = 45     // small layers whose deletions are timed by turns
)

// A holding is what one run measures.
type holding struct {
	deletion      time.Duration // all of it
	layers, store time.Duration // layers.lock and storage.lock by the next command after a kill
	left          int           // names that the kill left
}

// holds measures how long locks of a store are held for writing.
func (a *adoption) holds(ctx context.Context) error {
	variants := []string{"released-held", "compat-held", "compat-out-held"}
	t := a.report.Table(fmt.Sprintf("How long a lock is held for writing, in a deletion and by what comes after a kill in one of %d files, median of %d [least..most] in milliseconds", heldFiles, a.runs),
		"store", "", "released", "compat", "compat, recovery out of the locks")
	for _, graph := range []string{"overlay", "vfs"} {
		for _, on := range []string{"disk", "tmpfs"} {
			turns, err := a.byTurns(ctx, variants, graph, on)
			if err != nil {
				return err
			}
			cells := []any{graph + " on " + on, fmt.Sprintf("deletion, %d by turns: layers.lock", heldTurns)}
			for _, variant := range variants {
				cells = append(cells, spread(turns[variant], func(h holding) time.Duration { return h.layers }))
			}
			t.Row(cells...)
			runs := make(map[string][]holding)
			for run := range a.runs {
				// One after another, so that all meet the same load, and by turns.
				for i := range variants {
					variant := variants[(run+i)%len(variants)]
					h, err := a.hold(ctx, variant, graph, on)
					if err != nil {
						return fmt.Errorf("%s: %w", variant, err)
					}
					a.report.AtLeast(h.left, heldFiles/10, "names left by a kill")
					runs[variant] = append(runs[variant], h)
				}
			}
			for _, row := range []struct {
				what string
				of   func(holding) time.Duration
			}{
				{"deletion of as many files", func(h holding) time.Duration { return h.deletion }},
				{"next command after a kill: layers.lock", func(h holding) time.Duration { return h.layers }},
				{"next command after a kill: storage.lock", func(h holding) time.Duration { return h.store }},
			} {
				cells = []any{graph + " on " + on, row.what}
				for _, variant := range variants {
					cells = append(cells, spread(runs[variant], row.of))
				}
				t.Row(cells...)
			}
		}
	}
	return nil
}

// spread is median, least and most in milliseconds.
func spread(runs []holding, of func(holding) time.Duration) string {
	var times []float64
	for _, run := range runs {
		times = append(times, float64(of(run).Microseconds())/1000)
	}
	slices.Sort(times)
	return fmt.Sprintf("%.1f [%.1f..%.1f]", times[len(times)/2], times[0], times[len(times)-1])
}

// byTurns deletes small layers in a store of each variant.
func (a *adoption) byTurns(ctx context.Context, variants []string, graph, on string) (map[string][]holding, error) {
	turns := make(map[string][]holding)
	err := a.on(ctx, on, func(dir string) error {
		talks := make(map[string]*talk)
		for _, variant := range variants {
			driver, err := a.Driver(ctx, variant)
			if err == nil {
				talks[variant], err = startTalk(ctx, driver, filepath.Join(dir, variant), graph)
			}
			if err != nil {
				return err
			}
			defer talks[variant].end()
		}
		for turn := range heldTurns {
			for i := range variants {
				variant := variants[(turn+i)%len(variants)]
				if _, err := talks[variant].say("put small - 10 0"); err != nil {
					return err
				}
				did, err := talks[variant].say("delete small")
				if err != nil {
					return err
				}
				turns[variant] = append(turns[variant], holding{layers: did.held["layers.lock"]})
			}
		}
		return nil
	})
	return turns, err
}

// on runs do in an empty directory on disk or on a tmpfs.
func (a *adoption) on(ctx context.Context, on string, do func(dir string) error) error {
	if on == "tmpfs" {
		return onTmpfs(ctx, a.dir, storeSize, do)
	}
	return a.onDisk(do)
}

// hold deletes one layer, and is killed while it deletes another.
func (a *adoption) hold(ctx context.Context, variant, graph, on string) (h holding, err error) {
	driver, err := a.Driver(ctx, variant)
	if err != nil {
		return h, err
	}
	err = a.on(ctx, on, func(dir string) error {
		killed, err := startTalk(ctx, driver, dir, graph)
		if err != nil {
			return err
		}
		defer killed.end()
		for _, layer := range []string{"one", "two"} {
			if _, err := killed.say(fmt.Sprint("put ", layer, " - ", heldFiles, " 0")); err != nil {
				return err
			}
		}
		did, err := killed.say("delete one")
		if err != nil {
			return err
		}
		h.deletion = did.took
		// It has moved the layer when it gives the lock up, and begins to remove it.
		if err := killed.sayUntilHeld("delete two", "layers.lock"); err != nil {
			return err
		}
		killed.end()
		if h.left, err = inInstances(filepath.Join(dir, "graph")); err != nil {
			return err
		}
		next, err := startTalk(ctx, driver, dir, graph)
		if err != nil {
			return err
		}
		defer next.end()
		did, err = next.say("list")
		h.layers, h.store = did.held["layers.lock"], did.held["storage.lock"]
		return err
	})
	return h, err
}

// inInstances counts the names in all instances of a store.
func inInstances(root string) (n int, err error) {
	instances, err := filepath.Glob(filepath.Join(root, "*", "t*mp*", "temp-dir-*"))
	for _, instance := range instances {
		err = errors.Join(err, filepath.WalkDir(instance, func(string, fs.DirEntry, error) error { n++; return nil }))
	}
	return n, err
}

// A talk is with a driver whose store stays open, and which says how long it held
// which lock.
type talk struct {
	*process
	to    io.Writer
	lines *bufio.Scanner
}

func startTalk(ctx context.Context, driver, dir, graph string) (*talk, error) {
	p := newProcess(ctx, driver, dir, "--driver", graph)
	p.cmd.Stdout = nil
	to, err := p.cmd.StdinPipe()
	from, err2 := p.cmd.StdoutPipe()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return &talk{p, to, bufio.NewScanner(from)}, p.cmd.Start()
}

// did is what a driver did: how long that took, and the longest time for which it
// held each lock.
type did struct {
	took time.Duration
	held map[string]time.Duration
}

// end kills the driver.
func (t *talk) end() { _ = killAll([]*process{t.process}) }

// next reads a line: how long a lock was held, or, if no lock is named, how long
// the whole command took.
func (t *talk) next() (lock string, took time.Duration, err error) {
	if !t.lines.Scan() {
		return "", 0, errors.Join(errors.New("the driver ended"), t.lines.Err())
	}
	line := t.lines.Text()
	if strings.HasPrefix(line, "held ") {
		_, err = fmt.Sscanf(line, "held %s %d", &lock, &took)
		return lock, took, err
	}
	took, _, err = answer(line)
	return "", took, err
}

// say has a command done.
func (t *talk) say(command string) (did, error) {
	d := did{held: make(map[string]time.Duration)}
	if _, err := fmt.Fprintln(t.to, command); err != nil {
		return d, err
	}
	for {
		lock, took, err := t.next()
		if err != nil {
			return d, fmt.Errorf("%s: %w", command, err)
		}
		if lock == "" {
			d.took = took
			return d, nil
		}
		d.held[lock] = max(d.held[lock], took)
	}
}

// sayUntilHeld begins a command, and returns when it gives the lock up.
func (t *talk) sayUntilHeld(command, lock string) error {
	if _, err := fmt.Fprintln(t.to, command); err != nil {
		return err
	}
	for {
		given, _, err := t.next()
		if err != nil || given == lock {
			return err
		}
		if given == "" {
			return fmt.Errorf("%s: done, and %s was not held", command, lock)
		}
	}
}
