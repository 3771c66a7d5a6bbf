//go:build linux

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// namespaceVariable marks the environment of a process that runs a model in a
// user namespace of its own, where it may mount.
const namespaceVariable = "AFTERLOCK_CONFORMANCE_NAMESPACE"

// mayMount returns why this process may not mount in the directory, or nil. It
// tries: root in a container may not, and whoever is root of a user namespace may.
func mayMount(dir string) error {
	dir, err := os.MkdirTemp(dir, "afterlock-conformance-")
	if err != nil {
		return environmentError{err}
	}
	defer os.Remove(dir)
	undo, err := isolate(dir)
	if err != nil {
		return err
	}
	return undo()
}

// runInNamespace is Run in a process that is root in a namespace of its own. If
// there cannot be such a process either, the report says that the model was skipped.
func runInNamespace(ctx context.Context, o Options, refused error) (report Report, err error) {
	report.Model = o.Model
	report.Skipped = fmt.Sprintf("this user may not mount (%v)", refused)
	if os.Getenv(namespaceVariable) != "" {
		return report, nil
	}
	order, err := json.Marshal(o)
	if err != nil {
		return report, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = os.Args[:1] // for process listings
	cmd.Env = append(os.Environ(), namespaceVariable+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(order), &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		report.Skipped += fmt.Sprintf(", nor make a user namespace (%v)", err)
		return report, nil
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		return report, environmentError{fmt.Errorf("%s in a user namespace: %w: %s", o.Model, err, strings.TrimSpace(stderr.String()))}
	}
	var there Report
	if err := json.Unmarshal(stdout.Bytes(), &there); err != nil {
		return report, err
	}
	if there.Skipped != "" {
		there.Skipped = report.Skipped + ", nor may root of a user namespace"
	}
	return there, nil
}

// serveNamespace is the other side of runInNamespace.
func serveNamespace() int {
	var o Options
	err := json.NewDecoder(os.Stdin).Decode(&o)
	if err == nil {
		var report Report
		if report, err = Run(context.Background(), o); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(report)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// skippedBy is why a model with mounts cannot be run in the directory, or "".
func skippedBy(dir string) (reason string, err error) {
	err = mayMount(dir)
	if err == nil || errors.As(err, new(environmentError)) {
		return "", err
	}
	return fmt.Sprintf("this user may not mount (%v)", err), nil
}
