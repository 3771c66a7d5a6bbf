package subjects

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

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
func (t *trial) compare(what string, released, compat outcomes, explained map[string]string) {
	t.AtLeast(released.count("pass"), 1, what+" that pass with the release")
	remark := "the same, by name"
	names := differences(released, compat)
	if len(names) > 0 {
		remark = fmt.Sprintf("all but %d the same, by name", len(names))
	}
	t.table.Row(what, released.String(), compat.String(), remark)
	what = strings.TrimSpace(what)
	for i, name := range names {
		if i == maxDiffering {
			t.Problem("%s: %d more differ", what, len(names)-i)
			break
		}
		theirs, ours := cmp.Or(released[name], "not run"), cmp.Or(compat[name], "not run")
		why := explained[name]
		if why == "" || theirs != "pass" || ours != "fail" {
			t.Problem("%s: %s: %s with the release, and %s here", what, name, theirs, ours)
		}
		t.table.Row("  "+name, theirs, ours, why)
	}
}

// tests runs the Go tests of packages of a variant. The names are without the
// directories of this run.
func (t *trial) tests(ctx context.Context, variant string, packages ...string) (outcomes, error) {
	dir, err := t.Copy(ctx, variant)
	if err != nil {
		return nil, err
	}
	var found outcomes
	err = t.onDisk(func(temporary string) (err error) {
		output, failure := t.Go(ctx, variant, []string{"TMPDIR=" + temporary},
			append([]string{"test", "-json", "-count=1", "-timeout=30m", "-tags", tags}, packages...)...)
		t.keep(variant, output)
		if found, err = parseTests(output, t.Module+"/", dir); len(found) == 0 {
			return fmt.Errorf("no test was run: %w", cmp.Or(failure, err, errors.New("there is none")))
		}
		for name, outcome := range found {
			if outcome == "fail" && !strings.Contains(name, " ") { // a package: nobody knows what the rest would say
				t.Short = append(t.Short, fmt.Sprintf("not all tests of %s are run with %s", name, variant))
			}
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

// storePackages are those of the store whose tests are run.
var storePackages = []string{".", "./drivers/overlay", "./drivers/vfs"}

// same runs tests with each variant, and compares what came of them with the first's.
func (t *trial) same(what string, variants []string, run func(variant string) (outcomes, error)) error {
	released, err := run(variants[0])
	for _, variant := range variants[1:] {
		var found outcomes
		if err == nil {
			found, err = run(variant)
		}
		if err != nil {
			return err
		}
		t.compare(what+", "+variant, released, found, nil)
	}
	return err
}

func (t *trial) bats(ctx context.Context, variant, driver string) (outcomes, error) {
	if _, err := exec.LookPath("bats"); err != nil {
		return nil, fmt.Errorf("%w: there is no bats", ErrUnavailable)
	}
	command, err := t.Command(ctx, variant)
	if err != nil {
		return nil, err
	}
	dir, err := t.Copy(ctx, variant)
	if err != nil {
		return nil, err
	}
	var found outcomes
	err = t.onDisk(func(temporary string) error {
		cmd := exec.CommandContext(ctx, "bats", "--tap", ".")
		cmd.Dir = filepath.Join(dir, "tests")
		cmd.Env = append(os.Environ(), "STORAGE_BINARY="+command, "STORAGE_DRIVER="+driver, "TMPDIR="+temporary, "BATS_TMPDIR="+temporary)
		output, failure := cmd.Output()
		t.keep(variant+"-bats-"+driver, output)
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
