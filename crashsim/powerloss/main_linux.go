package powerloss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/schedule"
)

const roleStage = "powerloss"

func init() { proc.Register(roleStage, serve) }

// Options are what to do.
type Options struct {
	Dir    string // a directory for a mount point; nothing stays in it
	Seed   uint64
	Jobs   []Job
	Replay string // or this schedule
	Driver string // the driver of package subjects, for programs of the released store

	// Progress hears of every job that is done; may be nil.
	Progress func(Result) `json:"-"`
}

// An answer is one line of the process.
type answer struct {
	Result      *Result
	Text        string
	Findings    int
	Err         string
	Unsupported bool
	Last        bool
}

func (a *answer) error() error {
	switch {
	case a.Err == "":
		return nil
	case a.Unsupported:
		what, why, _ := strings.Cut(a.Err, ": ")
		return &Unavailable{what, why}
	}
	return errors.New(a.Err)
}

// Run does the jobs, in a process with name spaces of its own for mounts and processes:
// with it everything ends that is mounted or attached, however it ends. The results
// come in the order of the jobs. An error that matches errors.ErrUnsupported says that
// none of it can be done here.
func Run(ctx context.Context, o Options) ([]Result, error) {
	results := make([]Result, 0, len(o.Jobs))
	byJob := make(map[Job]Result)
	_, err := start(ctx, o, func(a *answer) {
		byJob[a.Result.Job] = *a.Result
		if o.Progress != nil {
			o.Progress(*a.Result)
		}
	})
	for _, j := range o.Jobs {
		if r, done := byJob[j]; done {
			results = append(results, r)
		}
	}
	return results, err
}

// Replay repeats the power loss of o.Replay, which a finding printed. It writes what
// happened, and returns how many findings there are.
func Replay(ctx context.Context, o Options, out io.Writer) (findings int, err error) {
	last, err := start(ctx, o, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.WriteString(out, last.Text)
	return last.Findings, err
}

func start(ctx context.Context, o Options, done func(*answer)) (*answer, error) {
	if os.Geteuid() != 0 {
		return nil, &Unavailable{"power loss", "mounting needs root"}
	}
	dir, err := os.MkdirTemp(o.Dir, "powerloss-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(dir)
	o.Dir = dir
	p := proc.New(roleStage)
	p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	if err := p.Start(); err != nil {
		return nil, &Unavailable{"power loss", err.Error()}
	}
	defer p.Kill()
	if err := p.Send(o); err != nil {
		p.Kill() // after which all is there that it said
		return nil, fmt.Errorf("the process of the power losses: %w: %s", err, p.Said())
	}
	stop := context.AfterFunc(ctx, p.Shoot)
	defer stop()
	for {
		var a answer
		if err := p.Receive(&a); err != nil {
			p.Kill()
			return nil, fmt.Errorf("the process of the power losses: %w: %s", errors.Join(err, ctx.Err()), p.Said())
		}
		if a.Last {
			return &a, a.error()
		}
		done(&a)
	}
}

// serve does the jobs.
func serve([]string) {
	var o Options
	proc.Fail(proc.Parent.Receive(&o))
	a := answer{Last: true}
	err := func() error {
		if err := Workshop(o.Dir); err != nil {
			return err
		}
		s := &shop{dir: o.Dir, driver: o.Driver, images: make(map[string]*sync.Once), failed: make(map[string]error)}
		if o.Replay != "" {
			text, err := schedule.Parse(o.Replay)
			if err != nil {
				return err
			}
			at, err := s.bench(0)
			if err != nil {
				return err
			}
			var out strings.Builder
			a.Findings, err = s.replay(text, at, &out)
			a.Text = out.String()
			return err
		}
		return s.all(o)
	}()
	if err != nil {
		a.Err, a.Unsupported = err.Error(), errors.Is(err, errors.ErrUnsupported)
	}
	proc.Fail(proc.Parent.Send(a))
}

// bench makes the directories of a worker.
func (s *shop) bench(n int) (string, error) {
	dir := filepath.Join(s.dir, fmt.Sprint("worker", n))
	return dir, errors.Join(os.MkdirAll(filepath.Join(dir, "disk"), 0o700), os.MkdirAll(filepath.Join(dir, "fuse"), 0o700))
}

// all does all jobs.
func (s *shop) all(o Options) error {
	queue := make(chan Job)
	var mu sync.Mutex
	var failed error
	var wait sync.WaitGroup
	for n := range WorkersPerCore * runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			dir, err := s.bench(n)
			for j := range queue {
				result := Result{Job: j, Err: fmt.Sprint(err)}
				if err == nil {
					result = s.do(context.Background(), j, o.Seed, dir)
				}
				mu.Lock()
				failed = errors.Join(failed, proc.Parent.Send(answer{Result: &result}))
				mu.Unlock()
			}
		})
	}
	for _, j := range o.Jobs {
		queue <- j
	}
	close(queue)
	wait.Wait()
	return failed
}
