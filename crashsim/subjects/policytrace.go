package subjects

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A Trace is what the processes of one machine do with one store: who, when, what,
// and who is killed at which moment. It depends on its seed alone, not on what the
// store does, so that stores can be compared by it.
//
// Lane 0 is one process that runs as long as the trace, a server. The others are one
// process for each command, which ends at once and shuts nothing down, as Podman's
// cleanup process and Skopeo do. A lane does one thing after the other, and a layer
// that is pulled in a lane is deleted in it: nothing depends on which lane is faster.
type Trace struct {
	Seed     uint64
	Base     []TraceLayer // are there before, are mounted, and stay
	Victims  []TraceLayer // are there before, and the processes that delete them are killed
	Commands []TraceCommand
}

// A TraceLayer is a layer of that many files of [traceFileSize] bytes, a hundred in
// a directory.
type TraceLayer struct {
	ID    string
	Files int
}

// Directories is how many directories the layer has.
func (l TraceLayer) Directories() int { return (l.Files + 99) / 100 }

// Names is how many names the layer has.
func (l TraceLayer) Names() int { return l.Files + l.Directories() }

// traceFileSize is what a file takes, too, in the file systems that traces run on.
const traceFileSize = 4096

// A TraceCommand is one command of a trace.
type TraceCommand struct {
	At    time.Duration // when it is started, or as soon after it as its lane is free
	Lane  int
	Do    string // pull, delete, list or mount
	Layer TraceLayer
	// Left is 0, or the process is killed by SIGKILL when the layer has that many
	// directories left: after it dropped the lock, while it removes what it has staged.
	Left int
}

func (c TraceCommand) String() string {
	text := fmt.Sprintf("%.2f s, lane %d: %s", c.At.Seconds(), c.Lane, c.Do)
	if c.Do != "list" {
		text += fmt.Sprintf(" %s (%d names)", c.Layer.ID, c.Layer.Names())
	}
	if c.Left > 0 {
		text += fmt.Sprintf(", killed when %d of %d directories are left", c.Left, c.Layer.Directories())
	}
	return text
}

// Duration is when the last command starts.
func (t Trace) Duration() time.Duration { return t.Commands[len(t.Commands)-1].At }

const (
	traceLanes = 8
	traceGap   = 25 * time.Millisecond // from command to command, on the average
	traceBase  = 6
)

// NewTrace makes the trace of that many commands, kills among them. These are in its
// first two thirds, so that there is time to recover, and are of short-lived processes.
func NewTrace(seed uint64, commands, kills int) Trace {
	random := rand.New(rand.NewPCG(seed, 29641))
	t := Trace{Seed: seed}
	for i := range traceBase {
		t.Base = append(t.Base, TraceLayer{fmt.Sprintf("base%d", i), 200})
	}
	killed := map[int]bool{}
	for i := range kills {
		share := commands * 2 / 3 / kills
		killed[i*share+share/4+random.IntN(max(share/2, 1))] = true
		t.Victims = append(t.Victims, TraceLayer{fmt.Sprintf("victim%d", i), 10_000 * (1 + random.IntN(3))})
	}
	victims := slices.Clone(t.Victims)
	pulled := make([][]TraceLayer, traceLanes)
	for i := range commands {
		c := TraceCommand{
			At:   (time.Duration(i)*traceGap + time.Duration(random.Int64N(int64(traceGap)))).Truncate(10 * time.Millisecond),
			Lane: random.IntN(traceLanes),
		}
		own := &pulled[c.Lane]
		switch kind := random.IntN(10); {
		case killed[i]:
			c.Do, c.Lane = "delete", 1+random.IntN(traceLanes-1)
			c.Layer, victims = victims[0], victims[1:]
			c.Left = c.Layer.Directories() * (20 + random.IntN(75)) / 100
		case kind < 4:
			c.Do = "list"
		case kind < 6:
			c.Do, c.Layer = "mount", t.Base[random.IntN(len(t.Base))]
		case kind < 8 || len(*own) == 0:
			c.Do, c.Layer = "pull", TraceLayer{fmt.Sprintf("pulled%d", i), 20 + random.IntN(180)}
			*own = append(*own, c.Layer)
		default:
			c.Do, c.Layer, *own = "delete", (*own)[0], (*own)[1:]
		}
		t.Commands = append(t.Commands, c)
	}
	return t
}
