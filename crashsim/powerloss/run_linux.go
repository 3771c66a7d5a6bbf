package powerloss

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// A Job is one program on one file system.
type Job struct {
	Program    string // its name
	FileSystem string
	Noise      string      // what others do before each change: "", "fsync" or "sync"
	Without    string      // the fsync that is left out
	Budget     int         // states
	Part       int         // of the states, those whose number leaves this rest
	Parts      int         // divided by this; 0: all of them
	Until      world.Claim // stop as soon as this is found to be false
	Torn       bool        // parts of a write can be lost
	Shutdown   string      // the power losses are shutdowns of this kind, and each tree has to be one of replay
	Every      int         // of the shutdowns, only each so many'th; 0: all
}

// text is the job as it stands in a schedule.
func (j Job) text() string {
	text := j.Program
	if j.Noise != "" {
		text += ",noise=" + j.Noise
	}
	if j.Without != "" {
		text += ",without=" + j.Without
	}
	if j.Torn {
		text += ",torn"
	}
	if j.Shutdown != "" {
		text += ",shutdown=" + j.Shutdown
	}
	return text
}

// noises are what others may do before each change.
var noises = []string{"", "fsync", "sync"}

// set reads a word of text after the first, and reports whether it is one.
func (j *Job) set(word string) bool {
	switch key, value, _ := strings.Cut(word, "="); key {
	case "noise":
		j.Noise = value
		return slices.Contains(noises, value)
	case "without":
		j.Without = value
		return true
	case "torn":
		j.Torn = true
		return value == ""
	case "shutdown":
		j.Shutdown = value
		_, is := shutdowns[value]
		return is
	}
	return false
}

// String is the job in words.
func (j Job) String() string { return j.text() + " on " + j.FileSystem }

// kind is that of the schedules of this package.
const kind = "powerloss"

// at is the power loss as a schedule: so many entries of the log were made, and of them
// these were lost.
func (j Job) at(c Cut) *schedule.Schedule {
	return &schedule.Schedule{Kind: kind, Program: j.text(), World: j.FileSystem,
		Steps:  []schedule.Step{{Process: disk, Changes: true, Count: c.At}},
		Losses: []schedule.Loss{{At: -1, Lost: c.Lost}}}
}

// disk is the letter of the disk in a schedule.
const disk = 'D'

// jobOf reads a schedule.
func jobOf(s *schedule.Schedule) (j Job, c Cut, err error) {
	words := strings.Split(s.Program, ",")
	j = Job{Program: words[0], FileSystem: s.World}
	for _, word := range words[1:] {
		if !j.set(word) {
			return j, c, s.Refuse("cannot read %q", word)
		}
	}
	if s.Kind != kind || len(s.Steps) != 1 || s.Steps[0].Process != disk || !s.Steps[0].Changes || len(s.Losses) > 1 {
		return j, c, s.Refuse("expected %s:PROGRAM@FILESYSTEM/%cNc/LOST", kind, disk)
	}
	c.At = s.Steps[0].Count
	for _, loss := range s.Losses {
		c.Lost = loss.Lost
	}
	return j, c, nil
}

// Counts are what was done.
type Counts struct {
	Entries      int           // of the log, after its beginning
	Flushes      int           // of them
	States       int           // different images
	Trees        int           // different trees, with what was promised
	Acknowledged int           // states in which a deletion had been acknowledged
	Shutdowns    int           // states that are not of replay
	Leaks        int           // trees with something left that recovery had to remove
	Torn         int           // trees with content that nobody promised, and that is not whole
	Replaying    time.Duration // of one worker
	Processor    time.Duration // meanwhile, of its thread
}

// WorkersPerCore is how many workers there are for each processor: they wait for the
// disk, and for the kernel's own threads, longer than they work.
const WorkersPerCore = 4

// PerSecond is how many states there were a second and processor, if as many workers as
// there are were at work all the time.
func (c *Counts) PerSecond() float64 {
	return WorkersPerCore * float64(c.States) / max(c.Replaying.Seconds(), 1e-3)
}

// processorTime is what this thread has used.
func processorTime() time.Duration {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Add adds what another job did.
func (c *Counts) Add(d Counts) {
	c.Entries += d.Entries
	c.Flushes += d.Flushes
	c.States += d.States
	c.Trees += d.Trees
	c.Acknowledged += d.Acknowledged
	c.Shutdowns += d.Shutdowns
	c.Leaks += d.Leaks
	c.Torn += d.Torn
	c.Replaying += d.Replaying
	c.Processor += d.Processor
}

// A Found is something that is wrong.
type Found struct {
	world.Finding
	Repeat string // afterlock replay ...
	Trees  int    // how many have such a finding, this one included
}

// String is the finding and the command on two lines.
func (f Found) String() string {
	return fmt.Sprintf("%v (%d trees)\n  afterlock replay %s", f.Finding, f.Trees, f.Repeat)
}

// A Result is what came of a job.
type Result struct {
	Job      Job
	Counts   Counts
	Findings []Found  // the first of each claim
	Fsyncs   []string // those that the program made
	Err      string
}

// Mounts is the claim that the kernel mounts what a power loss leaves.
const Mounts world.Claim = "mounts"

// A shop is where jobs are done: in a name space of its own, on a memory file system
// that ends with it.
type shop struct {
	dir    string
	driver string // see Options
	mu     sync.Mutex
	// images are empty file systems, by name.
	images map[string]*sync.Once
	failed map[string]error
}

// image makes an empty file system, the first time that it is asked for.
func (s *shop) image(f FileSystem) (string, error) {
	path := filepath.Join(s.dir, f.Name+".image")
	s.mu.Lock()
	once := s.images[f.Name]
	if once == nil {
		once = new(sync.Once)
		s.images[f.Name] = once
	}
	s.mu.Unlock()
	once.Do(func() {
		err := f.Make(path)
		s.mu.Lock()
		s.failed[f.Name] = err
		s.mu.Unlock()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	return path, s.failed[f.Name]
}

// A recording is a program and what it wrote.
type recording struct {
	job    Job
	fs     FileSystem
	p      *program
	base   *os.File // what was on the disk before
	log    []Entry
	begin  int // the first entry that counts
	fsyncs []string
}

// record runs a job's program in the directory of a worker.
func (s *shop) record(j Job, dir string) (r *recording, err error) {
	r = &recording{job: j}
	if r.fs, err = FileSystemOf(j.FileSystem); err != nil {
		return nil, err
	}
	if r.p, err = programOf(j.Program); err != nil {
		return nil, err
	}
	empty, err := s.image(r.fs)
	if err != nil {
		return nil, err
	}
	base, image, mount := filepath.Join(dir, "base"), filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := copyImage(empty, base); err != nil {
		return nil, err
	}
	if err := r.fs.mountImage(base, mount, func() error { return r.p.setup(&site{dir: mount, driver: s.driver}) }); err != nil {
		return nil, fmt.Errorf("%v: prepare: %w", j, err)
	}
	if err := copyImage(base, image); err != nil {
		return nil, err
	}
	at := site{dir: mount, driver: s.driver, noise: j.Noise, without: j.Without, fsyncs: make(map[string]bool)}
	r.log, err = Record(r.fs, image, mount, func(mark func(string) error) error {
		at.mark = mark
		return r.p.run(&at)
	})
	if err != nil {
		return nil, fmt.Errorf("%v: %w", j, err)
	}
	if j.Torn {
		r.log = Torn(r.log, r.fs.atom())
	}
	for name := range at.fsyncs {
		r.fsyncs = append(r.fsyncs, name)
	}
	slices.Sort(r.fsyncs)
	if j.Without != "" && !at.fsyncs[j.Without] {
		return nil, fmt.Errorf("%v: there is no such fsync; there are: %s", j, strings.Join(r.fsyncs, ", "))
	}
	r.begin = slices.IndexFunc(r.log, func(e Entry) bool { return e.Mark == MarkBegin }) + 1
	r.base, err = os.Open(base)
	return r, err
}

// do does a job in the directory of a worker.
func (s *shop) do(ctx context.Context, j Job, seed uint64, dir string) (result Result) {
	result.Job = j
	err := func() error {
		r, err := s.record(j, dir)
		if err != nil {
			return err
		}
		defer r.base.Close()
		replayer, err := NewReplayer(r.fs, r.base, r.log, filepath.Join(dir, "disk"))
		if err != nil {
			return err
		}
		defer replayer.Close()
		result.Fsyncs = r.fsyncs
		g := newJudge(r, replayer, s.driver)
		defer func() { result.Counts, result.Findings = g.counts, g.found }()
		for _, e := range r.log[r.begin:] {
			g.counts.Entries++
			if e.Flush {
				g.counts.Flushes++
			}
		}
		if j.Shutdown != "" {
			return newReplays(g, seed).shutdowns(ctx, dir)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		begin, used := time.Now(), processorTime()
		defer func() { g.counts.Replaying, g.counts.Processor = time.Since(begin), processorTime()-used }()
		for i, c := range Cuts(r.log, r.begin, j.Budget, seed) {
			if j.Parts > 0 && i%j.Parts != j.Part {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := g.judge(c.Same(r.log)); err != nil {
				return fmt.Errorf("%s: %w", j.at(c), err)
			}
			if g.done() {
				break
			}
		}
		return nil
	}()
	if err != nil {
		result.Err = err.Error()
	}
	return result
}

// replay repeats one power loss of a job and says what happened.
func (s *shop) replay(text *schedule.Schedule, dir string, out io.Writer) (findings int, err error) {
	j, c, err := jobOf(text)
	if err != nil {
		return 0, err
	}
	r, err := s.record(j, dir)
	if err != nil {
		return 0, err
	}
	defer r.base.Close()
	if j.Shutdown == "" && (c.At > len(r.log) || c.At < r.begin) {
		return 0, text.Refuse("the log has %d entries that count, from %d", len(r.log)-r.begin, r.begin)
	}
	say := func(format string, arguments ...any) { fmt.Fprintf(out, format, arguments...) }
	say("%v\n", j)
	replayer, err := NewReplayer(r.fs, r.base, r.log, filepath.Join(dir, "disk"))
	if err != nil {
		return 0, err
	}
	defer replayer.Close()
	g := newJudge(r, replayer, s.driver)
	g.say = say
	if j.Shutdown != "" {
		say("power is lost after %d changes\n", c.At)
		ended, err := newReplays(g, 0).shutdown(dir, c.At)
		if ended {
			err = text.Refuse("the program makes fewer changes than %d", c.At)
		}
		say("%d findings\n", g.said)
		return g.said, err
	}
	for i, e := range r.log[:c.At] {
		if i < r.begin {
			continue
		}
		switch {
		case e.Mark != "":
			say("%4d  mark  %s\n", i, e.Mark)
		case e.Flush:
			say("%4d  flush\n", i)
		case slices.Contains(c.Lost, i):
			say("%4d  write %d bytes at %d: lost\n", i, e.Size, e.Offset)
		default:
			say("%4d  write %d bytes at %d\n", i, e.Size, e.Offset)
		}
	}
	say("power is lost\n")
	err = g.judge([]Cut{c})
	say("%d findings\n", g.said)
	return g.said, err
}

// programOf finds a program by its name.
func programOf(name string) (*program, error) {
	all := programs()
	for i := range all {
		if all[i].name == name {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("no program %q", name)
}
