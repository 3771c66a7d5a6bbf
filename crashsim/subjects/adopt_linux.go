package subjects

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A trial is one run of [Workshop.Adopt] or of [Workshop.Patch]: variants of the
// release beside it.
type trial struct {
	*Workshop
	*Report
	Run
	table *Table   // what is compared, the release, the variant, a remark
	steps []string // of the patch: the release, the patch, and if there is a place for it the second step
	kept  int      // files
}

// A part is one of what a trial does.
type part struct {
	name string
	root bool // only root can do it
	do   func(*trial, context.Context) error
}

func namesOf(parts []part) (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// do does the parts that are wanted, in their order. What the release's tests print
// is in the workshop's directory. A part that cannot be done here is skipped; the error
// is about the run as a whole: an unknown part, or the context's.
func (t *trial) do(ctx context.Context, parts []part) (*Report, error) {
	for _, name := range t.Words {
		if !slices.Contains(namesOf(parts), name) {
			return nil, fmt.Errorf("no part %q: they are %s", name, strings.Join(namesOf(parts), ", "))
		}
	}
	for _, p := range parts {
		if len(t.Words) > 0 && !slices.Contains(t.Words, p.name) {
			continue
		}
		fmt.Fprintf(t.log, "part %s\n", p.name)
		var err error
		if p.root {
			err = onlyRoot()
		}
		if err == nil {
			err = p.do(t, ctx)
		}
		switch {
		case ctx.Err() != nil:
			return t.Report, ctx.Err()
		case Unavailable(err):
			t.Skip(p.name, err)
		case lacks(err):
			t.Lacks(1, "part "+p.name)
		case err != nil:
			t.Problem("part %s: %v", p.name, err)
		}
	}
	return t.Report, nil
}

var adoptionParts = []part{
	{"build", false, (*trial).adoptedBuilds},
	{"unit", false, (*trial).adoptedUnits},
	{"together", false, (*trial).adoptedTogether},
	{"leftover", true, (*trial).leftovers},
	{"shutdown", true, (*trial).failedPull},
	{"hold", true, (*trial).adoptedHolds},
	{"store", true, (*trial).adoptedStore},
	{"bats", true, (*trial).adoptedBats},
}

// AdoptionParts are the names of what [Workshop.Adopt] does.
func AdoptionParts() []string { return namesOf(adoptionParts) }

// Adopt compares the release with itself on package compat: its own tests and
// commands, what compat is for, and times. See [trial.do] for its error.
func (w *Workshop) Adopt(ctx context.Context, o Run) (*Report, error) {
	o.Runs = cmp.Or(o.Runs, 3)
	t := &trial{Workshop: w, Report: &Report{}, Run: o}
	t.table = t.Table("adoption of "+w.Module+" "+w.Version, "what", "released", "compat", "remark")
	return t.do(ctx, adoptionParts)
}

// equal adds a row whose cells are to be equal, and compat's as wanted.
func (t *trial) equal(what, released, compat, want, remark string) {
	t.table.Row(what, released, compat, remark)
	if compat != want || released != compat {
		t.Problem("%s: %s with the release, %s with compat, and not %s", what, released, compat, want)
	}
}

func (t *trial) adoptedBuilds(ctx context.Context) error {
	if err := t.filesChanged(ctx); err != nil {
		return err
	}
	for _, target := range []string{"", "linux/386", "linux/arm", "linux/s390x", "freebsd/amd64", "darwin/arm64", "windows/amd64"} {
		said := make(map[string]string)
		for _, variant := range []string{"released", "compat"} {
			var err error
			if target == "" {
				_, err = t.Command(ctx, variant)
			} else {
				system, architecture, _ := strings.Cut(target, "/")
				_, err = t.Go(ctx, variant, []string{"GOOS=" + system, "GOARCH=" + architecture},
					"build", "-trimpath", "-tags", tags, "-o", os.DevNull, "./cmd/containers-storage")
			}
			said[variant] = "builds"
			if lacks(err) || Unavailable(err) {
				return err
			} else if err != nil {
				said[variant] = "fails"
				fmt.Fprintln(t.log, err)
			}
		}
		t.equal("build, "+cmp.Or(target, "here"), said["released"], said["compat"], "builds", "")
	}
	return nil
}

// filesChanged counts the Go files in which the copies differ, and looks that they
// differ in imports alone.
func (t *trial) filesChanged(ctx context.Context) error {
	released, err := t.Copy(ctx, "released")
	if err != nil {
		return err
	}
	compat, err := t.Copy(ctx, "compat")
	if err != nil {
		return err
	}
	imported := regexp.MustCompile(`^\s*(tempdir |staging_lockfile )?"[^"]*"$`)
	changed, other := 0, 0
	err = filepath.WalkDir(compat, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		relative, _ := filepath.Rel(compat, path)
		ours, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		theirs, err := os.ReadFile(filepath.Join(released, relative))
		if err != nil || bytes.Equal(ours, theirs) || strings.HasPrefix(relative, internals+"/") {
			return err
		}
		changed++
		new, old := strings.Split(string(ours), "\n"), strings.Split(string(theirs), "\n")
		for i := range min(len(new), len(old)) {
			if new[i] != old[i] && !(imported.MatchString(new[i]) && imported.MatchString(old[i])) {
				other++
			}
		}
		other += max(len(new)-len(old), len(old)-len(new))
		return nil
	})
	t.AtLeast(changed, 1, "changed files")
	if other > 0 {
		t.Problem("%d lines are changed that are no imports", other)
	}
	t.table.Row("files changed", "", fmt.Sprint(changed), "imports alone, and one requirement in go.mod")
	return err
}

const unlockTwice = "internal/staging_lockfile TestUnlockAndDeleteTwice"

// differing are the unit tests that fail on package compat, and why they do.
var differing = map[string]string{
	"internal/tempdir TestRecoverStaleDirs":                "its id is a word, which no release draws: a foreign name stays; passes with id " + staleID,
	"internal/tempdir TestRecoverStaleDirsSkipsActiveDirs": "the same",
	unlockTwice: "wants a panic, gets an error: see the pull that fails in a shutdown",
}

func (t *trial) adoptedUnits(ctx context.Context) error {
	packages := []string{"./internal/tempdir", "./internal/staging_lockfile"}
	run := func(variant string) (outcomes, error) { return t.tests(ctx, variant, packages...) }
	released, err := run("released")
	if err != nil {
		return err
	}
	compat, err := run("compat-shim")
	if err != nil {
		return err
	}
	t.compare("unit tests of both packages", released, compat, differing)
	if compat, err = run("compat-shim-ids"); err != nil {
		return err
	}
	t.compare("  with ids that a release could draw", released, compat, map[string]string{unlockTwice: differing[unlockTwice]})
	return nil
}

// together has both in one process, and each recovers beside the other's owners.
func (t *trial) adoptedTogether(ctx context.Context) error {
	dir, err := t.Copy(ctx, "released")
	if err != nil {
		return err
	}
	if !(&tree{t.Workshop, dir}).hasInternals() {
		return fmt.Errorf("%w: this release stages no additions", ErrUnavailable)
	}
	found, err := t.tests(ctx, "released-together", "-run=TestTogether", "./internal/tempdir")
	if err != nil {
		return err
	}
	t.AtLeast(found.count("pass"), 2, "tests of both in one process that pass")
	t.table.Row("both in one process", "", found.String(), "neither loses an instance")
	for name, outcome := range found {
		if outcome != "pass" {
			t.Problem("both in one process: %s: %s", name, outcome)
		}
	}
	return nil
}

func (t *trial) adoptedStore(ctx context.Context) error {
	return t.same("Go tests of store, overlay, vfs", []string{"released", "compat"}, func(variant string) (outcomes, error) {
		return t.tests(ctx, variant, storePackages...)
	})
}

// integration runs the suite of the command.
func (t *trial) adoptedBats(ctx context.Context) error {
	for _, driver := range []string{"overlay", "vfs"} {
		if err := t.same("integration suite, "+driver, []string{"released", "compat", "compat-out"}, func(variant string) (outcomes, error) {
			return t.bats(ctx, variant, driver)
		}); err != nil {
			return err
		}
	}
	return nil
}

// failedPull is what a second UnlockAndDelete is in a store: the pull of a process
// fails while another goroutine shuts the store down.
func (t *trial) failedPull(ctx context.Context) error {
	said := make(map[string]string)
	for _, variant := range []string{"released", "compat"} {
		driver, err := t.Driver(ctx, variant)
		if err != nil {
			return err
		}
		err = onTmpfs(ctx, t.dir, storeSize, func(dir string) error {
			p, err := start(ctx, driver, dir, "failed-pull-in-shutdown")
			if err != nil {
				return err
			}
			switch err := p.cmd.Wait(); {
			case strings.Contains(p.failure.String(), "panic: calling Unlock on unlocked lock"):
				said[variant] = "the process panics"
			case err != nil:
				return fmt.Errorf("%s: %w: %s", variant, err, p.failure.String()+p.answer.String())
			default:
				said[variant] = "the pull fails, no more"
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	t.table.Row("pull that fails in a shutdown", said["released"], said["compat"], "the second UnlockAndDelete of a staging lock")
	if said["compat"] != "the pull fails, no more" {
		t.Problem("a pull that fails in a shutdown: %s with compat", said["compat"])
	}
	if said["released"] == said["compat"] {
		t.Problem("the panic that explains TestUnlockAndDeleteTwice is gone from the release")
	}
	return nil
}

// keep writes what tests have printed to a file, for those who keep the directory.
func (t *trial) keep(name string, output []byte) {
	t.kept++
	if err := os.WriteFile(filepath.Join(t.dir, fmt.Sprintf("%d-%s.log", t.kept, name)), output, 0o644); err != nil {
		fmt.Fprintln(t.log, err)
	}
}

// onDisk makes a directory for as long as do runs. Whatever is mounted below goes
// with it.
func (t *trial) onDisk(do func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(t.dir, "scratch-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if unix.Mount(dir, dir, "", unix.MS_BIND, "") == nil {
		defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)) }()
	}
	return do(dir)
}
