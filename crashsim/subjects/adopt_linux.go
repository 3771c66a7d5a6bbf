package subjects

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
	{"archive", true, (*adoption).closedArchive},
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

// AdoptOptions are for [Workshop.Adopt].
type AdoptOptions struct {
	Steps []string // of [AdoptionSteps]; all of them by default
	Runs  int      // of what is timed; 3 by default
}

// Adopt compares the release with itself on package compat: its own tests and
// commands, what compat is for, and times. What the tests print is in the
// workshop's directory. A step that cannot be taken here is skipped; the error is
// about the run as a whole: an unknown step, or the context's.
func (w *Workshop) Adopt(ctx context.Context, o AdoptOptions) (*Report, error) {
	a := &adoption{Workshop: w, report: &Report{}, runs: cmp.Or(o.Runs, 3)}
	a.table = a.report.Table("adoption of "+w.Module+" "+w.Version, "what", "released", "compat", "remark")
	for _, step := range o.Steps {
		if !slices.Contains(AdoptionSteps(), step) {
			return nil, fmt.Errorf("no step %q: they are %s", step, strings.Join(AdoptionSteps(), ", "))
		}
	}
	for _, step := range adoptionSteps {
		if len(o.Steps) > 0 && !slices.Contains(o.Steps, step.name) {
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
		case errors.Is(err, ErrUnavailable):
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

// outcomes are the words pass, fail and skip for the names of tests.
type outcomes map[string]string

func (o outcomes) count(word string) (n int) {
	for _, outcome := range o {
		if outcome == word {
			n++
		}
	}
	return n
}

func (o outcomes) String() string {
	var words []string
	for _, word := range []string{"pass", "fail", "skip"} {
		if n := o.count(word); n > 0 || word == "pass" {
			words = append(words, fmt.Sprint(n, " ", word))
		}
	}
	return strings.Join(words, ", ")
}

// differences are the names of tests whose outcomes differ, sorted.
func differences(a, b outcomes) (names []string) {
	both := maps.Clone(a)
	maps.Copy(both, b)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	return names
}

// maxDiffering bounds how many tests that differ are named.
const maxDiffering = 20

// compare wants the same outcome of every test, whichever of the two it is of,
// except for those that pass with the release, fail with compat, and are explained.
func (a *adoption) compare(what string, released, compat outcomes, explained map[string]string) {
	a.report.AtLeast(released.count("pass"), 1, what+" that pass with the release")
	remark := "the same, by name"
	names := differences(released, compat)
	if len(names) > 0 {
		remark = fmt.Sprintf("all but %d the same, by name", len(names))
	}
	a.table.Row(what, released.String(), compat.String(), remark)
	what = strings.TrimSpace(what)
	for i, name := range names {
		if i == maxDiffering {
			a.report.Problem("%s: %d more differ", what, len(names)-i)
			break
		}
		theirs, ours := cmp.Or(released[name], "not run"), cmp.Or(compat[name], "not run")
		why := explained[name]
		if why == "" || theirs != "pass" || ours != "fail" {
			a.report.Problem("%s: %s: %s with the release, %s with compat", what, name, theirs, ours)
		}
		a.table.Row("  "+name, theirs, ours, why)
	}
}

// tests runs the Go tests of packages of a variant. The names are without the
// directories of this run.
func (a *adoption) tests(ctx context.Context, variant string, packages ...string) (outcomes, error) {
	dir, err := a.Copy(ctx, variant)
	if err != nil {
		return nil, err
	}
	var found outcomes
	err = a.onDisk(func(temporary string) (err error) {
		output, failure := a.Go(ctx, variant, []string{"TMPDIR=" + temporary},
			append([]string{"test", "-json", "-count=1", "-timeout=30m", "-tags", tags}, packages...)...)
		a.keep(variant, output)
		if found, err = parseTests(output, a.Module+"/", dir); len(found) == 0 {
			return errors.Join(failure, errors.New("no test was run"), err)
		}
		return err
	})
	return found, err
}

// parseTests reads what go test -json prints.
func parseTests(output []byte, module, dir string) (outcomes, error) {
	found, tested := make(outcomes), make(map[string]bool)
	failed := make(map[string]bool)
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var event struct{ Action, Package, Test string }
		if err := decoder.Decode(&event); err != nil {
			return found, err
		}
		in := strings.TrimPrefix(event.Package, module)
		switch event.Action {
		case "pass", "fail", "skip":
			if event.Test != "" {
				found[in+" "+strings.ReplaceAll(event.Test, dir, "")] = event.Action
				tested[in] = tested[in] || event.Action == "fail"
			} else {
				failed[in] = event.Action == "fail"
			}
		}
	}
	for in := range failed { // it does not build, or ended early
		if failed[in] && !tested[in] {
			found[in] = "fail"
		}
	}
	return found, nil
}

// both runs something with the release and with compat.
func both(run func(variant string) (outcomes, error)) (released, compat outcomes, err error) {
	if released, err = run("released"); err != nil {
		return nil, nil, err
	}
	compat, err = run("compat")
	return released, compat, err
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

func (a *adoption) bats(ctx context.Context, variant, driver string) (outcomes, error) {
	if err := onlyRoot(); err != nil { // for Patch
		return nil, err
	}
	command, err := a.Command(ctx, variant)
	if err != nil {
		return nil, err
	}
	dir, err := a.Copy(ctx, variant)
	if err != nil {
		return nil, err
	}
	var found outcomes
	err = a.onDisk(func(temporary string) error {
		cmd := exec.CommandContext(ctx, "bats", "--tap", ".")
		cmd.Dir = filepath.Join(dir, "tests")
		cmd.Env = append(os.Environ(), "STORAGE_BINARY="+command, "STORAGE_DRIVER="+driver, "TMPDIR="+temporary, "BATS_TMPDIR="+temporary)
		output, failure := cmd.Output()
		a.keep(variant+"-bats-"+driver, output)
		planned := 0
		if found, planned = parseTAP(string(output)); len(found) == 0 || len(found) != planned {
			return fmt.Errorf("%d of %d tests were run: %v", len(found), planned, failure)
		}
		return nil
	})
	return found, err
}

var (
	tapLine = regexp.MustCompile(`(?m)^(ok|not ok) \d+ (.*?)( # skip.*)?$`)
	tapPlan = regexp.MustCompile(`(?m)^1\.\.(\d+)$`)
)

// parseTAP reads the Test Anything Protocol. A name that is used again gets a
// number.
func parseTAP(output string) (found outcomes, planned int) {
	found = make(outcomes)
	for _, line := range tapLine.FindAllStringSubmatch(output, -1) {
		outcome, name := "pass", line[2]
		if line[1] != "ok" {
			outcome = "fail"
		} else if line[3] != "" {
			outcome = "skip"
		}
		for n := 2; found[name] != ""; n++ {
			name = fmt.Sprintf("%s (%d)", line[2], n)
		}
		found[name] = outcome
	}
	if plan := tapPlan.FindStringSubmatch(output); plan != nil {
		fmt.Sscan(plan[1], &planned)
	}
	return found, planned
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

// leftovers are mounts that a crash left.
func (a *adoption) leftovers(ctx context.Context) error {
	type seen struct{ deletion, behind string }
	said := make(map[string]seen)
	for _, variant := range []string{"released", "compat"} {
		binary, err := a.Command(ctx, variant)
		if err != nil {
			return err
		}
		var did seen
		if did.deletion, err = a.inStore(ctx, binary, deleteMounted); err != nil {
			return err
		}
		if did.behind, err = a.inStore(ctx, binary, recoverMounted); err != nil {
			return err
		}
		said[variant] = did
	}
	a.same("container deleted, its mount left over", said["released"].deletion, said["compat"].deletion, "exit 0, 0 names, 0 mounts left", "")
	a.table.Row("files behind a bind mount in a stale instance", said["released"].behind, said["compat"].behind, "after recovery; detached, never emptied")
	if want := fmt.Sprintf("%d of %d left, instance gone", precious, precious); said["compat"].behind != want {
		a.report.Problem("files behind a bind mount in a stale instance: %s with compat", said["compat"].behind)
	}
	return nil
}

// A commandLine runs the command of a store, and returns what it prints and its
// exit code.
type commandLine func(args ...string) (output string, code int)

func (a *adoption) inStore(ctx context.Context, binary string, play func(dir string, run commandLine) (string, error)) (said string, err error) {
	err = onTmpfs(ctx, a.dir, storeSize, func(dir string) (err error) {
		said, err = play(dir, func(args ...string) (string, int) {
			cmd := exec.CommandContext(ctx, binary, append([]string{"--graph", dir + "/root", "--run", dir + "/run", "--storage-driver", "overlay"}, args...)...)
			output, err := cmd.CombinedOutput()
			if err != nil {
				fmt.Fprintf(a.log, "%s: %v: %s\n", args, err, output)
			}
			return string(output), cmd.ProcessState.ExitCode()
		})
		return err
	})
	return said, err
}

// deleteMounted deletes a container that is mounted, after its record of that was
// lost.
func deleteMounted(dir string, run commandLine) (string, error) {
	output, code := run("create-container", "")
	words := strings.Fields(output)
	if code != 0 || len(words) == 0 {
		return "", fmt.Errorf("%w: no overlay store can be made here", ErrUnavailable)
	}
	if _, code := run("mount", words[0]); code != 0 {
		return "", fmt.Errorf("%w: no overlay can be mounted here", ErrUnavailable)
	}
	records := find(filepath.Join(dir, "run"), "mountpoints.json")
	if len(records) == 0 {
		return "", errors.New("no record of mounts")
	}
	for _, record := range records {
		if err := os.Remove(record); err != nil {
			return "", err
		}
	}
	_, code = run("delete-container", words[0])
	locks, data := find(filepath.Join(dir, "root"), "lock-*"), find(filepath.Join(dir, "root"), "temp-dir-*")
	mounted := 0
	table, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], filepath.Join(dir, "root", "overlay")+"/") {
			mounted++
		}
	}
	return fmt.Sprintf("exit %d, %d names, %d mounts left", code, len(locks)+len(data), mounted), err
}

// precious is how many files are behind a bind mount.
const precious = 10

// recoverMounted loads a store that has a stale instance with a bind mount in it.
func recoverMounted(dir string, run commandLine) (string, error) {
	outside, root := filepath.Join(dir, "outside"), filepath.Join(dir, "root", "overlay", "tempdirs")
	merged := filepath.Join(root, "temp-dir-"+staleID, "0-layer", "merged")
	if _, code := run("create-layer"); code != 0 {
		return "", fmt.Errorf("%w: no overlay store can be made here", ErrUnavailable)
	}
	// The mount of the driver's home upon itself would hide what is mounted below.
	if err := unix.Unmount(filepath.Join(dir, "root", "overlay"), 0); err != nil {
		return "", err
	}
	for _, path := range []string{outside, merged} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return "", err
		}
	}
	for i := range precious {
		if err := os.WriteFile(filepath.Join(outside, fmt.Sprint(i)), nil, 0o600); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "lock-"+staleID), nil, 0o600); err != nil {
		return "", err
	}
	if err := unix.Mount(outside, merged, "", unix.MS_BIND, ""); err != nil {
		return "", err
	}
	if _, code := run("layers"); code != 0 {
		return "", fmt.Errorf("layers: exit %d", code)
	}
	left, err := os.ReadDir(outside)
	instance := "gone"
	if names, _ := filepath.Glob(filepath.Join(root, "*-"+staleID)); len(names) > 0 {
		instance = "stays"
	}
	return fmt.Sprintf("%d of %d left, instance %s", len(left), precious, instance), err
}

// keep writes what tests have printed to a file, for those who keep the directory.
func (a *adoption) keep(name string, output []byte) {
	a.kept++
	if err := os.WriteFile(filepath.Join(a.dir, fmt.Sprintf("%d-%s.log", a.kept, name)), output, 0o644); err != nil {
		fmt.Fprintln(a.log, err)
	}
}

// find returns the paths below dir whose last element matches. What cannot be read
// has none.
func find(dir, pattern string) (found []string) {
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
		if matched, _ := filepath.Match(pattern, filepath.Base(path)); matched {
			found = append(found, path)
		}
		return nil
	})
	return found
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
