package mutant

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/volume"
)

// A Detector is a check that may meet mutants: the tests of a package, or parts of
// a stage of the gate.
type Detector struct {
	Name  string
	Tests string // the package; "" for a stage
}

// Detectors are tried in this order. Any other package with tests is one by its
// path, such as ./model/conformance: of the checks' own mutants.
var Detectors = []Detector{
	{"tempdir", "tempdir"}, {"layerstore", "tempdir/layerstore"}, {"compat", "tempdir/compat"}, {"kernel", "internal/kernel"},
	{"edges", ""}, {"crash", ""}, {"fuzz", ""}, {"blackbox", ""}, {"linearizability", ""}, {"traces", ""}, {"worlds", ""},
	{"model", "model"},
}

// FindDetector returns the detector of that name.
func FindDetector(name string) (Detector, error) {
	for _, d := range Detectors {
		if d.Name == name {
			return d, nil
		}
	}
	if pkg, ok := strings.CutPrefix(name, "./"); ok {
		return Detector{name, pkg}, nil
	}
	return Detector{}, fmt.Errorf("no detector %q", name)
}

const stages = "internal/bench/mutant/detector" // the program that runs parts of stages

// Limits, in seconds, of what a detector gets for one mutant: the parts of it that
// take no more of a processor together when nothing is wrong; and none begins after
// so long on a machine that does nothing else, see [clock]. What no detector kills so
// gets all parts: see [Source.try].
const (
	budget  = 10.0
	timeout = 30.0
)

// Verdicts of a run of a detector on a mutant.
const (
	Killed       = "killed"
	Survived     = "survived"
	NotReached   = "not reached"   // no part of the detector executes what is changed
	WrongMessage = "wrong message" // it fails, but not with what the catalogue says
	TimedOut     = "timed out"
	Undecided    = "undecided"
	NotBuilt     = "not built"
)

// A Run is what a detector made of a mutant.
type Run struct {
	Detector string  `json:"detector"`
	Verdict  string  `json:"verdict"`
	Part     string  `json:"part,omitempty"` // the test, or the part of the stage, that killed it
	Seconds  float64 `json:"seconds"`
	// Where nothing killed it, Skipped are tests that did not run, of the parts that reach the
	// mutant or that the catalogue names; and Left are parts that had no turn.
	Skipped []string `json:"skipped,omitempty"`
	Left    int      `json:"left,omitempty"`
	used    float64  // of a processor
	idle    float64  // seconds of a machine that does nothing else
	output  string
}

// A part is a test, or a part of a stage: how long it takes when nothing is wrong,
// and which mutants it reaches.
type part struct {
	Name    string
	Seconds float64
	Used    float64 // of a processor
	Reached []int
	Short   bool     // run with -test.short, since it takes long
	Wrong   string   // why it cannot be used: it fails without a mutant
	Skipped []string // tests of it that are not run here, each with the reason: what only they kill survives
}

// parts runs every part of a detector without a mutant, two at a time, or says
// what an earlier run of the same source found.
func (s *Source) parts(ctx context.Context, d Detector, log func(string)) ([]*part, error) {
	s.listing.Lock()
	defer s.listing.Unlock()
	if all := s.listed[d.Name]; all != nil {
		return all, nil
	}
	var all []*part
	path := filepath.Join(s.Work, "parts-"+strings.ReplaceAll(d.Name, "/", "-")+".json")
	program, err := s.detector(ctx, d, nil)
	if err != nil {
		return nil, err
	}
	if text, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(text, &all); err != nil {
			return nil, err
		}
	} else if all, err = list(ctx, d, program); err != nil {
		return nil, err
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		todo  = make(chan *part)
	)
	for i := range 2 {
		group.Go(func() {
			note := filepath.Join(s.Work, fmt.Sprintf("reached%d", i))
			for p := range todo {
				err := s.measure(ctx, d, program, p, note, log)
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for _, p := range all {
		if p.Seconds == 0 && ctx.Err() == nil {
			todo <- p
		}
	}
	close(todo)
	group.Wait()
	text, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err := errors.Join(append(errs, err, ctx.Err())...); err != nil {
		return nil, err
	}
	s.listed[d.Name] = all
	return all, nil
}

// skipped returns, by detector, the tests that were skipped when their parts were measured.
func (s *Source) skipped() map[string][]string {
	s.listing.Lock()
	defer s.listing.Unlock()
	all := map[string][]string{}
	for name, parts := range s.listed {
		for _, p := range parts {
			if len(p.Skipped) > 0 {
				all[name] = append(all[name], p.Skipped...)
			}
		}
	}
	return all
}

// list asks a program for its parts.
func list(ctx context.Context, d Detector, program string) (all []*part, err error) {
	args := []string{"list"}
	if d.Tests != "" {
		args = []string{"-test.list", "."}
	}
	output, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		if d.Tests != "" && !strings.HasPrefix(words[0], "Benchmark") {
			all = append(all, &part{Name: words[0]})
		} else if d.Tests == "" && words[0] == d.Name {
			all = append(all, &part{Name: words[1]})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no parts", d.Name)
	}
	return all, nil
}

// measure runs a part without a mutant.
func (s *Source) measure(ctx context.Context, d Detector, program string, p *part, note string, log func(string)) error {
	if err := os.WriteFile(note, make([]byte, len(s.number)+1), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(note, 0o666); err != nil { // processes of other users reach mutants, too
		return err
	}
	run := s.execute(ctx, d, program, []*part{p}, timeout, 3*timeout, records+"="+note)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if d.Tests != "" && !p.Short && run.used > budget {
		p.Short = true
		return s.measure(ctx, d, program, p, note, log)
	}
	p.Seconds, p.Used = run.Seconds, run.used
	if run.Verdict != Survived {
		p.Wrong = run.Verdict
		log(fmt.Sprintf("%s %s: %s without a mutant: %s", d.Name, p.Name, run.Verdict, tail(run.output)))
	}
	p.Skipped = skipped(run.output)
	reached, err := os.ReadFile(note)
	for n, is := range reached {
		if is != 0 {
			p.Reached = append(p.Reached, n)
		}
	}
	return err
}

var (
	skips  = regexp.MustCompile(`(?m)^ *--- SKIP: (\S+)`)
	reason = regexp.MustCompile(`skipped.*`)
)

// skipped returns the tests that were skipped, by what -test.v printed, and why.
func skipped(output string) (all []string) {
	for _, match := range skips.FindAllStringSubmatch(output, -1) {
		_, after, _ := strings.Cut(output, "=== RUN   "+match[1]+"\n")
		all = append(all, match[1]+": "+reason.FindString(after))
	}
	return all
}

func tail(text string) string {
	if len(text) > 400 {
		text = "..." + text[len(text)-400:]
	}
	return strings.TrimSpace(text)
}

// detector builds the program of a detector.
func (s *Source) detector(ctx context.Context, d Detector, m *Mutant) (string, error) {
	if d.Tests != "" {
		return s.program(ctx, d.Tests, true, m)
	}
	if _, err := s.program(ctx, "cmd/afterlock", false, m); err != nil {
		return "", err
	}
	return s.program(ctx, stages, false, m)
}

// Detect runs a detector on a mutant, until a part of it fails. If only is not empty, that
// part alone is run; if left is above 0, so many parts that had no turn before, all of them.
func (s *Source) Detect(ctx context.Context, m *Mutant, d Detector, only string, left int, log func(string)) (run Run, err error) {
	run.Detector = d.Name
	var all []*part
	if only != "" {
		all = []*part{{Name: only, Reached: []int{s.number[m]}}}
	} else if all, err = s.parts(ctx, d, log); err != nil {
		return run, err
	} else if m.Part != "" && m.Detector == d.Name && !slices.ContainsFunc(all, func(p *part) bool { return p.Name == m.Part }) {
		return run, fmt.Errorf("mutant %q: %s has no part %q", m.Name, d.Name, m.Part)
	}
	program, err := s.detector(ctx, d, m)
	if err != nil {
		run.Verdict, run.output = NotBuilt, err.Error()
		return run, ctx.Err()
	}
	var chosen []*part
	var notRun []string
	named := func(p *part) bool {
		return m.Detector == d.Name && (p.Name == m.Part || d.Tests != "" && strings.Contains(m.Message.String(), p.Name))
	}
	for _, p := range all {
		reaches := p.Wrong == "" && (s.own[m] || slices.Contains(p.Reached, s.number[m]))
		if reaches {
			chosen = append(chosen, p)
		}
		if reaches || named(p) {
			notRun = append(notRun, p.Skipped...)
		}
	}
	// What the catalogue names comes first; then what is fast, so that most have a turn.
	cost := func(p *part) float64 {
		if named(p) {
			return 0
		}
		return p.Used
	}
	slices.SortStableFunc(chosen, func(a, b *part) int { return cmp.Compare(cost(a), cost(b)) })
	if left > 0 {
		chosen = chosen[len(chosen)-left:]
	}
	run.Verdict = NotReached
	expected := m.Message
	if m.Detector != d.Name {
		expected = nil
	}
	for used, idle := 0.0, 0.0; len(chosen) > 0 && ctx.Err() == nil; {
		// Tests that take next to nothing share a process, but for what the catalogue names: another
		// one may hang.
		n, together := 1, *chosen[0]
		for d.Tests != "" && !named(chosen[0]) && n < len(chosen) && chosen[0].Short == chosen[n].Short && together.Seconds+chosen[n].Seconds < 1 {
			together.Seconds += chosen[n].Seconds
			together.Used += chosen[n].Used
			n++
		}
		if used += together.Used; used > budget && left == 0 && run.Verdict != NotReached {
			break
		}
		limits := [2]float64{3 + 4*together.Used, 10 + 4*together.Seconds} // so that one that hangs ends, and others get their turn
		if only != "" {
			limits = [2]float64{timeout, 3 * timeout}
		}
		one := s.execute(ctx, d, program, chosen[:n], limits[0], limits[1], fmt.Sprintf("%s=%d", selects, s.number[m]))
		chosen = chosen[n:]
		idle += one.idle
		one.Seconds = math.Round((one.Seconds+run.Seconds)*1000) / 1000
		if one.Verdict == Killed && expected != nil && !expected.MatchString(one.output) {
			one.Verdict = WrongMessage
		}
		if one.Verdict != Survived || run.Verdict == NotReached {
			run.Verdict, run.Part, run.output = one.Verdict, one.Part, run.output+one.output
		}
		run.Seconds = one.Seconds
		if run.Verdict == Killed {
			break
		}
		if idle > timeout && left == 0 && len(chosen) > 0 {
			run.Verdict = TimedOut // some had no turn
			break
		}
	}
	if run.Verdict != Killed {
		run.Skipped, run.Left = notRun, len(chosen)
	}
	return run, ctx.Err()
}

var panics = regexp.MustCompile(`(?m)^(panic|fatal error): `)

// A test that fails or, with a mutex that is unlocked twice, the one whose stack is printed.
var failing = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^(?:panic|fatal error): (?s:.*?)\.(Test\w+)\b`)

// Load is the average number of processes that wanted a processor in the last
// minute, and how many want one now.
func Load() (minute float64, now int) {
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		var ignored float64
		_, _ = fmt.Sscanf(string(text), "%f %f %f %d/", &minute, &ignored, &ignored, &now)
	}
	return minute, now
}

// clock runs until the context ends or the process has used so much of a processor, or
// for so long as a machine would have taken that does nothing else: a clock that goes
// slower the more processes want a processor. Then it stops the process. It returns
// what it showed.
func clock(ctx context.Context, pid int, used, idle float64, stop func()) (shown float64) {
	const tick = 100 * time.Millisecond
	of := int32(^pid<<3 | 2) // the clock of another process's threads
	for {
		select {
		case <-ctx.Done():
			return shown
		case <-time.After(tick):
		}
		_, now := Load()
		shown += tick.Seconds() * min(1, float64(runtime.NumCPU())/float64(max(now, 1)))
		var t unix.Timespec
		if unix.ClockGettime(of, &t) == nil && time.Duration(t.Nano()).Seconds() > used || shown > idle {
			stop()
		}
	}
}

// execute runs parts of a detector, for no longer than clock lets it. What it leaves
// is removed, and ended.
func (s *Source) execute(ctx context.Context, d Detector, program string, parts []*part, used, idle float64, variable string) (run Run) {
	run.Detector, run.Part = d.Name, parts[0].Name
	at := ""
	if d.Tests == "" {
		at = "/dev/shm" // where they are fastest
	}
	dir, err := os.MkdirTemp(at, "afterlock-mutants-")
	if err != nil {
		run.Verdict, run.output = Undecided, err.Error()
		return run
	}
	defer os.RemoveAll(dir)
	_ = os.Chmod(dir, 0o777|os.ModeSticky) // as temporary directories are: processes of other users work in it
	var args []string
	if d.Tests != "" {
		var names []string
		for _, p := range parts {
			names = append(names, regexp.QuoteMeta(p.Name))
		}
		args = []string{"-test.run", "^(" + strings.Join(names, "|") + ")$", "-test.timeout", "5m", fmt.Sprintf("-test.short=%t", parts[0].Short), fmt.Sprintf("-test.v=%t", strings.HasPrefix(variable, records))}
	} else {
		args = []string{d.Name, parts[0].Name, dir}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Join(s.Root, d.Tests)
	cmd.Env = append(os.Environ(), variable, "TMPDIR="+dir, "AFTERLOCK_COMMAND="+filepath.Join(filepath.Dir(program), "afterlock"))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if volume.MayMount() {
		cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS // so that no mount stays
	}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	begin := time.Now()
	if err = cmd.Start(); err == nil {
		ended, end := context.WithCancel(ctx)
		var watch sync.WaitGroup
		watch.Go(func() { run.idle = clock(ended, cmd.Process.Pid, used, idle, stop) })
		err = cmd.Wait()
		end()
		watch.Wait()
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
	run.Seconds = math.Round(time.Since(begin).Seconds()*1000) / 1000
	if cmd.ProcessState != nil {
		run.used = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	run.output = output.String()
	var exited *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success():
		run.Verdict, run.Part = Survived, ""
	case ctx.Err() != nil:
		run.Verdict = TimedOut
	case strings.Contains(run.output, "fatal error: runtime: "): // no memory, no threads
		run.Verdict = Undecided
	case errors.As(err, &exited) && (exited.ExitCode() == 1 || panics.MatchString(run.output)):
		run.Verdict = Killed
		if match := failing.FindStringSubmatch(run.output); match != nil {
			run.Part = cmp.Or(match[1], match[2])
		} else if d.Tests != "" && !panics.MatchString(run.output) {
			run.Verdict = Undecided
		}
	default:
		run.Verdict = Undecided
	}
	return run
}
