package blackbox

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Run runs all of it. It returns an error that matches
// [errors.ErrUnsupported] where processes cannot be supervised, and other
// errors if the checks could not be made. What is wrong with the programs is in
// the report's problems.
func Run(ctx context.Context, o Options) (Report, error) {
	c := &campaign{Options: o}
	err := c.in(ctx, func(dir string, binaries map[string]string) error {
		if err := c.openWorkers(dir, binaries); err != nil {
			return err
		}
		for _, phase := range []func(context.Context) error{c.crashes, c.faults} {
			if err := phase(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return c.report, err
}

// in does the work with a scratch directory and the binaries, and cleans up.
func (c *campaign) in(ctx context.Context, work func(dir string, binaries map[string]string) error) error {
	dir, err := os.MkdirTemp(c.Dir, "afterlock-box-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := dir + "/bin"
	if err := os.Mkdir(bin, 0o700); err != nil {
		return err
	}
	c.progress("building the programs")
	binaries, err := buildBinaries(ctx, bin)
	if err != nil {
		return err
	}
	defer c.close()
	return work(dir, binaries)
}

// crashes crashes every program everywhere.
func (c *campaign) crashes(ctx context.Context) error {
	all := programs()
	traces := make([]*trace, len(all))
	begin := time.Now()
	err := c.each(ctx, len(all), func(w *worker, i int) (err error) {
		c.progress("crash points of %s", all[i].name)
		traces[i], err = c.traceProgram(w, &all[i])
		return err
	})
	c.report.CrashTime = time.Since(begin)
	if err != nil {
		return err
	}
	err = c.each(ctx, len(all), func(w *worker, i int) error {
		c.progress("crashes of the recovery of %s", all[i].name)
		return c.nest(ctx, w, traces[i])
	})
	if err != nil {
		return err
	}
	fmt.Println("nest", time.Since(begin))
	type kill struct {
		trace *trace
		at    int    // the program, before this call
		from  *state // or the recovery, from there
	}
	var kills []kill
	for _, t := range traces {
		if t == nil {
			continue
		}
		for k := range t.calls {
			kills = append(kills, kill{t, k + 1, nil})
		}
		for i := range t.states {
			kills = append(kills, kill{t, 0, &t.states[i]})
		}
	}
	c.progress("killing programs and recoveries")
	defer func() { fmt.Println("kill", time.Since(begin)) }()
	return c.each(ctx, len(kills), func(w *worker, i int) error {
		k := kills[i]
		if k.from != nil {
			return c.killRecovery(w, k.trace.program, *k.from)
		}
		return c.killProgram(w, k.trace, k.at)
	})
}

// faults answers calls with errnos. A start of the command costs as much as a
// whole run of a driver, so it gets the first errno only, unless deep.
func (c *campaign) faults(ctx context.Context) error {
	type fault struct {
		program program
		errno   unix.Errno
	}
	var faults []fault
	for _, p := range programs() {
		for i, errno := range errnos {
			if p.serves || i == 0 || c.Deep {
				faults = append(faults, fault{p, errno})
			}
		}
	}
	begin := time.Now()
	defer func() { fmt.Println("faults", time.Since(begin)) }()
	return c.each(ctx, len(faults), func(w *worker, i int) error {
		f := faults[i]
		c.progress("%s at every call of %s", unix.ErrnoName(f.errno), f.program.name)
		return c.failProgram(w, &f.program, f.errno)
	})
}
