//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// inNamespace says that this process runs a model in a user namespace of its own,
// where it may mount.
var inNamespace bool

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
	if inNamespace {
		return report, nil
	}
	there := proc.New(namespaceRole)
	there.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	if err := there.Start(); err != nil {
		report.Skipped += fmt.Sprintf(", nor make a user namespace (%v)", err)
		return report, nil
	}
	stop := context.AfterFunc(ctx, there.Shoot)
	defer stop()
	var reported Report
	err = there.Send(o)
	if err == nil {
		err = there.Receive(&reported)
	}
	if ended := there.End(); ended != nil {
		err = ended
	}
	if err != nil {
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		return report, environmentError{fmt.Errorf("%s in a user namespace: %w", o.Model, err)}
	}
	if reported.Skipped != "" {
		reported.Skipped = report.Skipped + ", nor may root of a user namespace"
	}
	return reported, nil
}

// serveNamespace is the other side of runInNamespace.
func serveNamespace() error {
	inNamespace = true
	var o Options
	if err := proc.Parent.Receive(&o); err != nil {
		return err
	}
	report, err := Run(context.Background(), o)
	if err != nil {
		return err
	}
	return proc.Parent.Send(report)
}

// skippedBy is why a model with mounts cannot be run in the directory, or "".
func skippedBy(dir string) (reason string, err error) {
	err = mayMount(dir)
	if err == nil || errors.As(err, new(environmentError)) {
		return "", err
	}
	return fmt.Sprintf("this user may not mount (%v)", err), nil
}
