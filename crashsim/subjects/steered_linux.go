//go:build amd64 || arm64

package subjects

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/blackbox"
)

// steeredModels are the models whose counterexamples are played on a variant: the
// one that is of it; on a variant that has none, all of them.
func steeredModels(variant string) []string {
	switch variant {
	case "released":
		return []string{"UpstreamAsShipped"}
	case "patched-creator":
		return []string{"UpstreamCreatorRechecks"}
	case "patched-recoverer":
		return []string{"UpstreamRecovererRechecks"}
	}
	return []string{"UpstreamAsShipped", "UpstreamCreatorRechecks", "UpstreamRecovererRechecks"}
}

// A moment is how far the put goes once its data directory is made, before a
// recovery goes on to remove that. The models know no difference.
type moment struct {
	name string
	at   func(blackbox.Call) bool // the call that it stops before
	made bool                     // it makes that call as well
	ends bool                     // it ends while the recovery is between two removals
}

var moments = []moment{
	// At once: nothing is in the directory.
	{name: "empty", at: func(blackbox.Call) bool { return true }},
	// The directory to unpack into is open. This ends with the message of podman#29641.
	{name: "unpack", at: isStaged("openat", unix.O_DIRECTORY), made: true},
	// All is unpacked, and is moved to its place while the recovery, which has the
	// directory open, is about to remove its first file.
	{name: "commit", at: isStaged("getdents64", 0), ends: true},
}

// isStaged is a call whose first path is what a put has staged.
func isStaged(name string, flags uint64) func(blackbox.Call) bool {
	return func(c blackbox.Call) bool {
		return strings.HasPrefix(c.Name, name) && c.Arguments[2]&flags == flags && len(c.Paths) > 0 &&
			strings.HasPrefix(filepath.Base(filepath.Dir(c.Paths[0])), "temp-dir-")
	}
}

// removesStaged is a removal of something in what a put has staged.
func removesStaged(c blackbox.Call) bool {
	return c.Name == "unlinkat" && strings.HasPrefix(filepath.Base(filepath.Dir(filepath.Dir(c.Paths[0]))), "temp-dir-")
}

// Steered plays the counterexamples of the models on the variant, runs times each at
// each moment. "variant/moment" is one moment only. A put of a small layer is the
// creator. The recoverers are other commands that look at the store, each of which
// recovers when it opens it, and a server that does so when it finds it changed.
// Everybody makes a call when the counterexample says so, and in the end all that are
// left. A run loses data if the put fails, or succeeds and its layer is not whole. The
// log of a single run has the calls.
//
// It needs root, since the store's driver is overlay. The error matches
// [ErrUnavailable] if that, or supervision, cannot be had. It takes about a tenth of
// a second for each run.
func (w *Workshop) Steered(ctx context.Context, variant string, runs int) (report SteeredReport, err error) {
	variant, only, _ := strings.Cut(variant, "/")
	if only != "" && !slices.ContainsFunc(moments, func(m moment) bool { return m.name == only }) {
		return report, fmt.Errorf("no moment %q", only)
	}
	if err := onlyRoot(); err != nil {
		return report, err
	}
	models, s := steeredModels(variant), &steered{}
	if s.command, err = w.Command(ctx, variant); err != nil {
		return report, err
	}
	if s.released, err = w.Command(ctx, "released"); err != nil {
		return report, err
	}
	if !slices.Equal(models, []string{"UpstreamAsShipped"}) { // which has one recoverer
		if s.driver, err = w.Driver(ctx, variant); err != nil {
			return report, err
		}
	}
	s.log = io.Discard
	if runs == 1 {
		s.log = w.log
	}
	if s.dir, err = os.MkdirTemp(w.dir, "steered-"); err != nil {
		return report, err
	}
	defer os.RemoveAll(s.dir)
	if s.dir, err = filepath.EvalSymlinks(s.dir); err != nil {
		return report, err
	}
	if err := os.WriteFile(s.path("layer.tar"), steeredLayer(), 0o600); err != nil {
		return report, err
	}
	report.Model = strings.Join(models, ", ")
	for _, m := range moments {
		if only != "" && only != m.name {
			continue
		}
		result := SteeredMoment{Name: m.name, Repeat: fmt.Sprintf("afterlock upstream --version %s --steered %s/%s", w.Version, variant, m.name)}
		for _, model := range models {
			actions, err := blackbox.Counterexample(ctx, model)
			if err != nil {
				return report, err
			}
			fmt.Fprintf(s.log, "the counterexample of %s, %s\n", model, m.name)
			for range runs {
				if err := s.run(ctx, actions, m, &result); err != nil {
					return report, fmt.Errorf("%s %s, %s, the counterexample of %s, %s: %w", w.Module, w.Version, variant, model, m.name, err)
				}
			}
		}
		report.Moments = append(report.Moments, result)
	}
	return report, nil
}

// steeredFiles is how many files the layer has.
const steeredFiles = 20

func steeredLayer() []byte {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i := range steeredFiles {
		_ = w.WriteHeader(&tar.Header{Name: fmt.Sprintf("file%d", i), Mode: 0o600, Size: 6})
		_, _ = w.Write([]byte("layer\n"))
	}
	_ = w.Close()
	return archive.Bytes()
}

// A steered is one store under steering, made anew for each run.
type steered struct {
	scene
	command, driver string
	released        string // command, which makes the store
	log             io.Writer

	steering *blackbox.Steering
	put      *blackbox.Steered
	server   *blackbox.Steered
	looker   *blackbox.Steered // of the commands that look at the store, the last

	arrived bool // the put is at the moment
	met     bool // a recovery tried to lock its instance then
}

// root is where the driver has the instances of its layers.
func (s *steered) root() string { return s.path("graph/overlay/tempdirs") }

var steeredEnvironment = []string{"STORAGE_CONF=/dev/null"}

// alone runs the store's command without supervision, with mounts of its own.
func (s *steered) alone(ctx context.Context, words ...string) (string, error) {
	return s.aloneBy(ctx, s.command, words...)
}

func (s *steered) aloneBy(ctx context.Context, command string, words ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command, s.options(words...)...)
	cmd.Env = append(os.Environ(), steeredEnvironment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return output(cmd)
}

// steeredPatience bounds how long a process may run between two stops.
const steeredPatience = 30 * time.Second

const steeredID = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed"

// run plays the actions on a new store, and counts what becomes of the put.
func (s *steered) run(ctx context.Context, actions []blackbox.Action, m moment, result *SteeredMoment) (err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(s.path("graph")), os.RemoveAll(s.path("run"))) }()
	// What the release can and the variant cannot is the variant's failure.
	if _, err := s.aloneBy(ctx, s.released, "layers"); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: no store with driver overlay: %w", ErrUnavailable, err)
		}
		return err
	}
	if s.steering, err = blackbox.NewSteering(s.root(), false, steeredPatience); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	played, err := s.play(ctx, actions, m)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.steering.Close()
		return err
	}
	result.Runs++
	if played {
		result.Played++
	}
	if s.met {
		result.Met++
	}
	code, _ := s.put.Exit()
	said := s.put.Output()
	s.steering.Close()
	if code != 0 {
		if lacks(errors.New(said)) {
			return fmt.Errorf("the machine has too little of something: %s", brief(said))
		}
		result.Failed++
		result.Example = "the put failed: " + strings.ReplaceAll(said, "\n", "; ")
		return nil
	}
	listed, err := s.alone(ctx, "layers")
	if err != nil {
		return err
	}
	whole := 0
	for i := range steeredFiles {
		if text, err := os.ReadFile(s.path(fmt.Sprintf("graph/overlay/%s/diff/file%d", steeredID, i))); err == nil && string(text) == "layer\n" {
			whole++
		}
	}
	_, damage := s.alone(ctx, "check") // which reads all layers
	if err := ctx.Err(); err != nil {
		return err
	}
	if isListed := strings.Contains(listed, steeredID); !isListed || whole < steeredFiles || damage != nil {
		result.Incomplete++
		result.Example = fmt.Sprintf("the put succeeded, its layer is listed: %t, files of it that are there: %d of %d, damaged by the store's own check: %t",
			isListed, whole, steeredFiles, damage != nil)
	}
	return nil
}

// play plays the actions, and lets everybody end. It reports false if somebody did
// not make the call of an action.
func (s *steered) play(ctx context.Context, actions []blackbox.Action, m moment) (all bool, err error) {
	if err := s.position(ctx, actions); err != nil {
		return false, err
	}
	if _, stopped := s.put.Stopped(); !stopped { // an older release stages nothing
		actions = nil
	}
	all = len(actions) > 0
	for _, a := range actions {
		made, err := s.act(a)
		if err != nil {
			return false, err
		}
		all = all && made
		if a.Name == "MakeData" {
			if err := s.advance(m); err != nil {
				return false, err
			}
		}
	}
	if !s.met && len(actions) > 0 { // what there is of the schedule kept everybody away
		for _, p := range []*blackbox.Steered{s.server, s.looker} {
			if err := s.until(p, never); err != nil {
				return false, err
			}
		}
		if err := s.look(); err != nil {
			return false, err
		}
		if err := s.until(s.looker, isLock); err != nil {
			return false, err
		}
	}
	order := []*blackbox.Steered{s.looker, s.server, s.put}
	if m.ends {
		if err := s.until(s.looker, removesStaged); err != nil {
			return false, err
		}
		order = []*blackbox.Steered{s.put, s.looker, s.server}
	}
	for _, p := range order {
		if err := s.until(p, never); err != nil {
			return false, err
		}
	}
	return all, nil
}

func never(blackbox.Call) bool { return false }

// look starts another command that looks at the store.
func (s *steered) look() (err error) {
	s.looker, err = s.steering.Start(s.command, steeredEnvironment, s.options("layers")...)
	return err
}

// until lets the process, if there is one, make its calls until it is stopped before
// one that is wanted, or ends.
func (s *steered) until(p *blackbox.Steered, wanted func(blackbox.Call) bool) error {
	if p == nil {
		return nil
	}
	_, err := p.Until(func(c blackbox.Call) bool {
		s.met = s.met || s.arrived && p != s.put && c.Name == "fcntl" && isLock(c)
		return wanted(c)
	})
	return err
}

// position starts the put and, if the second recoverer has something to do, the
// server. Both stop before their first calls in the root: what they lock on their
// way is free then.
func (s *steered) position(ctx context.Context, actions []blackbox.Action) (err error) {
	s.looker, s.server, s.arrived, s.met = nil, nil, false, false
	serves := slices.ContainsFunc(actions, func(a blackbox.Action) bool { return a.Process == 2 })
	if serves {
		if s.server, err = s.steering.Start(s.driver, steeredEnvironment, s.arguments()...); err != nil {
			return err
		}
		if err := s.server.Command("list"); err != nil {
			return err
		}
		if err := s.server.Run(); err != nil {
			return err
		}
		if _, err := s.alone(ctx, "create-layer"); err != nil { // which it will find
			return err
		}
	}
	if s.put, err = s.steering.Start(s.command, steeredEnvironment, s.options("import-layer", "-f", s.path("layer.tar"), "--id", steeredID)...); err != nil {
		return err
	}
	// Its own recoveries come first.
	if err := s.until(s.put, func(c blackbox.Call) bool { return isLock(c) || isData(c) }); err != nil || !serves {
		return err
	}
	return s.server.Command("list")
}

func isLock(c blackbox.Call) bool { return isOf(c, "lock-") }
func isData(c blackbox.Call) bool { return isOf(c, "temp-dir-") }

func isOf(c blackbox.Call, prefix string) bool {
	return len(c.Paths) > 0 && strings.HasPrefix(filepath.Base(c.Paths[len(c.Paths)-1]), prefix)
}

// act lets the process of the action make its calls up to the action's. It reports
// false if there is none: the recovery ends without, or the put comes to the making
// of its data directory.
func (s *steered) act(a blackbox.Action) (made bool, err error) {
	p := []*blackbox.Steered{s.put, s.looker, s.server}[a.Process]
	if a.Process == 1 && a.Name == "List" {
		if err := s.until(p, never); err != nil {
			return false, err
		}
		if err := s.look(); err != nil {
			return false, err
		}
		p = s.looker
	}
	if p == nil {
		return false, nil
	}
	barrier := func(c blackbox.Call) bool { return a.Process == 0 && c.Name == "mkdirat" && isData(c) }
	if err := s.until(p, func(c blackbox.Call) bool { return a.Takes(c) || barrier(c) }); err != nil {
		return false, err
	}
	c, stopped := p.Stopped()
	who := []string{"put", "recovery 1", "recovery 2"}[a.Process]
	if !stopped || !a.Takes(c) {
		fmt.Fprintf(s.log, "  %-10s  makes no call that is %s\n", who, a.Name)
		return false, nil
	}
	fmt.Fprintf(s.log, "  %-10s  %-18s  %s %s\n", who, a.Name, c.Name, filepath.Base(c.Paths[len(c.Paths)-1]))
	if err := p.Step(); err != nil {
		return false, err
	}
	if a.Name == "Close" { // what follows has its turn at another time
		return true, s.until(p, never)
	}
	return true, nil
}

// advance lets the put come to the moment.
func (s *steered) advance(m moment) error {
	if err := s.until(s.put, m.at); err != nil {
		return err
	}
	if m.made {
		if err := s.put.Step(); err != nil {
			return err
		}
	}
	s.arrived = true
	if c, stopped := s.put.Stopped(); stopped {
		fmt.Fprintf(s.log, "  %-10s  is stopped before   %s %s\n", "put", c.Name, filepath.Base(c.Paths[len(c.Paths)-1]))
	}
	return nil
}
