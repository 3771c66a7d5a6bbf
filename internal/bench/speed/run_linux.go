package speed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/volume"
)

const roleSpeed = "speed"

// lastPatience is how long a run has to end that was told to.
const lastPatience = 30 * time.Second

func init() { proc.Register(roleSpeed, serve) }

// Run measures, in a process that has, if this user can have them, name spaces of its own
// for mounts and processes, so that nothing stays mounted and nothing runs on, whatever
// happens. What it makes is in o.Dir, or mounted from there. If ctx is done the report
// is of the rounds until then. What a contender fails with is in its [Series], what cannot
// be had in Skipped; it is an error if no file system can. Two runs at once disturb each other.
func Run(ctx context.Context, o Options) (*Report, error) {
	p := proc.New(roleSpeed)
	p.SysProcAttr = volume.NameSpaces()
	if err := p.Start(); err != nil {
		return nil, err
	}
	defer p.Kill()
	if err := p.Send(o); err != nil {
		p.Kill()
		return nil, fmt.Errorf("the process that measures: %w: %s", err, p.Said())
	}
	defer context.AfterFunc(ctx, func() {
		p.Shut()
		time.AfterFunc(lastPatience, p.Shoot)
	})()
	for {
		var said answer
		if err := p.Receive(&said); err != nil {
			p.Kill()
			return nil, fmt.Errorf("the process that measures: %w: %s", errors.Join(err, ctx.Err()), p.Said())
		}
		switch {
		case said.Err != "":
			return nil, errors.New(said.Err)
		case said.Report != nil:
			return said.Report, nil
		case o.Progress != nil:
			o.Progress(said.Progress)
		}
	}
}

// An answer is one line of the process.
type answer struct {
	Progress string
	Report   *Report
	Err      string
}

func serve([]string) {
	b := &bench{report: &Report{}}
	proc.Fail(proc.Parent.Receive(&b.Options))
	b.Progress = func(text string) { _ = proc.Parent.Send(answer{Progress: text}) }
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		proc.Parent.Await() // the parent is done with it, or gone
		cancel()
	}()
	said := answer{Report: b.report}
	if err := b.run(ctx); err != nil && ctx.Err() == nil {
		said = answer{Err: err.Error()}
	}
	b.report.Interrupted = ctx.Err() != nil
	b.close()
	proc.Fail(proc.Parent.Send(said))
}

// A bench is one run.
type bench struct {
	Options
	report *Report
	places []*place
}

func (b *bench) run(ctx context.Context) error {
	unix.Umask(0o022)
	if volume.MayMount() {
		if err := volume.Apart(); err != nil {
			return fmt.Errorf("name spaces of its own: %w", err)
		}
	}
	for _, name := range b.FileSystems {
		b.Progress("make " + name)
		p, err := b.place(name)
		if err != nil {
			b.skip("%s: %v", name, err)
			continue
		}
		b.places = append(b.places, p)
	}
	if len(b.places) == 0 {
		return fmt.Errorf("nowhere to measure: %s", strings.Join(b.report.Skipped, "; "))
	}
	b.report.System = b.system()
	b.report.LoadBefore = load()
	defer func() { b.report.LoadAfter = load() }()
	for _, table := range b.Tables {
		measure := map[string]func(context.Context) error{
			"removal": b.removals, "hold": b.holds, "idle": b.idle, "recovery": b.recoveries, "memory": b.memory, "checks": b.checks,
		}[table]
		if err := measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	return nil
}

func (b *bench) skip(format string, arguments ...any) {
	b.report.Skipped = append(b.report.Skipped, fmt.Sprintf(format, arguments...))
}

// close unmounts what the file systems are made of before its directory is removed.
func (b *bench) close() {
	for _, p := range b.places {
		unix.Close(p.fd)
		if p.name != here {
			_ = unix.Unmount(p.dir, unix.MNT_DETACH)
		}
	}
}

// here is no file system of its own.
const here = "here"

// place makes a file system, with room for the trees, and opens it.
func (b *bench) place(name string) (*place, error) {
	p := &place{name: name, dir: filepath.Join(b.Dir, name)}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return nil, err
	}
	if name != here && !volume.MayMount() {
		return nil, errors.New("this user may not mount")
	}
	image, mib := p.dir+".img", 4096+b.Files/64
	var err error
	switch name {
	case "tmpfs":
		err = unix.Mount("tmpfs", p.dir, "tmpfs", 0, "mode=755,size=75%,nr_inodes=0")
	case "ext4":
		// Whole from the start, so that nothing is written in the background.
		err = volume.Mount(image, p.dir, mib, "mkfs.ext4", "-q", "-F", "-m", "0", "-N", fmt.Sprint(50_000+b.Files*2), "-E", "lazy_itable_init=0,lazy_journal_init=0")
	case "xfs":
		err = volume.Mount(image, p.dir, mib, "mkfs.xfs", "-q")
	case "btrfs":
		err = volume.Mount(image, p.dir, mib, "mkfs.btrfs", "-q")
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(p.dir, "empty"), 0o755)
	}
	if err == nil {
		p.fd, err = unix.Open(p.dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	}
	return p, err
}

// system says where this is.
func (b *bench) system() string {
	var name unix.Utsname
	var where unix.Statfs_t
	_ = unix.Uname(&name)
	_ = unix.Statfs(b.Dir, &where)
	return fmt.Sprintf("%s %s, %d processors, %s; images in a file system of type %#x",
		unix.ByteSliceToString(name.Sysname[:]), unix.ByteSliceToString(name.Release[:]), runtime.NumCPU(), runtime.Version(), where.Type)
}

// load is how many processes wanted to run, as /proc says.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// removals measures the removals, round by round. In each round every contender of every
// cell has one turn.
func (b *bench) removals(ctx context.Context) error {
	all, skipped, err := contenders(&b.Options)
	if err != nil {
		return err
	}
	b.report.Skipped = append(b.report.Skipped, skipped...)
	var shapes []shape
	for _, name := range b.Shapes {
		s, err := shapeOf(name, b.Files)
		if err != nil {
			b.skip("%s: %v", name, err)
			continue
		}
		shapes = append(shapes, s)
	}
	for _, dir := range b.Like {
		s, err := shapeLike(dir)
		if err != nil {
			return err
		}
		shapes = append(shapes, s)
	}
	type cell struct {
		*Cell
		place *place
		shape *shape
	}
	var cells []cell
	for _, p := range b.places {
		for i := range shapes {
			c := &Cell{FileSystem: p.name, Shape: shapes[i].name, Files: shapes[i].files, Cold: b.Cold}
			for _, one := range all {
				c.Series = append(c.Series, &Series{By: one.name, Kind: one.kind})
			}
			cells = append(cells, cell{c, p, &shapes[i]})
			b.report.Cells = append(b.report.Cells, c)
		}
	}
	began := time.Now()
	for round := range b.Pairs {
		if spent := time.Since(began); round > 0 && b.Time > 0 && spent+spent/time.Duration(round) > b.Time {
			b.skip("rounds after the first %d: there are %v for them", round, b.Time)
			break
		}
		b.Progress(fmt.Sprintf("round %d of %d", round+1, b.Pairs))
		for _, c := range cells {
			for i := range all {
				at := (i + round) % len(all) // each comes first as often as others
				series := c.Series[at]
				if series.Error != "" {
					continue
				}
				took, err := all[at].measure(ctx, c.place, c.shape, b.Cold)
				switch {
				case ctx.Err() != nil:
					return ctx.Err()
				case err != nil:
					series.Error = err.Error()
				default:
					series.Took = append(series.Took, took)
				}
			}
		}
	}
	return nil
}

// Check fills in what is not said, and refuses what there is not.
func (o *Options) Check() error {
	if len(o.FileSystems) == 0 {
		o.FileSystems = []string{here}
		if volume.MayMount() {
			o.FileSystems = []string{"tmpfs", "ext4", "xfs", "btrfs"}
		}
	}
	if len(o.Shapes)+len(o.Like) == 0 {
		o.Shapes = DefaultShapes
	}
	if len(o.Tables) == 0 {
		o.Tables = Tables
	}
	for _, c := range []struct {
		what         string
		chosen, have []string
	}{
		{"table", o.Tables, Tables},
		{"file system", o.FileSystems, FileSystems},
		{"shape", o.Shapes, Shapes},
		{"peer", o.Against, append(Peers(), Nobody)},
		{"row of ours", o.Only, OurRows()},
	} {
		for _, one := range c.chosen {
			if !slices.Contains(c.have, one) {
				return fmt.Errorf("no %s %q; there are: %s", c.what, one, strings.Join(c.have, ", "))
			}
		}
	}
	if o.Files < 1 || o.Pairs < 1 {
		return fmt.Errorf("%d files, %d pairs: both must be above 0", o.Files, o.Pairs)
	}
	if o.Cold && os.Geteuid() != 0 {
		return errors.New("only the superuser drops caches")
	}
	return nil
}
