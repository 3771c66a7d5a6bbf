//go:build amd64 || arm64

package subjects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/crashsim/powerloss"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// PowerLoss takes the power away under a store of the release, and beside it under one
// of package layerstore, on each file system: after every write of a process that puts or
// deletes a layer, by itself and with a process that syncs a file of its own before each
// of its calls. What had been acknowledged and is not so, and what nobody can tell from a
// whole layer, is a problem. The words are programs and file systems, all of those by
// default. It needs root; a file system that cannot be had is skipped, and the error
// matches [ErrUnavailable] where something else is missing. It takes a minute.
func (w *Workshop) PowerLoss(ctx context.Context, o Run) (*Report, error) {
	r := &Report{}
	programs := []string{"released-put", "vfs-create", "vfs-create-durable", "released-delete", "vfs-delete"}
	fileSystems := []string{"ext4", "xfs", "btrfs"}
	for _, word := range o.Words {
		if all := slices.Concat(programs, fileSystems); !slices.Contains(all, word) {
			return r, fmt.Errorf("no program or file system is called %q; there are: %s", word, strings.Join(all, ", "))
		}
	}
	wanted := func(name string, all []string) bool { // none of them named: all are
		return slices.Contains(o.Words, name) || !slices.ContainsFunc(all, func(other string) bool { return slices.Contains(o.Words, other) })
	}
	var jobs []powerloss.Job
	for _, fileSystem := range fileSystems {
		if !wanted(fileSystem, fileSystems) {
			continue
		}
		f, err := powerloss.FileSystemOf(fileSystem)
		if err != nil {
			return r, err
		}
		if err := f.Available(); errors.Is(err, errors.ErrUnsupported) {
			r.Skip("power loss on "+fileSystem, err)
			continue
		} else if err != nil {
			return r, err
		}
		for _, p := range programs {
			for _, noise := range []string{"", "fsync"} {
				if wanted(p, programs) {
					jobs = append(jobs, powerloss.Job{Program: p, FileSystem: fileSystem, Noise: noise, Budget: 60})
				}
			}
		}
	}
	if len(jobs) == 0 {
		return r, nil
	}
	driver, err := w.Driver(ctx, "released")
	if err != nil {
		return r, err
	}
	results, err := powerloss.Run(ctx, powerloss.Options{Dir: o.Dir, Seed: o.Seed, Jobs: jobs, Driver: driver,
		Progress: func(result powerloss.Result) {
			fmt.Fprintf(o.Log, "%v: %d states\n", result.Job, result.Counts.States)
		}})
	if errors.Is(err, errors.ErrUnsupported) {
		return r, fmt.Errorf("%w: %w", ErrUnavailable, err)
	} else if err != nil {
		return r, err
	}
	claims := []world.Claim{world.RepliesTrue, world.ReachableWhole, world.WholeOrFlagged, world.NoLeak, world.NothingLeft, world.CallsSucceed, powerloss.Mounts}
	columns := []string{"program", "on", "others", "states", "trees"}
	for _, c := range claims {
		columns = append(columns, string(c))
	}
	t := r.Table("Power losses: trees in which a claim is false", columns...)
	for _, result := range results {
		if result.Err != "" {
			return r, errors.New(result.Err)
		}
		j := result.Job
		cells := []any{j.Program, j.FileSystem, j.Noise, result.Counts.States, result.Counts.Trees}
		for _, claim := range claims {
			n := 0
			for _, f := range result.Findings {
				if f.Claim == claim {
					n = f.Trees
					who := "layerstore"
					if strings.HasPrefix(j.Program, "released-") {
						who = "released"
					}
					r.Problem("%s: %v", who, f)
				}
			}
			cells = append(cells, n)
		}
		t.Row(cells...)
		r.AtLeast(result.Counts.States, 5, "states of "+j.String())
	}
	return r, nil
}
