package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/afterlock/afterlock/tempdir"
)

// Race runs creators and recoverers in tight loops on one root, for the
// duration (default 5 s; 3 creators, 3 recoverers) or until something is lost. It
// takes up to four times as long and a minute if less than [MinInstances] and [MinCommits] is
// done by then.
//
// A creator makes an instance, stages a small victim and, in one instance of
// four, commits a tree of 30 files, and checks after every step that what is
// staged is whole, that a committed tree has all its files at once and again
// after Close, and that nobody took the instance away. The recoverers must skip
// all of it: every instance is live.
//
// The error is the context's, matches [errors.ErrUnsupported], or matches
// [ErrEnvironment]. What the library did wrong is in the report.
func Race(ctx context.Context, c Config) (report RaceReport, err error) {
	c = c.withDefaults(5*time.Second, 3, 3)
	report = RaceReport{Creators: c.Creators, Recoverers: c.Recoverers}
	s, err := openScratch(c)
	if err != nil {
		return report, err
	}
	defer func() { err = s.remove(err) }()
	report.FileSystem = s.fileSystem
	c.Log.Debug("race", "scratch", s.path, "file system", s.fileSystem, "seed", c.Seed)
	f := fleet{
		rng:      rand.New(rand.NewPCG(c.Seed, 0)),
		duration: c.Duration,
		progress: c.Progress,
	}
	f.enough = func() bool {
		return f.counts[countInstances] >= MinInstances && f.counts[countCommits] >= MinCommits && f.counts[countMet] > 0
	}
	for i := range c.Creators {
		work := filepath.Join(s.path, "creator-"+strconv.Itoa(i))
		if err := os.Mkdir(work, 0o700); err != nil {
			return report, environment(err)
		}
		if err := os.WriteFile(filepath.Join(work, fileName), []byte("content"), 0o600); err != nil {
			return report, environment(err)
		}
		f.jobs = append(f.jobs, job{Role: roleCreator, Kernel: c.creatorKernel, Root: s.root, Work: work})
	}
	for range c.Recoverers {
		f.jobs = append(f.jobs, job{Role: roleRecoverer, Kernel: c.recovererKernel, Root: s.root})
	}
	before, err := openDescriptors()
	if err != nil {
		return report, environment(err)
	}
	err = f.run(ctx)
	report.Elapsed = f.elapsed
	report.Instances, report.Commits = f.counts[countInstances], f.counts[countCommits]
	report.Recoveries, report.Met = f.counts[countRecoveries], f.counts[countMet]
	report.Lost, report.Partial = f.lost, f.partial
	report.Problems = f.problems
	if err != nil {
		return report, err // what was found before stays found
	}
	report.Problems = append(report.Problems, s.clean(ctx, before)...)
	return report, nil
}

// clean recovers the root once more and says what is left or leaked.
func (s *scratch) clean(ctx context.Context, before map[string]string) []string {
	problems := cleanRoot(ctx, s.root)
	after, err := openDescriptors()
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, leaked := range newDescriptors(before, after) {
		problems = append(problems, "the parent leaked "+leaked)
	}
	return problems
}

// cleanRoot recovers a root once more and says what is left.
func cleanRoot(ctx context.Context, path string) (problems []string) {
	root, err := tempdir.Open(path, tempdir.OrphanGrace(0))
	if err != nil {
		return []string{err.Error()}
	}
	if _, err := root.Recover(ctx); err != nil {
		problems = append(problems, err.Error())
	}
	if err := root.Close(); err != nil {
		problems = append(problems, err.Error())
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, entry := range entries {
		problems = append(problems, fmt.Sprintf("left in the root after the last recovery: %q", entry.Name()))
	}
	return problems
}
