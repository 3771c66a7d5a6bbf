package linearizability

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// A generation is one process: what it does, and how it dies.
type generation struct {
	program Program
	crash   int64         // before this call of the store; 0: not so
	at      string        // of those with this name
	shot    time.Duration // so long after it is ready; 0: not so
}

// fork runs one process to its end and adds its records. It reports whether the
// process was killed; one that is faster than its kill ends in order.
func (s *scene) fork(ctx context.Context, process int, g generation, faultName string) (killed bool, err error) {
	j := job{Process: process, Scene: s.dir, Site: s.site, Program: g.program, Crash: g.crash, At: g.at, Fault: faultName}
	if j.Site.Full != 0 {
		j.Site.Full += uint64(process) // other moves for each
	}
	s.expect(process, g.program)
	worker := proc.New(workerRole)
	worker.Env = append(worker.Env, "GOMAXPROCS=2")
	if err := worker.Start(); err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, worker.Shoot)
	defer stop()
	if err := worker.Send(j); err == nil {
		// It says a line when it begins, and one at the end.
		if _, err := worker.Line(); err == nil && g.shot > 0 {
			// A random moment of what it does, not a wait for anything.
			shot := time.AfterFunc(g.shot, worker.Shoot)
			defer shot.Stop()
		}
	}
	var end ending
	_ = worker.Receive(&end) // nothing, if it is killed or fails
	err = worker.Wait()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	killed = worker.Killed()
	switch {
	case killed && g.crash+int64(g.shot) == 0:
		return true, errors.New("a worker was killed, and not by us: is memory short?")
	case killed:
		note, _ := os.ReadFile(j.crashNote()) // none if it was shot
		s.killed(process, string(note))
		if strings.HasPrefix(string(note), "before "+removal+",") {
			s.count(func(c *counts) { c.removing++ })
		}
	case err != nil:
		return false, fmt.Errorf("worker %d: %w", process, err)
	}
	s.count(func(c *counts) {
		c.held, c.under = c.held+end.Held, c.under+end.Under
		if end.Under > 0 {
			c.problems = append(c.problems, fmt.Sprintf("process %d removed %d names while it had the store lock", process, end.Under))
		}
		for _, leaked := range end.Leaked {
			c.problems = append(c.problems, fmt.Sprintf("process %d leaked %s", process, leaked))
		}
	})
	for i := range g.program {
		record, err := os.ReadFile(j.record(i))
		if errors.Is(err, fs.ErrNotExist) && killed {
			continue // it was killed before
		}
		if err != nil {
			return killed, err
		}
		if !killed && !bytes.HasSuffix(record, []byte("\n")) {
			return killed, fmt.Errorf("%s: the last line is cut off, and nobody killed the process", j.record(i))
		}
		s.addRecord(record)
	}
	return killed, nil
}

// forkAll runs the processes of one history.
func (s *scene) forkAll(ctx context.Context, rng *rand.Rand, programs mix, faultName string) (atCalls int64, err error) {
	clients, ways := goroutinesOf, 2
	if s.site.Files > treeFiles {
		clients, ways = 1, 4 // one, so that it is known who has the store lock
	}
	var all [places][]generation
	for place := range all {
		for i := range generations {
			g := generation{program: randomProgram(rng, clients, actionsOf, programs)}
			long := randomProgram(rng, clients, untilShot*actionsOf, programs)
			switch way := rng.IntN(ways); {
			case i == generations-1:
			case way == 0:
				g.crash = 1 + rng.Int64N(maxCrash)
			case way == 1:
				g.program = long
				g.shot = 1 + time.Duration(rng.Int64N(int64(maxShot)*int64(s.site.Files)/treeFiles/8+int64(maxShot)))
			default:
				g.program, g.at, g.crash = long, removal, 1+rng.Int64N(int64(s.site.Files))
			}
			all[place] = append(all[place], g)
		}
	}
	type end struct {
		atCalls int64
		err     error
	}
	ends := make(chan end, places)
	for place, line := range all {
		go func() {
			var e end
			for i, g := range line {
				var killed bool
				if killed, e.err = s.fork(ctx, 1+place*generations+i, g, faultName); e.err != nil {
					break
				}
				if killed && g.crash > 0 {
					e.atCalls++
				}
			}
			ends <- e
		}()
	}
	for range all {
		e := <-ends
		atCalls += e.atCalls
		err = errors.Join(err, e.err)
	}
	return atCalls, err
}
