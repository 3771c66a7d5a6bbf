package linearizability

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"time"
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
//
// The worker is killed by the kernel when the parent ends, see package stress.
func (s *scene) fork(ctx context.Context, process int, g generation, faultName string) (killed bool, err error) {
	j := job{Process: process, Scene: s.dir, Site: s.site, Program: g.program, Crash: g.crash, At: g.at, Fault: faultName}
	if j.Site.Full != 0 {
		j.Site.Full += uint64(process) // other moves for each
	}
	s.expect(process, g.program)
	order, err := json.Marshal(j)
	if err != nil {
		return false, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe") // its kill is SIGKILL
	cmd.Args = os.Args[:1]                            // for process listings and owner records
	cmd.Env = append(os.Environ(), workerVariable+"=1", "GOMAXPROCS=2")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(append(order, '\n')), &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("start a worker: %w", err)
	}
	// The pipe has at most one line, and ends with the process.
	out := bufio.NewReader(stdout)
	if _, err := out.ReadString('\n'); err == nil && g.shot > 0 {
		// A random moment of what it does, not a wait for anything.
		shot := time.AfterFunc(g.shot, func() { _ = cmd.Process.Kill() })
		defer shot.Stop()
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	switch {
	case killed && g.crash+int64(g.shot) == 0:
		return true, errors.New("a worker was killed, and not by us: is memory short?")
	case killed:
		note, _ := os.ReadFile(j.crashNote()) // none if it was shot
		s.killed(process, string(note))
	case err != nil:
		return false, fmt.Errorf("worker %d: %w: %s", process, err, bytes.TrimSpace(stderr.Bytes()))
	}
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
	var all [places][]generation
	for place := range all {
		for i := range generations {
			g := generation{program: randomProgram(rng, goroutinesOf, actionsOf, programs)}
			switch {
			case i == generations-1:
			case rng.IntN(2) == 0:
				g.crash = 1 + rng.Int64N(maxCrash)
			default:
				g.program = randomProgram(rng, goroutinesOf, untilShot*actionsOf, programs)
				g.shot = 1 + time.Duration(rng.Int64N(int64(maxShot)))
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
