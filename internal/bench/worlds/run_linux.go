package worlds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	bench "github.com/afterlock/afterlock/internal/bench/proc"
	files "github.com/afterlock/afterlock/internal/bench/volume"
)

const roleStage = "worlds"

// lastPatience is how long a process has to end that was told to.
const lastPatience = 10 * time.Second

func init() { bench.Register(roleStage, serve) }

// Run plays worlds until every two values, or Deep every three, of different
// dimensions that can be had were in one of them together. It does so in a process
// with name spaces of its own for mounts and processes, so that nothing stays mounted
// and nothing runs on, whatever happens.
// Who may not mount is refused what needs that.
func Run(ctx context.Context, o Options) (Report, error) {
	p, err := start(o)
	if err != nil {
		return Report{}, err
	}
	stop := context.AfterFunc(ctx, func() {
		p.Shut()
		time.AfterFunc(lastPatience, p.Shoot) // what it runs may be stuck
	})
	defer stop()
	for {
		var said answer
		if err := p.Receive(&said); err != nil {
			p.Kill()
			return Report{}, fmt.Errorf("the process of the worlds: %w: %s", errors.Join(err, ctx.Err()), p.Said())
		}
		if said.Report != nil {
			p.Shut()
			return *said.Report, errors.Join(said.error(), p.Wait())
		}
		if o.Progress != nil {
			o.Progress(said.Progress)
		}
	}
}

// start starts the process that plays.
func start(o Options) (*bench.Process, error) {
	p := bench.New(roleStage)
	p.SysProcAttr = files.NameSpaces()
	if err := p.Start(); err != nil {
		return nil, err
	}
	if err := p.Send(o); err != nil {
		p.Kill()
		return nil, fmt.Errorf("the process of the worlds: %w: %s", err, p.Said())
	}
	return p, nil
}

// A Player plays one world after the other, in file systems that it makes once. Its
// methods may not be called concurrently.
type Player struct{ process *bench.Process }

// NewPlayer starts one. Dir is as in [Options].
func NewPlayer(dir string) (*Player, error) {
	p, err := start(Options{Dir: dir, Many: true})
	return &Player{p}, err
}

// Play plays the world and returns what is wrong, reduced to the fewest values that show
// it, with the command that repeats it. The error matches errors.ErrUnsupported where
// there is no such world here.
func (p *Player) Play(w World) (findings []string, err error) {
	if err := p.process.Send(w.String()); err != nil {
		p.process.Kill()
		return nil, fmt.Errorf("the process of the worlds: %w: %s", err, p.process.Said())
	}
	for {
		var said answer
		if err := p.process.Receive(&said); err != nil {
			p.process.Kill() // after which all is there that it said
			return nil, fmt.Errorf("the process of the worlds: %w: %s", err, p.process.Said())
		}
		if said.Report != nil {
			return said.Report.Findings, said.error()
		}
	}
}

// Close ends the player.
func (p *Player) Close() error {
	p.process.Shut()
	return p.process.Wait()
}

// An answer is one line of the process.
type answer struct {
	Progress    string
	Report      *Report
	Err         string
	Unsupported bool
}

func (a answer) error() error {
	switch {
	case a.Err == "":
		return nil
	case a.Unsupported:
		return fmt.Errorf("%s%w", a.Err, unsupported{})
	}
	return errors.New(a.Err)
}

// Unsupported adds no words.
type unsupported struct{}

func (unsupported) Error() string        { return "" }
func (unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

func serve([]string) {
	var o Options
	bench.Fail(bench.Parent.Receive(&o))
	var mu sync.Mutex
	o.Progress = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		_ = bench.Parent.Send(answer{Progress: text})
	}
	o.stuck = func(finding string) {
		mu.Lock()
		_ = bench.Parent.Send(answer{Report: &Report{Findings: []string{finding}}})
		os.Exit(0)
	}
	say := func(report Report, err error) {
		said := answer{Report: &report}
		if err != nil {
			said.Err, said.Unsupported = err.Error(), errors.Is(err, errors.ErrUnsupported)
		}
		mu.Lock()
		defer mu.Unlock()
		bench.Fail(bench.Parent.Send(said))
	}
	if o.Many {
		s, err := newSearch(o)
		bench.Fail(err)
		for bench.Parent.Receive(&o.World) == nil {
			s.report = &Report{}
			err := s.one(context.Background(), o.World, true)
			say(*s.report, err)
		}
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		bench.Parent.Await() // the parent is done with it, or gone
		cancel()
	}()
	say(run(ctx, o))
}

// prepare makes the place for volumes: a directory that every user can reach.
func prepare(o Options) (*volumes, error) {
	v := &volumes{base: o.Dir, images: o.Dir, made: map[string]*volume{}, mounted: files.MayMount()}
	if !v.mounted {
		return v, nil
	}
	v.base = "/mnt"
	if err := files.Apart(); err != nil {
		return nil, err
	}
	return v, unix.Mount("tmpfs", v.base, "tmpfs", 0, "mode=755")
}

func newSearch(o Options) (*search, error) {
	unix.Umask(0o022)
	v, err := prepare(o)
	if err != nil {
		return nil, fmt.Errorf("make a place for worlds: %w", err)
	}
	return &search{volumes: v, Options: o, report: &Report{}, causes: map[partial]string{}}, nil
}

func run(ctx context.Context, o Options) (Report, error) {
	s, err := newSearch(o)
	if err != nil {
		return Report{}, err
	}
	r := s.report
	if o.World != "" {
		err := s.one(ctx, o.World, false)
		return *r, err
	}
	var sizes [dimensions]int
	for d := range sizes {
		sizes[d] = len(Dimensions[d].Values)
	}
	t := 2
	if o.Deep {
		t = 3
	}
	var more []set
	for _, text := range together {
		more = append(more, parseSet(text))
	}
	s.cover = newCover(sizes, t, o.Seed, more...)
	r.Combinations = len(s.cover.order)
	s.playAll(ctx)
	if s.ShardN <= 1 {
		r.Covered = r.Combinations - s.cover.left - s.gone()
	}
	for _, p := range s.cover.unmet {
		s.causes[p] = "no world has it without something else that is refused"
	}
	for p, why := range s.causes {
		if p.values() == 1 {
			r.Values = append(r.Values, fmt.Sprintf("%v: %s", p, why))
		}
		r.Refused = append(r.Refused, fmt.Sprintf("%v: %s", p, why))
	}
	slices.Sort(r.Values)
	slices.Sort(r.Refused)
	r.Possible = r.Combinations - s.gone()
	return *r, ctx.Err()
}

// A search draws worlds and plays them, several at a time.
type search struct {
	*volumes
	Options
	report *Report
	cover  *cover
	drawn  int                // worlds
	sites  atomic.Int64       // that were made
	probed sync.Map           // by world, a func() error
	causes map[partial]string // why what was refused was
}

// gone counts the combinations that cannot be had.
func (s *search) gone() (n int) {
	s.cover.combinations(func(p partial) {
		if !s.cover.allowed(&p) {
			n++
		}
	})
	return n
}

// window is how many worlds are drawn before what the first of them teaches counts for
// the next: a number of its own, so that the same worlds are drawn on any machine.
const window = 16

// learning is how many worlds are drawn before shards stop to learn what is refused: up to
// then each looks at the worlds of the others, and after that at its own, so that all
// draw the same.
const learning = 1000

// A played is what became of a world.
type played struct {
	World
	met      []partial
	reduced  World
	findings []string
	refused  partial
	why      string // it is refused
	err      error
	others   bool // it is another shard's
	learns   bool // a refusal has something to say about the next
	done     chan struct{}
}

// playAll draws worlds and plays them until there are no more. It judges them in the order
// in which they were drawn.
func (s *search) playAll(ctx context.Context) {
	var (
		next  = make(chan *played, window)
		wait  sync.WaitGroup
		ahead []*played
	)
	for range 3 * runtime.GOMAXPROCS(0) { // who makes a file system durable waits
		wait.Go(func() {
			for p := range next {
				s.play(ctx, p)
				close(p.done)
			}
		})
	}
	defer wait.Wait()
	defer close(next)
	for {
		for len(ahead) < window && !(s.First && len(s.report.Findings) > 0) && (s.Limit == 0 || s.report.Worlds+len(ahead) < s.Limit) {
			w, met, ok := s.cover.next()
			if !ok {
				break
			}
			s.drawn++
			p := &played{World: w, met: met, others: s.ShardN > 1 && s.drawn%s.ShardN != s.ShardI-1,
				learns: s.ShardN <= 1 || s.drawn <= learning, done: make(chan struct{})}
			ahead = append(ahead, p)
			next <- p
		}
		if len(ahead) == 0 {
			return
		}
		<-ahead[0].done
		if !s.judged(ctx, ahead[0]) {
			return
		}
		ahead = ahead[1:]
	}
}

// judged notes what became of a world, and reports whether there may be more.
func (s *search) judged(ctx context.Context, p *played) (more bool) {
	switch {
	case ctx.Err() != nil:
		return false
	case p.why != "" && p.refused == nothing:
		s.note(p.World, []string{"no world can be built: " + p.why})
		return false
	case p.why != "":
		s.causes[p.refused] = p.why
		if p.learns {
			s.cover.refuse(p.refused)
			s.cover.putBack(p.met)
		}
	case p.err != nil:
		s.note(p.World, []string{"not judged: " + p.err.Error()})
	case len(p.findings) > 0:
		s.note(p.reduced, p.findings)
		fallthrough
	case !p.others:
		s.report.Worlds++
		s.report.Covered += len(p.met)
	}
	s.Progress(fmt.Sprintf("%d worlds, %d combinations wanted", s.report.Worlds, s.cover.left))
	return true
}

// play plays the world, and looks for what is behind what it finds.
func (s *search) play(ctx context.Context, p *played) {
	switch {
	case p.others && p.learns:
		p.err = s.probe(ctx, p.World)
	case !p.others:
		p.findings, p.err = s.try(ctx, p.World)
	}
	switch {
	case errors.Is(p.err, errRefused):
		p.refused, p.why = s.cause(ctx, p.World, p.err)
	case len(p.findings) > 0:
		p.reduced, p.findings = s.reduce(ctx, p.World, p.findings)
	}
}

// note keeps a finding. Two worlds are often reduced to one.
func (s *search) note(w World, findings []string) {
	for i, text := range findings {
		findings[i] = strings.ReplaceAll(text, "\n", " ")
	}
	line := fmt.Sprintf("%s: %s; repeat: afterlock replay %s", w, strings.Join(findings, "; "), w)
	if !slices.Contains(s.report.Findings, line) {
		s.Progress(line)
		s.report.Findings = append(s.report.Findings, line)
	}
}

// cause finds the fewest values of w that are refused together. What is refused on
// one file system, or to one program, is asked of all.
func (s *search) cause(ctx context.Context, w World, err error) (partial, string) {
	p, why := *w.partial(), err.Error()
	for d := range w {
		if d == program || d == fileSystem {
			continue
		}
		plainer := w
		if plainer[d] = 0; w[d] != 0 {
			err := s.probe(ctx, plainer)
			if err == nil {
				continue
			}
			why = err.Error()
		}
		w, p[d] = plainer, open
	}
	for _, d := range []int{program, fileSystem} {
		values := Dimensions[d].Values
		if d == program {
			values = []string{"delete", "recover", "store-delete", "overlay-delete"} // what is prepared for a program is one of these
		}
		if !s.matters(ctx, w, d, values) {
			w[d], p[d] = 0, open
		}
	}
	why = strings.NewReplacer(errRefused.Error()+": ", "", s.images+"/", "", s.base+"/", "").Replace(why)
	return p, strings.Join(strings.Fields(why), " ")
}

// matters reports whether a world that is refused is not with one of these values of
// the dimension.
func (s *search) matters(ctx context.Context, w World, d int, values []string) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		w[d] = byte(slices.Index(Dimensions[d].Values, value))
		return s.probe(ctx, w) == nil
	})
}

// try plays the world, again where a small volume still has what the last one left: a
// detached mount gives its blocks back with the last process that sees it.
func (s *search) try(ctx context.Context, w World) (findings []string, err error) {
	defer s.watch(w)()
	for range 5 {
		findings, err = s.volumes.play(ctx, w, s.number())
		if !errors.Is(err, unix.ENOSPC) || errors.Is(err, errRefused) {
			break
		}
		unix.Sync()
	}
	return findings, err
}

// probe returns why the world is refused. It is tried once: the plainer worlds of many that
// are refused are the same.
func (s *search) probe(ctx context.Context, w World) error {
	probed, _ := s.probed.LoadOrStore(w, sync.OnceValue(func() error {
		defer s.watch(w)()
		if err := s.volumes.probe(ctx, w, s.number()); errors.Is(err, errRefused) {
			return err
		}
		return nil
	}))
	return probed.(func() error)()
}

// noEnd is how long a world takes that has no end; tests do not wait for it.
var noEnd = 6 * patience

// watch ends everything with a finding if the world, all of whose parts have ends of
// their own, has none: the library is stuck in this process. The caller calls stop.
func (s *search) watch(w World) (stop func() bool) {
	return time.AfterFunc(noEnd, func() {
		s.stuck(fmt.Sprintf("%s: no end of it; repeat: afterlock replay %[1]s", w))
	}).Stop
}

func (s *search) number() int { return int(s.sites.Add(1)) }

// reduce makes values plain as long as there is a finding.
func (s *search) reduce(ctx context.Context, w World, findings []string) (World, []string) {
	for d := len(w) - 1; d > program; d-- {
		plainer := w
		if plainer[d] = 0; w[d] == 0 {
			continue
		}
		if found, err := s.try(ctx, plainer); err == nil && len(found) > 0 {
			w, findings = plainer, found
		}
	}
	return w, findings
}

// one plays a world that was given, and reduces it if that is wanted.
func (s *search) one(ctx context.Context, text string, reduced bool) error {
	w, err := Parse(text)
	if err != nil {
		return err
	}
	findings, err := s.try(ctx, w)
	if err != nil {
		return fmt.Errorf("%s: %w", w, err)
	}
	s.report.Worlds = 1
	if len(findings) > 0 && reduced {
		w, findings = s.reduce(ctx, w, findings)
	}
	if len(findings) > 0 {
		s.note(w, findings)
	}
	return nil
}
