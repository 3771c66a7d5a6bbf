package gate

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// NewDisplay returns a display for out: a live line for every stage if out is a
// terminal and plain is not set, else a plain line when a stage starts and one
// when it ends. Call finish when all stages have ended, before anything else is
// written to out.
func NewDisplay(out io.Writer, plain bool) (display Display, finish func()) {
	if plain || !isTerminal(out) {
		return plainDisplay{out}, func() {}
	}
	live := &liveDisplay{progress: mpb.New(mpb.WithOutput(out), mpb.WithAutoRefresh())}
	return live, live.progress.Wait
}

// isTerminal reports whether out is a character device, which is near enough:
// a live line does no harm to any other.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A plainDisplay is for logs. What it cannot write is lost: the closing table
// says it all again.
type plainDisplay struct{ out io.Writer }

func (d plainDisplay) Started(stage Stage) {
	fmt.Fprintf(d.out, "%s: started: %s\n", stage.Name, stage.Description)
}

func (plainDisplay) Progress(Stage, string) {}

func (d plainDisplay) Finished(stage Stage, outcome Outcome) {
	fmt.Fprintf(d.out, "%s: %s in %.1f s: %s\n", stage.Name, marked(outcome), outcome.Elapsed.Seconds(), summary(outcome))
}

// summary is what a stage has to say for itself when it ends.
func summary(outcome Outcome) string {
	if outcome.Because != "" {
		return "because " + outcome.Because
	}
	return joinCounts(outcome.Counts)
}

// A liveDisplay is for people: a line a stage that is drawn anew while it runs.
type liveDisplay struct {
	progress *mpb.Progress
	bar      *mpb.Bar
	text     *atomic.Value // of the running stage; a string
}

func (d *liveDisplay) Started(stage Stage) {
	text := &atomic.Value{}
	text.Store("started")
	d.text = text
	d.bar = d.progress.New(0, mpb.SpinnerStyle(),
		mpb.BarWidth(1),
		mpb.BarFillerClearOnComplete(),
		mpb.PrependDecorators(decor.Name(stage.Name, decor.WC{W: 12, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return text.Load().(string) })),
	)
}

func (d *liveDisplay) Progress(_ Stage, text string) { d.text.Store(text) }

func (d *liveDisplay) Finished(_ Stage, outcome Outcome) {
	d.text.Store(fmt.Sprintf("%s in %.1f s: %s", marked(outcome), outcome.Elapsed.Seconds(), summary(outcome)))
	d.bar.SetTotal(-1, true)
	d.bar.Wait()
}
