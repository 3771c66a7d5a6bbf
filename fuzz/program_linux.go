package fuzz

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/crashsim"
	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/model/conformance/trace"
)

// scenarios are the programs that bytes choose from. The first has the processes
// and trees of the model Gate.
var scenarios = []string{
	"delete=1x1x2,recover=2x3,kill=1,batch=1",
	"delete=1x1x2,recover=2x2,kill=2,named=1,batch=1",
	"delete=1x2x2,recover=1x2,kill=2",
	"delete=2x1x1,recover=1x2,kill=2",
	"add=1x2,recover=2x2,kill=1,batch=2",
	"delete=1x1x1,add=1x1,recover=1,kill=2",
	"delete=1x0x0,recover=2x3,kill=1,batch=1",
}

// Decode makes a program of bytes, any bytes: the scenario, the durability model,
// and then a byte for each step. The lowest two bits say which process; 3 begins
// the power losses.
func Decode(data []byte) *schedule.Schedule {
	data = append(data[:min(len(data), maxBytes):len(data)], make([]byte, max(0, 2-len(data)))...)
	durability := disk.Durability(int(data[1]) % disk.Durabilities)
	s := &schedule.Schedule{Kind: "crash", Program: scenarios[int(data[0])%len(scenarios)], World: durability.String()}
	if durability != disk.Ordered {
		s.Program += ",sync=" + strings.Join(crashsim.AllSyncs, "+")
	}
	rest := data[2:]
	for len(rest) > 0 && rest[0]&3 != 3 {
		s.Steps = append(s.Steps, decodeStep(rest[0]))
		rest = rest[1:]
	}
	s.Steps = merged(s.Steps)
	for len(rest) > 0 && len(s.Losses) < maxLosses {
		loss := schedule.Loss{At: -1}
		if len(s.Losses) > 0 {
			loss.At = int(rest[0])
		}
		for i, b := range rest[1:min(len(rest), 4)] {
			for bit := range 8 {
				if b>>bit&1 != 0 {
					loss.Lost = append(loss.Lost, 8*i+bit)
				}
			}
		}
		s.Losses = append(s.Losses, loss)
		rest = rest[min(len(rest), 4):]
	}
	if len(s.Losses) == 0 {
		s.Losses = []schedule.Loss{{At: -1}} // everybody is killed
	}
	return s
}

const (
	maxBytes  = 96
	maxLosses = 3
)

// counts are how many calls one byte stands for.
var counts = [...]int{1, 2, 3, 4, 6, 8, 12, 24}

// decodeStep: of four bytes three are calls, most of them few; the others are kills
// and failing calls.
func decodeStep(b byte) schedule.Step {
	s := schedule.Step{Process: 'A' + b&3}
	what := int(b >> 2)
	switch s.Count = counts[what%8]; {
	case what >= 56:
		s.Count, s.End = what%8, schedule.Stopped
	case what >= 48:
		s.Count, s.End, s.How = what%8/len(crashsim.Failures), schedule.Stopped, crashsim.Failures[what%8%len(crashsim.Failures)]
	}
	return s
}

// Encode is the inverse of [Decode], for programs of its scenarios and of a length
// that it makes.
func Encode(s *schedule.Schedule) ([]byte, error) {
	durability, err := disk.ParseDurability(s.World)
	if err != nil {
		return nil, err
	}
	program, _, _ := strings.Cut(s.Program, ",sync=")
	scenario := slices.Index(scenarios, program)
	if scenario < 0 {
		return nil, s.Refuse("no scenario of bytes is %s", program)
	}
	data := []byte{byte(scenario), byte(durability)}
	for _, step := range s.Steps {
		data = append(data, encodeStep(step)...)
	}
	for _, loss := range s.Losses {
		at := byte(3)
		if loss.At >= 0 {
			at = byte(loss.At)
		}
		var lost [3]byte
		for _, place := range loss.Lost {
			if place < 8*len(lost) {
				lost[place/8] |= 1 << (place % 8)
			}
		}
		data = append(append(data, at), lost[:]...)
	}
	return data, nil
}

func encodeStep(s schedule.Step) (data []byte) {
	most := 0 // calls that the last byte says
	switch {
	case s.How != "":
		most = 1
	case s.End != 0:
		most = 7
	}
	emit := func(what int) { data = append(data, byte(what)<<2|(s.Process-'A')) }
	for i := len(counts) - 1; s.Count > most; {
		if counts[i] <= s.Count {
			emit(i)
			s.Count -= counts[i]
		} else {
			i--
		}
	}
	switch {
	case s.How != "":
		emit(48 + s.Count*len(crashsim.Failures) + slices.Index(crashsim.Failures, s.How))
	case s.End != 0:
		emit(56 + s.Count)
	}
	return data
}

// A Machine runs programs, one after the other.
type Machine struct {
	Programs  int64 // that were run
	Undecided int64 // of them, those that the model has no room for

	players   map[string]*player
	validator trace.Validator
}

// A player runs the programs of one scenario.
type player struct {
	*crashsim.Player
	recording *trace.Recording
}

// NewMachine makes a machine. step, if it is not nil, hears of every step of the
// model that a program takes.
func NewMachine(step func(m *model.Protocol, from *model.State, action uint16)) *Machine {
	return &Machine{players: make(map[string]*player), validator: trace.Validator{Step: step}}
}

// Close ends the processes.
func (m *Machine) Close() {
	for _, p := range m.players {
		p.Close()
	}
}

// A watcher records the calls of one process.
type watcher struct {
	*trace.Recorder
	recording *trace.Recording
	number    uint32
}

func (w watcher) Killed() { w.recording.Gone(w.number) }

func (m *Machine) player(s *schedule.Schedule) (*player, error) {
	p := m.players[s.Program+s.World]
	if p != nil {
		return p, nil
	}
	scenario, _ := crashsim.ParseScenario(s.Program) // PlayerOf says why not
	p = &player{recording: trace.InMemory(scenario.Files)}
	var err error
	p.Player, err = crashsim.PlayerOf(s, func(process int) crashsim.Watcher {
		number := uint32(process + 1)
		return watcher{p.recording.Recorder(number), p.recording, number}
	})
	if err == nil {
		m.players[s.Program+s.World] = p
	}
	return p, err
}

// Run runs a program, and returns what is wrong, one line each. What it cannot do
// is left out of it.
func (m *Machine) Run(ctx context.Context, s *schedule.Schedule) (problems []string, err error) {
	p, err := m.player(s)
	if err != nil {
		return nil, err
	}
	p.recording.Reset()
	m.Programs++
	findings, err := p.Play(ctx, s, true)
	if err != nil {
		return nil, err
	}
	for _, f := range findings {
		problems = append(problems, f.String())
	}
	refused, err := m.judge(ctx, p)
	return append(problems, refused...), err
}

// judge says why the recorded calls are no behaviour of the model.
func (m *Machine) judge(ctx context.Context, p *player) ([]string, error) {
	t, err := p.recording.Trace()
	if err != nil || len(t.Events) == 0 {
		return nil, err
	}
	report, err := m.validator.Validate(ctx, t)
	if report.Verdict == trace.Undecided {
		m.Undecided++
	}
	for i := range report.Problems {
		report.Problems[i] = "model: " + report.Problems[i]
	}
	return report.Problems, err
}

// Replay is crashsim.Replay, and says besides whether the calls are a behaviour of
// the model.
func Replay(ctx context.Context, text string, w io.Writer) (findings int, err error) {
	s, err := schedule.Parse(text)
	if err != nil {
		return 0, err
	}
	m := NewMachine(nil)
	defer m.Close()
	p, err := m.player(s)
	if err != nil {
		return 0, err
	}
	if findings, err = p.Replay(ctx, s, w); err != nil {
		return 0, err
	}
	refused, err := m.judge(ctx, p)
	for _, line := range refused {
		if _, err := fmt.Fprintf(w, "  FINDING %s\n", line); err != nil {
			return 0, err
		}
	}
	return findings + len(refused), err
}

// Shrink looks for a smaller program with the same problem.
func (m *Machine) Shrink(ctx context.Context, s *schedule.Schedule, problem string) *schedule.Schedule {
	claim, _, _ := strings.Cut(problem, ":")
	tried := map[string]bool{}
	smaller := func(c *schedule.Schedule) bool {
		if size(c) >= size(s) || tried[c.String()] {
			return false // what cannot be left out came back
		}
		tried[c.String()] = true
		problems, err := m.Run(ctx, c)
		if err != nil || !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, claim+":") }) {
			return false
		}
		s = c
		return true
	}
	for {
		all := candidates(s)
		if slices.ContainsFunc(all, smaller) {
			continue
		}
		// One change alone often hides the problem, and a second one brings it back.
		if !slices.ContainsFunc(all, func(c *schedule.Schedule) bool { return slices.ContainsFunc(candidates(c), smaller) }) {
			return s
		}
	}
}

// size is what shrinking makes smaller.
func size(s *schedule.Schedule) (n int) {
	for _, step := range s.Steps {
		n += 2 + step.Count
		if step.End != 0 {
			n++
		}
	}
	for _, loss := range s.Losses {
		n += 1 + len(loss.Lost)
	}
	return n
}

// candidates are programs that are a little smaller, or may be.
func candidates(s *schedule.Schedule) (all []*schedule.Schedule) {
	add := func(change func(*schedule.Schedule)) {
		c := *s
		c.Steps = slices.Clone(s.Steps)
		c.Losses = slices.Clone(s.Losses)
		for i := range c.Losses {
			c.Losses[i].Lost = slices.Clone(c.Losses[i].Lost)
		}
		change(&c)
		c.Steps = merged(c.Steps)
		all = append(all, &c)
	}
	for i := range s.Steps {
		add(func(c *schedule.Schedule) { c.Steps = slices.Delete(c.Steps, i, i+1) })
	}
	for i, step := range s.Steps {
		if step.End != 0 {
			add(func(c *schedule.Schedule) { c.Steps[i].End, c.Steps[i].How = 0, "" })
		}
		same := func(other schedule.Step) bool { return other.Process == step.Process }
		if after := slices.IndexFunc(s.Steps[i+1:], same); after >= 0 { // a process waits until it goes on anyway
			add(func(c *schedule.Schedule) { c.Steps = slices.Insert(slices.Delete(c.Steps, i, i+1), i+after, step) })
		}
		for before := i - 1; before >= 0; before-- { // or goes on before others do
			if same(s.Steps[before]) {
				add(func(c *schedule.Schedule) { c.Steps = slices.Insert(slices.Delete(c.Steps, i, i+1), before+1, step) })
				break
			}
		}
		for _, n := range []int{step.Count / 2, step.Count - 1} {
			if n >= 0 && n < step.Count {
				add(func(c *schedule.Schedule) { c.Steps[i].Count = n })
			}
		}
	}
	for one := byte('A'); one <= 'C'; one++ { // what one process does, another one may
		for other := byte('A'); other <= 'C'; other++ {
			if one == other {
				continue
			}
			add(func(c *schedule.Schedule) {
				for i := range c.Steps {
					if c.Steps[i].Process == one {
						c.Steps[i].Process = other
					}
				}
			})
		}
	}
	for i := range s.Losses {
		if len(s.Losses) > 1 {
			add(func(c *schedule.Schedule) {
				c.Losses = slices.Delete(c.Losses, i, i+1)
				c.Losses[0].At = -1
			})
		}
		for j := range s.Losses[i].Lost {
			add(func(c *schedule.Schedule) { c.Losses[i].Lost = slices.Delete(c.Losses[i].Lost, j, j+1) })
		}
	}
	return all
}

// merged joins steps of one process that follow each other, and leaves out those of
// no calls.
func merged(steps []schedule.Step) (all []schedule.Step) {
	for _, step := range steps {
		switch n := len(all); {
		case step.Count == 0 && step.End == 0:
		case n > 0 && all[n-1].Process == step.Process && all[n-1].End == 0:
			step.Count += all[n-1].Count
			all[n-1] = step
		default:
			all = append(all, step)
		}
	}
	return all
}
