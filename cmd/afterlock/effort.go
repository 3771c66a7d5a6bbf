package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/tempdir"
)

// An effort is how hard rm and recover may work, and what they show of it on a terminal.
type effort struct {
	rate int64
	idle bool

	options []tempdir.Option // for every root and every removal of the command
	display *gate.Display
	begun   time.Time

	mu    sync.Mutex
	names int64
	seen  map[string]int64 // of these, of each removal that is under way
}

func (e *effort) flags(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&e.rate, "rate", 0, "remove at most `n` files and directories per second")
	cmd.Flags().BoolVar(&e.idle, "idle-io", false, "read and write with idle priority, where the disk's scheduler knows that")
}

// begin begins to show what is removed, if out is a terminal. What it returns takes the
// line away.
func (e *effort) begin(out io.Writer) (end func(), err error) {
	if e.rate < 0 {
		return nil, errors.New("--rate must not be negative")
	}
	e.display, e.begun, e.seen = gate.NewDisplay(out, false), time.Now(), make(map[string]int64)
	e.options = []tempdir.Option{tempdir.OnProgress(e.take)}
	if e.rate > 0 { // a limit looks at the clock for every name
		e.options = append(e.options, tempdir.Rate(e.rate, 0))
	}
	if e.idle {
		e.options = append(e.options, tempdir.IdleIO())
	}
	return e.display.Clear, nil
}

func (e *effort) take(p tempdir.Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names += p.Names - e.seen[p.Path]
	if e.seen[p.Path] = p.Names; p.Done {
		delete(e.seen, p.Path)
	}
	e.display.Live(fmt.Sprintf("%d files and directories removed, %.0f per second", e.names, float64(e.names)/time.Since(e.begun).Seconds()))
}
