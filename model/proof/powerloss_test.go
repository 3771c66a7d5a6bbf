package proof

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// What the steps that make a disk durable lead to is what survives in the models of
// PowerLoss.tla: for each step of their program, what may be found before and after it.
func TestWhatIsFoundIsWhatSurvives(t *testing.T) {
	clauses := map[string]compiled{}
	for _, c := range durable {
		clauses[c.Name] = compile(c.formula, nil)
	}
	sync := action("SyncData", "", yes, syncs()).compile()
	var settles []*stepper
	var loss *stepper
	for _, a := range powerLoss() {
		if loss = a.compile(); a.Name == "Settle" {
			settles = append(settles, loss)
		}
	}
	for name, torn := range map[string]bool{
		"PowerOrdered": false, "PowerPerDirectory": false, "PowerWeak": false, "PowerWeakMayLeak": false,
		"PowerLoose": false, "PowerSourceNotDurable": false, "Rule11NoSyncPerDirectory": true, "Rule11NoSyncWeak": true,
	} {
		t.Run(name, func(t *testing.T) {
			m := model.Find(name)
			g, err := m.Graph(t.Context(), model.Options{})
			require.NoError(t, err)
			caches, found := make([]names, g.States()), make([][]names, g.States())
			for k := range caches {
				caches[k] = namesOf(t, g.Text(k), m.Power.Loose)
			}
			for k := range caches {
				for _, e := range g.Out(k) {
					if now := caches[e.To]; g.Actions[e.Action].Name == "PowerLoss" && !slices.Contains(found[k], now) {
						found[k] = append(found[k], now)
					}
				}
			}
			e := &evaluation{s: newStructure(), n: newStructure()}
			for sort, n := range map[*sort]int{proc: 1, id: 1, item: 1, inode: 2, system: 1, copies: 2, path: 1} {
				e.s.size[sort.index], e.n.size[sort.index] = n, n
			}
			for f, is := range map[*term]bool{ordered: m.Power.Durability == "ordered", perDirectory: m.Power.Durability == "perDirectory",
				syncsData: slices.Contains(m.Power.Syncs, "data")} {
				e.s.set(f.function, flag(is))
			}
			e.s.set(loose, flag(m.Power.Loose), 1)
			e.s.set(victim, 1, 1)
			e.s.set(used, 1, 1)
			setPartial(e.s, idOf, 1, 1)
			steps, met := 0, false
			for k, before := range found {
				for _, edge := range g.Out(k) {
					if len(before) == 0 || len(found[edge.To]) == 0 || g.Actions[edge.Action].Name == "PowerLoss" {
						continue
					}
					steps++
					var reached []names
					add := func(c names) {
						if !slices.Contains(reached, c) {
							reached = append(reached, c)
						}
					}
					do := func(s *stepper, c names) {
						cache := caches[edge.To]
						cache.put(e.s, lock.has, data, at, pin, whole, some)
						c.put(e.s, durableLock, durableData, durableAt, durablePin, durableWhole, durableSome)
						e.variables = [16]uint8{1, 1, 1, 1, 0}
						if s.step(e) {
							e.n.fill(1)
							add(namesIn(e.n, durableLock, durableData, durableAt, durableWhole, durableSome))
						}
					}
					for _, c := range before {
						if g.Actions[edge.Action].Name == "SyncData" {
							do(sync, c)
						} else {
							add(c)
						}
					}
					for k := 0; k < len(reached); k++ {
						for _, s := range settles {
							do(s, reached[k])
						}
						do(loss, reached[k])
						for _, name := range []string{"FoundEntryHasData", "FoundIsWhole", "TornIsMoved"} {
							if clauses[name](e) == 0 {
								met = true
							}
						}
					}
					for _, c := range found[edge.To] {
						if !slices.Contains(reached, c) {
							t.Error("survives, and is not found:", c, "after", g.Actions[edge.Action].Name, "in", g.Text(int(edge.To)))
						}
					}
					// Other fsyncs bring nothing nearer here, and without this one a removal does not wait for the rename.
					if !torn && !slices.Contains([]string{"SyncSource", "SyncRecord"}, g.Actions[edge.Action].Name) {
						assert.Len(t, found[edge.To], len(reached), "is found, and does not survive: %v in %s", reached, g.Text(int(edge.To)))
					}
				}
			}
			assert.Greater(t, steps, 10)
			assert.Equal(t, torn, met)
		})
	}
}

// names are what a disk of PowerLoss.tla shows of the instance and of the layer.
type names struct {
	lock, data, whole, some bool
	at                      string
}

var cacheText = regexp.MustCompile(`cache=\["data"->(\w+),"files"->(\d),"layer"->"(\w+)","lock"->(\w+)`)

// A file under both its names is at home, and always whole.
func namesOf(t *testing.T, text string, loose bool) names {
	match := cacheText.FindStringSubmatch(text)
	require.NotNil(t, match, text)
	at := map[string]string{"home": "home", "both": "home", "entry": "within", "gone": "gone"}[match[3]]
	return names{match[4] == "TRUE", match[1] == "TRUE", loose || match[2] == "2", loose || match[2] != "0", at}
}

// put makes the functions of one id and one tree.
func (c names) put(s *structure, lock, data, at, pin, whole, some *function) {
	s.set(lock, flag(c.lock), 1)
	s.set(data, flag(c.data), 1)
	s.set(at, where.value(c.at).value, 1)
	s.set(pin, 1, 1)
	s.set(whole, flag(c.whole), 1)
	s.set(some, flag(c.some), 1)
}

func namesIn(s *structure, lock, data, at, whole, some *function) names {
	is := func(f *function) bool { return s.get(f, 1) != 0 }
	return names{is(lock), is(data), is(whole), is(some), where.values[s.get(at, 1)]}
}
