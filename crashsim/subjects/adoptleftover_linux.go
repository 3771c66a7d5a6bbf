package subjects

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// leftovers are mounts that a crash left.
func (t *trial) leftovers(ctx context.Context) error {
	type seen struct{ deletion, behind string }
	said := make(map[string]seen)
	for _, variant := range []string{"released", "compat"} {
		binary, err := t.Command(ctx, variant)
		if err != nil {
			return err
		}
		var did seen
		did.deletion, err = t.inStore(ctx, binary, deleteMounted)
		if err == nil {
			did.behind, err = t.inStore(ctx, binary, recoverMounted)
		}
		if Unavailable(err) && variant != "released" { // which could do it
			return fmt.Errorf("with %s alone: %v", variant, err)
		}
		if err != nil {
			return err
		}
		said[variant] = did
	}
	t.equal("container deleted, its mount left over", said["released"].deletion, said["compat"].deletion, "exit 0, 0 names, 0 mounts left", "")
	t.table.Row("files behind a bind mount in a stale instance", said["released"].behind, said["compat"].behind, "after recovery; detached, never emptied")
	if want := fmt.Sprintf("%d of %d left, instance gone", precious, precious); said["compat"].behind != want {
		t.Problem("files behind a bind mount in a stale instance: %s with compat", said["compat"].behind)
	}
	return nil
}

// A commandLine runs the command of a store, and returns what it prints and its
// exit code.
type commandLine func(args ...string) (output string, code int)

func (t *trial) inStore(ctx context.Context, binary string, play func(dir string, run commandLine) (string, error)) (said string, err error) {
	err = onTmpfs(ctx, t.dir, storeSize, func(dir string) (err error) {
		said, err = play(dir, func(args ...string) (string, int) {
			cmd := exec.CommandContext(ctx, binary, append([]string{"--graph", dir + "/root", "--run", dir + "/run", "--storage-driver", "overlay"}, args...)...)
			output, err := cmd.CombinedOutput()
			if err != nil {
				fmt.Fprintf(t.log, "%s: %v: %s\n", args, err, output)
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
		return "", fmt.Errorf("%w: create-container of driver overlay: exit %d", ErrUnavailable, code)
	}
	if _, code := run("mount", words[0]); code != 0 {
		return "", fmt.Errorf("%w: mount of driver overlay: exit %d", ErrUnavailable, code)
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
		return "", fmt.Errorf("%w: create-layer of driver overlay: exit %d", ErrUnavailable, code)
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
