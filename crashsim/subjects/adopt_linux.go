package subjects

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// adoption is one run of [Workshop.Adopt].
type adoption struct {
	*Workshop
	report *Report
	table  *Table // what is compared, the release, compat, a remark
	kept   int    // files
	runs   int    // of what is timed
}

// adoptionSteps are in the order in which they are taken.
var adoptionSteps = []struct {
	name string
	root bool // only root can take it
	take func(*adoption, context.Context) error
}{
	{"build", false, (*adoption).builds},
	{"unit", false, (*adoption).unitTests},
	{"together", false, (*adoption).together},
	{"leftover", true, (*adoption).leftovers},
	{"shutdown", true, (*adoption).failedPull},
	{"hold", true, (*adoption).holds},
	{"store", true, (*adoption).storeTests},
	{"bats", true, (*adoption).integration},
}

// AdoptionSteps are the names of the steps of [Workshop.Adopt].
func AdoptionSteps() (names []string) {
	for _, step := range adoptionSteps {
		names = append(names, step.name)
	}
	return names
}

// Adopt compares the release with itself on package compat: its own tests and
// commands, what compat is for, and times. What the tests print is in the
// workshop's directory. A step that cannot be taken here is skipped; the error is
// about the run as a whole: an unknown step, or the context's.
func (w *Workshop) Adopt(ctx context.Context, o Run) (*Report, error) {
	a := &adoption{Workshop: w, report: &Report{}, runs: cmp.Or(o.Runs, 3)}
	a.table = a.report.Table("adoption of "+w.Module+" "+w.Version, "what", "released", "compat", "remark")
	for _, step := range o.Words {
		if !slices.Contains(AdoptionSteps(), step) {
			return nil, fmt.Errorf("no step %q: they are %s", step, strings.Join(AdoptionSteps(), ", "))
		}
	}
	for _, step := range adoptionSteps {
		if len(o.Words) > 0 && !slices.Contains(o.Words, step.name) {
			continue
		}
		fmt.Fprintf(w.log, "step %s\n", step.name)
		var err error
		if step.root {
			err = onlyRoot()
		}
		if err == nil {
			err = step.take(a, ctx)
		}
		switch {
		case ctx.Err() != nil:
			return a.report, ctx.Err()
		case Unavailable(err):
			a.report.Skip(step.name, err)
		case lacks(err):
			a.report.Lacks(1, "step "+step.name)
		case err != nil:
			a.report.Problem("step %s: %v", step.name, err)
		}
	}
	return a.report, nil
}

// same adds a row whose cells are to be equal, and compat's as wanted.
func (a *adoption) same(what, released, compat, want, remark string) {
	a.table.Row(what, released, compat, remark)
	if compat != want || released != compat {
		a.report.Problem("%s: %s with the release, %s with compat, and not %s", what, released, compat, want)
	}
}

func (a *adoption) builds(ctx context.Context) error {
	if err := a.filesChanged(ctx); err != nil {
		return err
	}
	for _, target := range []string{"", "linux/386", "linux/arm", "linux/s390x", "freebsd/amd64", "darwin/arm64", "windows/amd64"} {
		said := make(map[string]string)
		for _, variant := range []string{"released", "compat"} {
			var err error
			if target == "" {
				_, err = a.Command(ctx, variant)
			} else {
				system, architecture, _ := strings.Cut(target, "/")
				_, err = a.Go(ctx, variant, []string{"GOOS=" + system, "GOARCH=" + architecture},
					"build", "-trimpath", "-tags", tags, "-o", os.DevNull, "./cmd/containers-storage")
			}
			said[variant] = "builds"
			if lacks(err) {
				return err
			} else if err != nil {
				said[variant] = "fails"
				fmt.Fprintln(a.log, err)
			}
		}
		a.same("build, "+cmp.Or(target, "here"), said["released"], said["compat"], "builds", "")
	}
	return nil
}

// filesChanged counts the Go files in which the copies differ, and looks that they
// differ in imports alone.
func (a *adoption) filesChanged(ctx context.Context) error {
	released, err := a.Copy(ctx, "released")
	if err != nil {
		return err
	}
	compat, err := a.Copy(ctx, "compat")
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
	a.report.AtLeast(changed, 1, "changed files")
	if other > 0 {
		a.report.Problem("%d lines are changed that are no imports", other)
	}
	a.table.Row("files changed", "", fmt.Sprint(changed), "imports alone, and one requirement in go.mod")
	return err
}

const unlockTwice = "internal/staging_lockfile TestUnlockAndDeleteTwice"

// differing are the unit tests that fail on package compat, and why they do.
var differing = map[string]string{
	"internal/tempdir TestRecoverStaleDirs":                "its id is a word, which no release draws: a foreign name stays; passes with id " + staleID,
	"internal/tempdir TestRecoverStaleDirsSkipsActiveDirs": "the same",
	unlockTwice: "wants a panic, gets an error: see the pull that fails in a shutdown",
}

func (a *adoption) unitTests(ctx context.Context) error {
	packages := []string{"./internal/tempdir", "./internal/staging_lockfile"}
	run := func(variant string) (outcomes, error) { return a.tests(ctx, variant, packages...) }
	released, err := run("released")
	if err != nil {
		return err
	}
	compat, err := run("compat-shim")
	if err != nil {
		return err
	}
	a.compare("unit tests of both packages", released, compat, differing)
	if compat, err = run("compat-shim-ids"); err != nil {
		return err
	}
	a.compare("  with ids that a release could draw", released, compat, map[string]string{unlockTwice: differing[unlockTwice]})
	return nil
}

// together has both in one process, and each recovers beside the other's owners.
func (a *adoption) together(ctx context.Context) error {
	dir, err := a.Copy(ctx, "released")
	if err != nil {
		return err
	}
	if !(&tree{a.Workshop, dir}).hasInternals() {
		return fmt.Errorf("%w: this release stages no additions", ErrUnavailable)
	}
	found, err := a.tests(ctx, "released-together", "-run=TestTogether", "./internal/tempdir")
	if err != nil {
		return err
	}
	a.report.AtLeast(found.count("pass"), 2, "tests of both in one process that pass")
	a.table.Row("both in one process", "", found.String(), "neither loses an instance")
	for name, outcome := range found {
		if outcome != "pass" {
			a.report.Problem("both in one process: %s: %s", name, outcome)
		}
	}
	return nil
}

func (a *adoption) storeTests(ctx context.Context) error {
	released, compat, err := both(func(variant string) (outcomes, error) {
		return a.tests(ctx, variant, ".", "./drivers/overlay", "./drivers/vfs")
	})
	if err != nil {
		return err
	}
	a.compare("Go tests of store, overlay, vfs", released, compat, nil)
	return nil
}

// integration runs the suite of the command.
func (a *adoption) integration(ctx context.Context) error {
	if _, err := exec.LookPath("bats"); err != nil {
		return fmt.Errorf("%w: there is no bats", ErrUnavailable)
	}
	for _, driver := range []string{"overlay", "vfs"} {
		released, compat, err := both(func(variant string) (outcomes, error) { return a.bats(ctx, variant, driver) })
		if err != nil {
			return err
		}
		a.compare("integration suite, "+driver, released, compat, nil)
		if compat, err = a.bats(ctx, "compat-out", driver); err != nil {
			return err
		}
		a.compare("  with recovery out of the locks", released, compat, nil)
	}
	return nil
}

// failedPull is what a second UnlockAndDelete is in a store: the pull of a process
// fails while another goroutine shuts the store down.
func (a *adoption) failedPull(ctx context.Context) error {
	said := make(map[string]string)
	for _, variant := range []string{"released", "compat"} {
		driver, err := a.Driver(ctx, variant)
		if err != nil {
			return err
		}
		err = onTmpfs(ctx, a.dir, storeSize, func(dir string) error {
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
	a.table.Row("pull that fails in a shutdown", said["released"], said["compat"], "the second UnlockAndDelete of a staging lock")
	if said["compat"] != "the pull fails, no more" {
		a.report.Problem("a pull that fails in a shutdown: %s with compat", said["compat"])
	}
	if said["released"] == said["compat"] {
		a.report.Problem("the panic that explains TestUnlockAndDeleteTwice is gone from the release")
	}
	return nil
}

// keep writes what tests have printed to a file, for those who keep the directory.
func (a *adoption) keep(name string, output []byte) {
	a.kept++
	if err := os.WriteFile(filepath.Join(a.dir, fmt.Sprintf("%d-%s.log", a.kept, name)), output, 0o644); err != nil {
		fmt.Fprintln(a.log, err)
	}
}

// onDisk makes a directory for as long as do runs. Whatever is mounted below goes
// with it.
func (a *adoption) onDisk(do func(dir string) error) (err error) {
	dir, err := os.MkdirTemp(a.dir, "scratch-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if unix.Mount(dir, dir, "", unix.MS_BIND, "") == nil {
		defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)) }()
	}
	return do(dir)
}
