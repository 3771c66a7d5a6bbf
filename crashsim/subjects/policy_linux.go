package subjects

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/compat"
)

// Policies replays one trace against stores that differ in when they recover, and
// reports who waits, and for how long space is taken by what nobody uses. Its error
// matches [ErrUnavailable] if this user cannot mount, or a driver cannot be built. One
// run of one policy takes as long as the trace, and about half as long to put the layers.
func (w *Workshop) Policies(ctx context.Context, o Run) (*Report, error) {
	var chosen []policy
	for _, p := range policies {
		if len(o.Words) == 0 || slices.Contains(o.Words, p.name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) < max(len(o.Words), 1) {
		return nil, fmt.Errorf("%q are not all policies", o.Words)
	}
	for _, p := range chosen { // a policy that cannot be built for this release is no failure of it
		if _, err := w.Driver(ctx, p.variant); err != nil {
			return nil, err
		}
	}
	o.Runs = cmp.Or(o.Runs, 3)
	trace := o.Trace()
	report := &Report{}
	runs := make([][]bystander, len(chosen))
	for run := range o.Runs { // every policy in turn, so that a busy hour hits them all
		for i, p := range chosen {
			var b bystander
			err := o.onScene(ctx, func(s *scene) (err error) {
				b, err = replayPolicy(ctx, w, s, p, trace)
				return err
			})
			switch {
			case err != nil && (ctx.Err() != nil || Unavailable(err)):
				return nil, err
			case err != nil: // of the store
				report.Problem("%s, run %d: %v", p.name, run+1, err)
				return report, nil
			}
			runs[i] = append(runs[i], b)
			fmt.Fprintf(o.Log, "run %d of %d, %s: %s\n", run+1, o.Runs, p.name, b)
		}
	}
	policyTables(report, trace, chosen, runs)
	// What was replayed is worth a report, whatever comes of this.
	if err := policyCalls(ctx, w, o, chosen, report); ctx.Err() != nil {
		return report, ctx.Err()
	} else if Unavailable(err) {
		report.Skip("the system calls", err)
	} else if err != nil {
		report.Problem("the system calls: %v", err)
	}
	return report, nil
}

// replayPolicy replays the trace once, on a new file system.
func replayPolicy(ctx context.Context, w *Workshop, s *scene, p policy, trace Trace) (b bystander, err error) {
	r := &replaying{scene: s, pulled: map[string]TraceLayer{}}
	if r.driver, err = w.Driver(ctx, p.variant); err != nil {
		return b, err
	}
	safe, err := w.Driver(ctx, "compat")
	if err != nil {
		return b, err
	}
	// Released processes lose pulls to each other, which is not the question yet.
	if err := s.putAll(ctx, safe, append(slices.Clone(trace.Base), trace.Victims...)); err != nil {
		return b, err
	}
	if r.watch, err = s.watch(trace); err != nil {
		return b, err
	}
	defer r.watch.close()
	if r.server, err = s.serve(ctx, r.driver); err != nil {
		return b, err
	}
	defer r.server.end()
	if _, err := r.server.ask("list"); err != nil { // opens the store
		return b, err
	}
	r.load = fmt.Sprintf("%.2f", Load())
	ticking, stop := context.WithCancel(ctx)
	defer stop()
	var timer sync.WaitGroup
	if p.timer > 0 {
		timer.Go(func() { s.recoverEvery(ticking, p.timer) })
	}
	r.start = time.Now()
	var lanes sync.WaitGroup
	for lane := range traceLanes {
		lanes.Go(func() { r.lane(ctx, lane, trace) })
	}
	lanes.Wait()
	end := time.Now()
	stop()
	timer.Wait()
	r.kills = r.watch.kills(end)
	if ctx.Err() != nil {
		return b, ctx.Err()
	}
	r.server.end()
	held, err := s.used()
	if err != nil {
		return b, err
	}
	for _, root := range s.roots() {
		if err := compat.RecoverStaleDirs(root); err != nil {
			return b, err
		}
	}
	after, err := s.used()
	if err != nil {
		return b, err
	}
	r.notBack = held - after
	r.damaged, err = s.check(ctx, safe, slices.AppendSeq(slices.Clone(trace.Base), maps.Values(r.pulled)))
	return r.bystander, err
}

// A replaying is one replay of a trace.
type replaying struct {
	*scene
	driver string
	server *serving
	watch  *watching
	start  time.Time

	mu sync.Mutex // of what follows
	bystander
	pulled map[string]TraceLayer // and not deleted
}

// lane does what the trace has for one lane.
func (r *replaying) lane(ctx context.Context, lane int, trace Trace) {
	failed := map[string]bool{}
	for _, c := range trace.Commands {
		if c.Lane != lane {
			continue
		}
		timer := time.NewTimer(time.Until(r.start.Add(c.At)))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if failed[c.Layer.ID] {
			continue // its pull has been counted
		}
		wait, err := r.do(ctx, c)
		failed[c.Layer.ID] = err != nil && c.Do == "pull"
		r.note(c, wait, err)
	}
}

// do does one command, and returns how long it took in the store.
func (r *replaying) do(ctx context.Context, c TraceCommand) (time.Duration, error) {
	var words []string
	switch c.Do {
	case "pull":
		words = putWords(c.Layer)
	case "mount":
		words = []string{"use", c.Layer.ID}
	case "list":
		words = []string{"list"}
	default:
		words = []string{"delete", c.Layer.ID}
	}
	if c.Lane == 0 {
		return r.server.ask(words...)
	}
	p, err := start(ctx, r.driver, r.dir, words...)
	if err != nil {
		return 0, err
	}
	if c.Left > 0 {
		r.watch.arm(c, p.cmd.Process)
	}
	_ = p.cmd.Wait() // the answer says more
	took, _, err := answer(p.answer.String())
	if err != nil {
		err = fmt.Errorf("%w %s", err, firstLine(p.failure.String()))
	}
	return took, err
}

func (r *replaying) note(c TraceCommand, wait time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.Left > 0: // there is no answer; whether it was killed in time the watch knows
	case err != nil:
		r.failed = append(r.failed, fmt.Sprintf("%v: %v", c, err))
	case c.Do == "delete":
		r.deletions = append(r.deletions, wait)
		delete(r.pulled, c.Layer.ID)
	default:
		r.waits = append(r.waits, wait)
		if c.Do == "pull" {
			r.pulled[c.Layer.ID] = c.Layer
		} else {
			r.looks = append(r.looks, wait)
		}
	}
}

// A scene is a store in a directory of its own, with the driver overlay unless layout
// names another.
type scene struct{ dir, layout string }

// onScene mounts a tmpfs that is large enough for a replay, for as long as do runs.
func (o Run) onScene(ctx context.Context, do func(s *scene) error) error {
	return onTmpfs(ctx, o.Dir, "4g,nr_inodes=2m", func(dir string) error { return do(&scene{dir: dir}) })
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) graph(names ...string) string {
	return filepath.Join(append([]string{s.dir, "graph"}, names...)...)
}

func (s *scene) roots() []string {
	return []string{s.graph("overlay", "tempdirs"), s.graph("overlay-layers", "tmp")}
}

// used is how many bytes the file system has in use.
func (s *scene) used() (int64, error) {
	var info unix.Statfs_t
	err := unix.Statfs(s.dir, &info)
	return int64(info.Blocks-info.Bfree) * int64(info.Bsize), err
}

// recoverEvery is the timer of a machine that has one.
func (s *scene) recoverEvery(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, root := range s.roots() {
				_ = compat.RecoverStaleDirs(root) // what it cannot do is counted at the end
			}
		}
	}
}

func putWords(l TraceLayer) []string {
	return []string{"put", l.ID, "-", fmt.Sprint(l.Files), fmt.Sprint(traceFileSize)}
}

// putAll puts the layers, two at a time.
func (s *scene) putAll(ctx context.Context, driver string, layers []TraceLayer) error {
	next, failed := make(chan TraceLayer, len(layers)), make(chan error, 2)
	for _, l := range layers {
		next <- l
	}
	close(next)
	for range cap(failed) {
		go func() {
			server, err := s.serve(ctx, driver)
			if err != nil {
				failed <- err
				return
			}
			defer server.end()
			for l := range next {
				if _, err = server.ask(putWords(l)...); err != nil {
					break
				}
			}
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

// check reads all layers back and returns those that are not whole, and the count
// if there are others than these.
func (s *scene) check(ctx context.Context, driver string, layers []TraceLayer) (damaged []string, err error) {
	server, err := s.serve(ctx, driver)
	if err != nil {
		return nil, err
	}
	defer server.end()
	for _, l := range layers {
		if _, err := server.ask("check", l.ID, fmt.Sprint(l.Files)); err != nil {
			damaged = append(damaged, err.Error())
		}
	}
	if _, err := server.ask("list"); err != nil {
		return damaged, err
	}
	if n := server.said; n != fmt.Sprint(len(layers)) {
		damaged = append(damaged, fmt.Sprintf("%s layers, and not %d", n, len(layers)))
	}
	return damaged, nil
}
