package subjects

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// policyCalls counts the system calls that a policy adds where there is nothing to
// recover, against a store that never recovers by itself.
func policyCalls(ctx context.Context, w *Workshop, o Run, chosen []policy, report *Report) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	none, err := countPolicy(ctx, w, o, "compat-timer")
	if err != nil {
		return err
	}
	table := report.Table("system calls added where there is nothing to recover; without any recovery in parentheses",
		"policy", "open and list", "open and save", "list after somebody saved", "save")
	cells := []any{"no recovery"}
	for _, n := range none {
		cells = append(cells, fmt.Sprintf("(%d)", n))
	}
	table.Row(cells...)
	for _, p := range chosen {
		if p.variant == "compat-timer" {
			continue
		}
		counts, err := countPolicy(ctx, w, o, p.variant)
		if err != nil {
			return err
		}
		cells := []any{p.name}
		for i, n := range counts {
			cells = append(cells, n-none[i])
		}
		table.Row(cells...)
	}
	return nil
}

// countPolicy counts the calls of: opening and listing, opening and saving, listing
// after somebody else saved, saving. The median of three each.
func countPolicy(ctx context.Context, w *Workshop, o Run, variant string) (counts [4]int, err error) {
	driver, err := w.Driver(ctx, variant)
	if err != nil {
		return counts, err
	}
	err = o.onScene(ctx, func(s *scene) (err error) {
		counts, err = s.countPolicy(ctx, driver)
		return err
	})
	return counts, err
}

func (s *scene) countPolicy(ctx context.Context, driver string) (counts [4]int, err error) {
	other, err := s.serve(ctx, driver)
	if err != nil {
		return counts, err
	}
	defer other.end()
	if _, err := other.ask("put", "layer", "-", "1", "1"); err != nil {
		return counts, err
	}
	if _, err := other.ask("delete", "layer"); err != nil { // makes the roots
		return counts, err
	}
	if _, err := other.ask("put", "layer", "-", "1", "1"); err != nil {
		return counts, err
	}
	save, list := []string{"touch", "layer"}, []string{"list"}
	for i, count := range []func() (int, error){
		func() (int, error) { return s.countOnce(ctx, driver, list...) },
		func() (int, error) { return s.countOnce(ctx, driver, save...) },
		func() (int, error) { return s.countEach(ctx, driver, other, save, list) },
		func() (int, error) { return s.countEach(ctx, driver, nil, nil, save) },
	} {
		var three []int
		for range 3 {
			n, err := count()
			if err != nil {
				return counts, err
			}
			three = append(three, n)
		}
		slices.Sort(three)
		counts[i] = three[1]
	}
	return counts, nil
}

// countOnce counts the calls of a process with one command.
func (s *scene) countOnce(ctx context.Context, driver string, words ...string) (int, error) {
	log := filepath.Join(s.dir, "log")
	trace := exec.CommandContext(ctx, "strace", append([]string{"-f", "-qq", "-o", log, driver}, s.arguments(words...)...)...)
	if output, err := trace.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, output)
	}
	return countCalls(log)
}

// countEach counts the calls of one command of a server, by the difference between
// many and twice as many. Before each of them the other server does something.
func (s *scene) countEach(ctx context.Context, driver string, other *serving, before, command []string) (int, error) {
	const many = 10
	log := filepath.Join(s.dir, "log")
	var counts [2]int
	for i := range counts {
		traced, err := s.serve(ctx, driver, "strace", "-f", "-qq", "-o", log)
		if err != nil {
			return 0, err
		}
		for range 1 + many*(1+i) { // the first opens the store
			if other != nil {
				if _, err := other.ask(before...); err != nil {
					return 0, err
				}
			}
			if _, err := traced.ask(command...); err != nil {
				return 0, err
			}
		}
		traced.end()
		if counts[i], err = countCalls(log); err != nil {
			return 0, err
		}
	}
	return (counts[1] - counts[0] + many/2) / many, nil
}

// runtimeCalls are made by Go's runtime, as often as it likes.
var runtimeCalls = []string{
	"futex", "madvise", "mmap", "munmap", "nanosleep", "clock_nanosleep", "epoll_", "rt_sig", "sigaltstack", "sched_", "clone", "gettid", "getpid",
	"tgkill", "restart_syscall", "exit", "mprotect", "prlimit", "eventfd", "set_", "rseq", "arch_prctl", "execve", "brk", "timer_", "wait", "+++", "---",
}

// countCalls counts the calls in a log of strace that a program decided to make.
func countCalls(log string) (n int, err error) {
	file, err := os.Open(log)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		_, call, _ := strings.Cut(lines.Text(), " ") // after the process
		call = strings.TrimSpace(call)
		own := func(prefix string) bool { return strings.HasPrefix(call, prefix) }
		if !strings.HasPrefix(call, "<...") && !slices.ContainsFunc(runtimeCalls, own) {
			n++
		}
	}
	return n, lines.Err()
}
