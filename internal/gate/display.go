package gate

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// A Display shows what goes on while stages run: a line when one starts and one when it
// ends; on a terminal, what it does meanwhile, too, in a line that is written over. What
// cannot be written is lost: the closing table says it all again.
type Display struct {
	out  io.Writer
	live bool

	mu    sync.Mutex
	shown time.Time // when the line was written last
}

// NewDisplay returns a display for out, without a line that is written over if plain is
// set, or out no terminal.
func NewDisplay(out io.Writer, plain bool) *Display {
	return &Display{out: out, live: !plain && isTerminal(out)}
}

// isTerminal reports whether out is a character device, which is near enough:
// a line that is written over does no harm to any other.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (d *Display) started(stage Stage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, "%s: started: %s\n", stage.Name, stage.Description)
}

const (
	overLine  = "\r\x1b[K" // to its start, and nothing is in it
	liveWidth = 76
	livePause = 100 * time.Millisecond
)

// progress shows a line of what a stage does.
func (d *Display) progress(stage Stage, text string) { d.Live(stage.Name + ": " + text) }

// Live shows text in a line that is written over, now and then, if there is one. It may be
// called at any rate and from any goroutine.
func (d *Display) Live(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.live && time.Since(d.shown) > livePause {
		d.shown = time.Now()
		line := []rune(text)
		fmt.Fprint(d.out, overLine, string(line[:min(len(line), liveWidth)]))
	}
}

// Clear takes away the line that is written over.
func (d *Display) Clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear()
}

func (d *Display) clear() {
	if !d.shown.IsZero() {
		fmt.Fprint(d.out, overLine)
	}
}

func (d *Display) finished(stage Stage, outcome Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear()
	said := joinCounts(outcome.Counts)
	if outcome.Because != "" {
		said = "because " + outcome.Because
	}
	fmt.Fprintf(d.out, "%s: %s in %.1f s: %s\n", stage.Name, marked(outcome), outcome.Elapsed.Seconds(), said)
}
