package subjects

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Fixed says whether the release still loses data: the models' counterexample,
// steered; then free-running processes on one store, and on one root, as released,
// with compat, and mixed. The stores are on tmpfs, which is mounted for them below Dir
// and unmounted before Fixed returns. Its error matches [ErrUnavailable] if this user
// cannot mount. It takes about four times Seconds for the puts and once for the
// instances, and up to three times that on a slow machine where nobody loses anything.
func (w *Workshop) Fixed(ctx context.Context, o Run) (*Report, error) {
	o.Seconds = cmp.Or(o.Seconds, 20)
	r := &Report{}
	if err := onlyRoot(); err != nil {
		return r, err
	}
	dir, err := w.Copy(ctx, "released")
	if err != nil {
		return r, err
	}
	if _, err := os.Stat(filepath.Join(dir, "internal", "tempdir")); err != nil {
		return r, fmt.Errorf("%w: this release has no internal/tempdir, which the race is in", ErrUnavailable)
	}
	switch err := w.Schedule(ctx, r, []string{"released", "compat"}, cmp.Or(o.Runs, 50), o.Log); {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case Unavailable(err):
		r.Skip("schedule", err) // there may be no supervision
	case err != nil: // of a release that makes other calls
		r.Short = append(r.Short, "the schedule was not played: "+err.Error())
	}
	always := func(putFleet) bool { return true }
	if err := w.puts(ctx, r, o, []putFleet{{{"released", 8}}, {{"compat", 8}}, {{"released", 1}, {"compat", 7}}, {{"released", 4}, {"compat", 4}}}, always); err != nil {
		return r, err
	}
	if !(&tree{w, dir}).hasInternals() {
		r.Skip("instances", errors.New("this release has no package that stages additions"))
		return r, nil
	}
	pairs := [][2]string{{"released", "released"}, {"released", "compat"}, {"compat", "released"}, {"compat", "compat"}}
	return r, w.instances(ctx, r, o, pairs, func([2]string) bool { return true })
}

// puts runs fleets that put layers. Those that are safe have to lose nothing.
func (w *Workshop) puts(ctx context.Context, r *Report, o Run, fleets []putFleet, safe func(putFleet) bool) error {
	table := r.Table(fmt.Sprintf("Puts: processes that put, read back and delete layers in one overlay store on tmpfs, %g s a fleet", o.Seconds),
		"fleet", "kind", "puts", "failed", "incomplete", "not deleted")
	for _, fleet := range fleets {
		drivers := map[string]string{}
		for _, kind := range append(fleet, kindOf{"released", 0}) {
			path, err := w.Driver(ctx, kind.variant)
			if err != nil {
				return err
			}
			drivers[kind.variant] = path
		}
		did := make([]puts, len(fleet))
		lost, tried := 0, 0
		for round := 0; round == 0 || safe(fleet) && again(r, round, lost, tried, leastPuts); round++ {
			fmt.Fprintf(o.Log, "puts: %s, %g s\n", fleet, o.Seconds)
			if err := onTmpfs(ctx, o.Dir, storeSize, func(dir string) error { return fleet.run(ctx, drivers, dir, o.Seconds, did) }); err != nil {
				return err
			}
			lost, tried = 0, 0
			for _, p := range did {
				lost, tried = lost+p.lost(), tried+p.tried
			}
		}
		judgePuts(r, table, fleet, did, safe(fleet))
	}
	return nil
}

// run runs the fleet once, and adds to what its kinds have done.
func (f putFleet) run(ctx context.Context, drivers map[string]string, dir string, seconds float64, did []puts) error {
	// One opens the store before the others do: the driver's kernel features are tested
	// then. It is the release: what that can and another cannot is the other's failure.
	first, err := start(ctx, drivers["released"], dir, "list")
	if err != nil {
		return err
	}
	if _, err := first.numbers(1); err != nil {
		return fmt.Errorf("%w: no overlay store can be made: %w", ErrUnavailable, err)
	}
	var processes []*process
	var kinds []int // of the processes
	for kind := range f {
		for range f[kind].processes {
			p, err := start(ctx, drivers[f[kind].variant], dir, "stress", fmt.Sprint(seconds))
			if err != nil {
				return errors.Join(err, killAll(processes))
			}
			processes, kinds = append(processes, p), append(kinds, kind)
		}
	}
	for i, p := range processes {
		n, err := p.numbers(4)
		if err != nil {
			return errors.Join(err, killAll(processes[i+1:]))
		}
		example, other := errorLines(p.losses(dir))
		did[kinds[i]].add(puts{tried: n[0], failed: n[1], incomplete: n[2], undeleted: n[3], other: other, example: example})
	}
	return nil
}

// instances runs creators beside recoverers, of each pair. Those that are safe have to
// lose nothing.
func (w *Workshop) instances(ctx context.Context, r *Report, o Run, pairs [][2]string, safe func(pair [2]string) bool) error {
	o.Seconds /= 4
	table := r.Table(fmt.Sprintf("Instances: 2 processes that stage and commit, 2 that recover, one of either killed again and again, %g s a pair", o.Seconds),
		"creators", "recoverers", "instances", "lost", "incomplete", "recoveries", "kills", "data left")
	for _, pair := range pairs {
		did, err := w.pair(ctx, r, pair[0], pair[1], o, safe(pair))
		if err != nil {
			return err
		}
		judgeInstances(r, table, pair[0], pair[1], did, safe(pair))
	}
	return nil
}

// pair runs creators beside recoverers, of two variants, once, or until enough is done.
func (w *Workshop) pair(ctx context.Context, r *Report, creators, recoverers string, o Run, enough bool) (did instances, err error) {
	creator, err := w.Driver(ctx, creators)
	if err != nil {
		return did, err
	}
	recoverer, err := w.Driver(ctx, recoverers)
	for round := 0; err == nil && (round == 0 || enough && again(r, round, did.losses(), did.made, leastInstances)); round++ {
		fmt.Fprintf(o.Log, "instances: %s beside recovery of %s, %g s\n", creators, recoverers, o.Seconds)
		err = onTmpfs(ctx, o.Dir, storeSize, func(dir string) error { return did.run(ctx, creator, recoverer, dir, o.Seconds) })
	}
	return did, err
}

// run runs a pair once, and adds to what it has done.
func (did *instances) run(ctx context.Context, creator, recoverer, dir string, seconds float64) error {
	root := filepath.Join(dir, "root")
	var processes []*process
	for _, p := range [][2]string{{creator, "create"}, {creator, "create"}, {recoverer, "recover"}, {recoverer, "recover"}} {
		p, err := start(ctx, p[0], dir, p[1], root, fmt.Sprint(seconds))
		if err != nil {
			return errors.Join(err, killAll(processes))
		}
		processes = append(processes, p)
	}
	err := did.kill(ctx, creator, recoverer, dir, root, seconds)
	for i, p := range processes {
		count := 3
		if i >= 2 {
			count = 2
		}
		n, waitErr := p.numbers(count)
		if err = errors.Join(err, waitErr); err != nil {
			return errors.Join(err, killAll(processes[i+1:]))
		}
		if i >= 2 {
			did.recoveries, did.failed = did.recoveries+n[0], did.failed+n[1]
			continue
		}
		did.made, did.lost, did.incomplete = did.made+n[0], did.lost+n[1], did.incomplete+n[2]
		example, other := errorLines(p.losses(dir))
		did.other += other
		if did.example == "" {
			did.example = example
		}
	}
	last, err := start(ctx, recoverer, dir, "recover", root, "0.2")
	if err != nil {
		return err
	}
	if _, err := last.numbers(2); err != nil {
		return err
	}
	// A lock file without data may be a moment old, and is left alone by compat.
	left, err := filepath.Glob(filepath.Join(root, "temp-dir-*"))
	did.left += len(left)
	return err
}

// kill starts creators and recoverers, and kills each at a random moment, for so long.
func (did *instances) kill(ctx context.Context, creator, recoverer, dir, root string, seconds float64) error {
	for end := time.Now().Add(time.Duration(seconds * float64(time.Second))); time.Now().Before(end) && ctx.Err() == nil; {
		driver, word := creator, "create"
		if did.kills%4 == 3 {
			driver, word = recoverer, "recover"
		}
		victim, err := start(ctx, driver, dir, word, root, "3600")
		if err != nil {
			return err
		}
		time.Sleep(20*time.Millisecond + rand.N(60*time.Millisecond)) // it takes a few to start
		if err := killAll([]*process{victim}); err != nil {
			return err
		}
		did.kills++
	}
	return ctx.Err()
}

// A process is a driver that answers once, and ends.
type process struct {
	cmd             *exec.Cmd
	answer, failure bytes.Buffer
}

// start starts a driver on the store in dir. It ends with this program.
func start(ctx context.Context, driver, dir string, words ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, driver, (&scene{dir: dir}).arguments(words...)...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.answer, &p.failure
	// A group of its own: an interrupt on the terminal is for this program alone.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
	p.cmd.WaitDelay = time.Second // what it has started may have its pipes
	return p, p.cmd.Start()
}

// numbers waits for the answer, which has so many numbers after the time it took.
func (p *process) numbers(count int) ([]int, error) {
	err := p.cmd.Wait()
	words := strings.Fields(p.answer.String())
	if err != nil || len(words) != count+2 || words[0] != "ok" {
		return nil, fmt.Errorf("driver %s: %w: %s %s", p.cmd.Args[5:], cmp.Or(err, errors.New("no answer")), firstLine(p.answer.String()), firstLine(p.failure.String()))
	}
	numbers := make([]int, count)
	for i := range numbers {
		if numbers[i], err = strconv.Atoi(words[i+2]); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// losses are what the process has printed, a line each, with paths below dir.
func (p *process) losses(dir string) string {
	return strings.ReplaceAll(p.failure.String(), dir+"/", "")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// onlyRoot is an error that matches [ErrUnavailable] for who may not mount an overlay.
// The store's command would start itself anew for ever, in name spaces of its own.
func onlyRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: the driver overlay needs root", ErrUnavailable)
	}
	var header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if whole := []string{"0", "0", "4294967295"}; sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 || !slices.Equal(strings.Fields(string(users)), whole) {
		return fmt.Errorf("%w: the driver overlay needs root with CAP_SYS_ADMIN, outside of user name spaces", ErrUnavailable)
	}
	return nil
}

// killAll ends processes with what they have started, and waits for them.
func killAll(processes []*process) (err error) {
	for _, p := range processes {
		err = errors.Join(err, p.cmd.Cancel())
	}
	for _, p := range processes {
		_ = p.cmd.Wait() // it was killed
	}
	return err
}

// storeSize bounds the stores: layers are small, and deleted at once.
const storeSize = "512m"

// onTmpfs mounts a tmpfs of that size in dir, for as long as do runs.
func onTmpfs(ctx context.Context, dir, size string, do func(dir string) error) (err error) {
	dir, err = os.MkdirTemp(dir, "store-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size="+size); err != nil {
		return fmt.Errorf("%w: mount a tmpfs: %w", ErrUnavailable, err)
	}
	// Whatever was mounted below goes with it.
	defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW), ctx.Err()) }()
	return do(dir)
}
