package stress

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Lifecycle lays out 40 layers of the files of a tree (by default of files that it
// makes) and lets workers stage,
// delete and add layers under a store lock for the duration (default 5 s; 4
// creators, 2 recoverers), while others recover and all of them are killed at
// random moments and replaced. It takes up to four times as long and a minute if the kills are
// fewer than [MinKills] by then.
//
// At the end, after one more recovery: every layer that was never chosen is
// there with its content, every layer whose deletion was reported is gone, no
// layer is partial, the root is empty, and no process that ended in order has
// leaked a descriptor. Layers that are staged are also checked before they are
// removed.
//
// The error is the context's, matches [errors.ErrUnsupported], or matches
// [ErrEnvironment]. What the library did wrong is in the report.
func Lifecycle(ctx context.Context, c Config) (report LifecycleReport, err error) {
	c = c.withDefaults(5*time.Second, 4, 2)
	report = LifecycleReport{Creators: c.Creators, Recoverers: c.Recoverers, Layers: layerCount}
	s, err := openScratch(c)
	if err != nil {
		return report, err
	}
	defer func() { err = s.remove(err) }()
	report.FileSystem = s.fileSystem
	before, err := openDescriptors()
	if err != nil {
		return report, environment(err)
	}
	if c.Tree == "" {
		c.Progress("making files")
		c.Tree, report.Space = filepath.Join(s.path, "made"), 9*madeSpace/4
		if err := makeTree(ctx, c.Tree); err != nil {
			return report, environment(err)
		}
	}
	c.Progress("laying out layers of " + c.Tree)
	paths, space, err := walkTree(ctx, c.Tree)
	if err != nil {
		return report, environment(err)
	}
	made := report.Space > 0
	if report.Space = space * 5 / 4; made { // what is added replaces what is deleted, nearly
		report.Space += madeSpace
	}
	j := job{
		Role: roleStore, Kernel: c.creatorKernel, Root: s.root,
		Layers:  filepath.Join(s.path, "layers"),
		Lock:    filepath.Join(s.path, "store.lock"),
		Journal: filepath.Join(s.path, "journal"),
	}
	if err := os.WriteFile(j.Journal, nil, 0o600); err != nil {
		return report, environment(err)
	}
	begin := time.Now()
	j.LaidOut, report.Files, err = layOut(ctx, c.Tree, paths, j.Layers)
	if err != nil {
		return report, environment(err)
	}
	c.Log.Debug("laid out", "layers", layerCount, "files", report.Files, "scratch", s.path, "took", time.Since(begin))
	f := fleet{
		rng:      rand.New(rand.NewPCG(c.Seed, 0)),
		duration: c.Duration,
		kill:     true,
		progress: c.Progress,
	}
	f.enough = func() bool { return f.kills >= MinKills && f.counts[countRecovered] > 0 }
	for range c.Creators {
		f.jobs = append(f.jobs, j)
	}
	for range c.Recoverers {
		f.jobs = append(f.jobs, job{Role: roleRecoverer, Kernel: c.recovererKernel, Root: s.root})
	}
	err = f.run(ctx)
	report.Kills, report.KillsInside = f.kills, f.killsInside
	report.Recoveries, report.Recovered = f.counts[countRecoveries], f.counts[countRecovered]
	report.Problems = f.problems
	if err != nil {
		return report, err // what was found before stays found
	}
	c.Log.Debug("worked", "kills", f.kills, "took", f.elapsed)
	c.Progress("hashing what is left")
	report.Problems = append(report.Problems, s.clean(ctx, before)...)
	a, err := auditLayers(j.Layers, j.Journal, j.LaidOut)
	if err != nil {
		return report, environment(err)
	}
	report.Deletions, report.Additions = a.deletions, a.additions
	report.Checked = f.counts[countChecked] + a.checked
	report.Problems = append(report.Problems, a.problems...)
	return report, ctx.Err()
}
