package subjects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
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

// adoptedHolds measures how long locks of a store are held for writing.
func (t *trial) adoptedHolds(ctx context.Context) error {
	return t.holds(ctx, []string{"released", "compat", "compat-out"}, []string{"disk", "tmpfs"}, heldTurns, t.Runs)
}

// holds measures how long locks of a store are held for writing: in deletions by
// turns, and by what comes after a kill.
func (t *trial) holds(ctx context.Context, variants, places []string, turns, rounds int) error {
	table := t.Table(fmt.Sprintf("How long a lock is held for writing, in a deletion and by what comes after a kill in one of %d files, median of %d [least..most] in milliseconds", heldFiles, rounds),
		append([]string{"store", ""}, variants...)...)
	for _, graph := range []string{"overlay", "vfs"} {
		for _, on := range places {
			row := func(what string, runs map[string][]holding, of func(holding) time.Duration) {
				cells := []any{graph + " on " + on, what}
				for _, variant := range variants {
					cells = append(cells, spread(runs[variant], of))
				}
				table.Row(cells...)
			}
			layers := func(h holding) time.Duration { return h.layers }
			small, err := t.byTurns(ctx, variants, graph, on, turns)
			if err != nil {
				return err
			}
			row(fmt.Sprintf("deletion, %d by turns: layers.lock", turns), small, layers)
			runs := make(map[string][]holding)
			for run := range rounds {
				// One after another, so that all meet the same load, and by turns.
				for i := range variants {
					variant := variants[(run+i)%len(variants)]
					h, err := t.hold(ctx, variant, graph, on)
					if err != nil {
						return fmt.Errorf("%s: %w", variant, err)
					}
					t.AtLeast(h.left, heldFiles/10, "names left by a kill")
					runs[variant] = append(runs[variant], h)
				}
			}
			row("deletion of as many files", runs, func(h holding) time.Duration { return h.deletion })
			row("next command after a kill: layers.lock", runs, layers)
			row("next command after a kill: storage.lock", runs, func(h holding) time.Duration { return h.store })
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
func (t *trial) byTurns(ctx context.Context, variants []string, graph, on string, turns int) (map[string][]holding, error) {
	found := make(map[string][]holding)
	err := t.on(ctx, on, func(dir string) error {
		servers := make(map[string]*serving)
		for _, variant := range variants {
			driver, err := t.Driver(ctx, variant+"-held")
			if err == nil {
				servers[variant], err = (&scene{filepath.Join(dir, variant), graph}).serve(ctx, driver)
			}
			if err != nil {
				return err
			}
			defer servers[variant].end()
		}
		for turn := range turns {
			for i := range variants {
				variant := variants[(turn+i)%len(variants)]
				server := servers[variant]
				if _, err := server.ask("put", "small", "-", "10", "0"); err != nil {
					return err
				}
				if _, err := server.ask("delete", "small"); err != nil {
					return err
				}
				found[variant] = append(found[variant], holding{layers: server.held["layers.lock"]})
			}
		}
		return nil
	})
	return found, err
}

// on runs do in an empty directory on disk or on a tmpfs.
func (t *trial) on(ctx context.Context, on string, do func(dir string) error) error {
	if on == "tmpfs" {
		return onTmpfs(ctx, t.dir, storeSize, do)
	}
	return t.onDisk(do)
}

// hold deletes one layer, and is killed while it deletes another.
func (t *trial) hold(ctx context.Context, variant, graph, on string) (h holding, err error) {
	driver, err := t.Driver(ctx, variant+"-held")
	if err != nil {
		return h, err
	}
	err = t.on(ctx, on, func(dir string) error {
		killed, err := (&scene{dir, graph}).serve(ctx, driver)
		if err != nil {
			return err
		}
		defer killed.kill()
		for _, layer := range []string{"one", "two"} {
			if _, err := killed.ask("put", layer, "-", fmt.Sprint(heldFiles), "0"); err != nil {
				return err
			}
		}
		if h.deletion, err = killed.ask("delete", "one"); err != nil {
			return err
		}
		// It has moved the layer when it gives the lock up, and begins to remove it.
		if err := killed.askUntilHeld("layers.lock", "delete", "two"); err != nil {
			return err
		}
		killed.kill()
		if h.left, err = inInstances(filepath.Join(dir, "graph")); err != nil {
			return err
		}
		next, err := (&scene{dir, graph}).serve(ctx, driver)
		if err != nil {
			return err
		}
		defer next.end()
		_, err = next.ask("list")
		h.layers, h.store = next.held["layers.lock"], next.held["storage.lock"]
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
