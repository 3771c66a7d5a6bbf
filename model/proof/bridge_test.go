package proof

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/spec"
)

func init() { debug.SetGCPercent(400) } // a tenth of the time is garbage

// Larger ones are for verify --deep.
const states, shortStates = 35_000, 3_500

func TestFormulasAreTheModel(t *testing.T) {
	rows, err := model.ParseManifest(spec.Manifest)
	require.NoError(t, err)
	most := states
	if testing.Short() {
		most = shortStates
	}
	small, compared := map[string]bool{}, map[string]int{}
	for _, r := range rows {
		small[r.Model] = r.Distinct < int64(most) && (r.Kind == "gate" || r.Distinct < shortStates || !testing.Short() && slices.Contains(beyondOurs, r.Model))
	}
	for _, m := range model.Models() {
		if m.Protocol == nil {
			continue
		}
		b, err := NewBridge(m)
		if m.Name == "HarmlessWithoutReuse" {
			assert.ErrorContains(t, err, "Forgotten", "a way to number inodes, which the formulas do not have")
			continue
		}
		if !assert.NoError(t, err, m.Name) || !small[m.Name] {
			continue
		}
		compared[b.Theory]++
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, b.Explore(t.Context(), m))
			assert.Empty(t, b.Differences)
		})
	}
	if !testing.Short() { // in how many models the clauses of each theory are evaluated
		assert.Equal(t, map[string]int{"": 20, "ours": 21, "posix": 1, "our-owners": 4, "upstream-owners": 6, "repaired": 1}, compared)
	}
}

// beyondOurs are models of the other theories.
var beyondOurs = []string{"HarmlessTable", "MixedOurCreatorsRefinement", "RepairedUpstream"}

// The induction begins in any state that has the invariant. Parts of two states of a
// model, put together, are mostly one that the model does not come to.
func TestFormulasAreTheModelWhereItDoesNotCome(t *testing.T) {
	const wanted = 500
	for _, name := range []string{"GateTwoCreators", "GateOrphanFallback", "GateMountRefinement", "GateReleaseRefinement", "GateInspect", "GateAddition"} {
		t.Run(name, func(t *testing.T) {
			m := model.Find(name)
			b, err := NewBridge(m)
			require.NoError(t, err)
			g, err := m.Graph(t.Context(), model.Options{})
			require.NoError(t, err)
			state := func(k int) model.State {
				s, _ := g.State(k)
				s.Crashes, s.Failures = 0, 0
				return s
			}
			comesTo := map[model.State]bool{}
			for k := range g.States() {
				comesTo[state(k)] = true
			}
			random := rand.New(rand.NewPCG(1, 1))
			for tried := 0; b.States < wanted; tried++ {
				require.Less(t, tried, 100*wanted)
				s, other := state(random.IntN(g.States())), state(random.IntN(g.States()))
				for part := range 6 {
					if random.IntN(3) > 0 {
						continue
					}
					switch q, x := random.IntN(len(s.PC)), random.IntN(len(s.Place)); part {
					case 0:
						s.PC[q], s.ID[q], s.Arg[q] = other.PC[q], other.ID[q], other.Arg[q]
					case 1:
						s.Lock = other.Lock
					case 2:
						s.Data, s.Used = other.Data, other.Used
					case 3:
						s.Holder, s.Fd = other.Holder, other.Fd
					case 4:
						s.Place[x] = other.Place[x]
					case 5:
						s.Tree[x] = other.Tree[x]
					}
				}
				if !comesTo[s] && b.hasTheInvariant(s) {
					b.Compare(s)
				}
			}
			assert.Empty(t, b.Differences)
		})
	}
}

func (b *Bridge) hasTheInvariant(s model.State) bool {
	if !b.abstract(&s, b.before.s) {
		return false
	}
	b.before.s.fill(1)
	return !slices.ContainsFunc(b.formula, func(c checked) bool { return c.model == nil && c.holds(b.before) == 0 })
}

// What is proved is of every model that the theory is about, and of all that can happen in it.
func TestATheoryOfLessThanTheModelsIsNoticed(t *testing.T) {
	b, err := NewBridge(model.Find("GateRelease"))
	require.NoError(t, err)
	require.Empty(t, b.Differences)
	th := Ours()
	th.Hypotheses = append(th.Hypotheses, not(mayRelease))
	th.Actions = slices.DeleteFunc(th.Actions, func(a *Action) bool { return a.String() == "TakeLock/busy" })
	b.addTheory("Spec", th)
	assert.Contains(t, b.Differences, fmt.Sprintf("hypothesis %d is not true of the model", len(th.Hypotheses)))
	assert.Contains(t, b.Differences, "nothing is proved of TakeLock/busy")
}

// Of each property a model is compared in which it is false: a formula that is true
// everywhere is not the property.
func TestAPropertyThatSaysNothingIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("goes through several models")
	}
	for name, refuted := range map[string]string{
		"UpstreamTwoOwners": "OneOwner", "Rule2Creator": "LiveIsLocked OurLiveKept", "Rule15ClosesAnyway": "LockKept",
		"UpstreamAsShipped": "LiveKept", "Rule9CrossesMounts": "ReachableWhole", "Rule10OneNotFound": "RepliesTrue",
		"UpstreamLosesDirectory": "NeverLost", "Rule4LockFileFirst": "DataHasLock", "UpstreamUnlinksStranger": "UnlinkedByHolder",
		"Rule15InspectorCloses": "LookingChangesNothing", "SeenMovesFileByFile": "TempDirSpec", "FinishesCommit": "TempDirSpec", "PutsVictimBack": "TempDirSpec",
	} {
		t.Run(name, func(t *testing.T) {
			m := model.Find(name)
			b, err := NewBridge(m)
			require.NoError(t, err)
			isFalse := map[string]bool{}
			for _, all := range [][]checked{b.formula, b.steps} {
				for k, c := range all {
					if c.model == nil {
						continue
					}
					all[k].model = func(s, n *model.State) bool {
						holds := c.model(s, n)
						isFalse[c.name] = isFalse[c.name] || !holds
						return holds
					}
				}
			}
			require.NoError(t, b.Explore(t.Context(), m))
			assert.Empty(t, b.Differences)
			for property := range strings.FieldsSeq(refuted) {
				assert.True(t, isFalse[property], property)
			}
		})
	}
}

// Nor does the model without a rule have the clause that the rule is for.
func TestAClauseIsFalseWithoutItsRule(t *testing.T) {
	for name, of := range map[string]string{
		"Rule15ClosesAnyway": "ClosesNoLock", "Rule15InspectsYoung": "YoungUntouched", "UpstreamClosesCreated": "EachOwnFile", "UpstreamAsShipped": "ActingIsNamed",
	} {
		t.Run(name, func(t *testing.T) {
			m := model.Find(name)
			b, err := NewBridge(m)
			require.NoError(t, err)
			require.NoError(t, b.Explore(t.Context(), m))
			require.Empty(t, b.Differences)
			clauses := about(*m.Protocol).Clauses
			c := clauses[slices.IndexFunc(clauses, func(c Clause) bool { return c.Name == of })]
			b.formula = []checked{{name: c.Name, holds: compile(c.formula, nil)}}
			require.NoError(t, b.Explore(t.Context(), m))
			require.NotEmpty(t, b.Differences)
			assert.Contains(t, b.Differences[0], of)
		})
	}
}

func TestAnActionChangesAFunctionOnce(t *testing.T) {
	assert.PanicsWithValue(t, "proof: A changes data twice", func() { action("A", "", yes, data.set(i, yes), data.set(i, no)) })
}

// Conjuncts that say again what is so in every state of a model.
var saidAgain = map[string]string{
	"(not (upstream p))":           "where only our processes come to",
	"(creator p)":                  "of Release, which the models have for creators alone",
	"mayRelease":                   "likewise",
	"(inspector p)":                "of OpenToInspect, likewise",
	"(mounted x)":                  "of Mount, likewise",
	"(addition x)":                 "nothing else is absent",
	"(addition (arg p))":           "nothing else is called for inside an instance",
	"(not (creator p))":            "of LinkLock/exists: a creator has no id before",
	"(and (hasid p) (= (id p) i))": "of LinkLock/exists, with one id",
	"(not (and (data (id p)) (not (upstream p))))": "of MakeData: a fresh id has no data",
}

// Without any one conjunct of a guard the formulas are not the models any more.
func TestAGuardThatIsMissingIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("goes through several models for each conjunct")
	}
	type world struct {
		m      *model.Model
		states []model.State
	}
	var worlds []world
	for _, name := range []string{"ProbeParked", "ProbeYoungName", "ProbeYoungOrphan", "ProbeCommitWatched", "UpstreamCommit", "GateOrphanFallback", "GateTogetherOwner", "GateOrphan",
		"GateMount", "GateInspect", "GateReleaseRefinement", "GateSwept", "GateRefinementFallback", "GateTogetherFallback", "GateListerTogether", "GateRefinementTwo"} {
		m := model.Find(name)
		g, err := m.Graph(t.Context(), model.Options{})
		require.NoError(t, err)
		w := world{m: m}
		for k := range g.States() {
			s, _ := g.State(k)
			w.states = append(w.states, s)
		}
		worlds = append(worlds, w)
	}
	noticed := func(actions []*Action, name string) bool {
		for _, w := range worlds {
			b, err := newBridge(*w.m.Protocol, w.m.Formula, actions)
			require.NoError(t, err)
			b.formula, b.labels = nil, slices.DeleteFunc(b.labels, func(l label) bool { return l.action.Name != name })
			for k := 0; k < len(w.states) && len(b.labels) > 0; k++ {
				if b.Compare(w.states[k]); len(b.Differences) > 0 {
					return true
				}
			}
		}
		return false
	}
	all, err := swapped(nil)
	require.NoError(t, err)
	var missed []string
	for k, a := range all {
		require.False(t, noticed(all, a.Name), a.Name)
		for c, conjunct := range a.guard.args {
			if a.guard.op != opAnd || a.Name == "UpstreamCreateLock" && c > 1 { // with one id it is the first step, if any
				continue
			}
			without := *a
			without.guard = and(slices.Delete(slices.Clone(a.guard.args), c, c+1)...)
			actions := slices.Clone(all)
			if actions[k] = &without; !noticed(actions, a.Name) {
				p := &printer{names: map[*term]string{}}
				p.term(conjunct)
				if saidAgain[p.b.String()] == "" {
					missed = append(missed, a.String()+": "+p.b.String())
				}
			}
		}
	}
	assert.Empty(t, missed)
}
