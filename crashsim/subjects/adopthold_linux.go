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
		servers := make(map[string]*serving)
		for _, variant := range variants {
			driver, err := a.Driver(ctx, variant)
			if err == nil {
				servers[variant], err = (&scene{filepath.Join(dir, variant), graph}).serve(ctx, driver)
			}
			if err != nil {
				return err
			}
			defer servers[variant].end()
		}
		for turn := range heldTurns {
			for i := range variants {
				variant := variants[(turn+i)%len(variants)]
				server := servers[variant]
				if _, err := server.ask("put", "small", "-", "10", "0"); err != nil {
					return err
				}
				if _, err := server.ask("delete", "small"); err != nil {
					return err
				}
				turns[variant] = append(turns[variant], holding{layers: server.held["layers.lock"]})
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
