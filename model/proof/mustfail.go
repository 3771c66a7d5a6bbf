package proof

import (
	"crypto/sha256"
	_ "embed" // for what was recorded
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A MustFail says what becomes of the proof when a model's mutant is swapped in: the
// action that does not keep the clause, or that safety is kept all the same, and why.
type MustFail struct {
	Model  string
	Rule   string // or the design that was dropped
	Action string // "" if all is proved
	Clause string
	Kept   string // why, if all is proved
}

// MustFails are the proofs that must fail, and those that must not.
var MustFails = []MustFail{
	{Model: "Rule1PublishLocked", Rule: "1", Action: "NameBeforeLock/free", Clause: "ActingIsNamed"},
	{Model: "Rule2Creator", Rule: "2, in the creator", Action: "CreatorTrustsLock", Clause: "ActingIsNamed"},
	{Model: "Rule2Recoverer", Rule: "2, in the recoverer", Action: "RecovererTrustsLock", Clause: "ActingIsNamed"},
	{Model: "HarmlessNoLastRecheck", Rule: "2, before the unlink", Kept: "nobody but the holder changes the name"},
	{Model: "Rule3OpenCreates", Rule: "3, O_CREAT", Action: "OpenLockCreates/creates", Clause: "SeenIsUsed"},
	{Model: "Rule3LinkReplaces", Rule: "3, EEXIST", Action: "LinkReplaces", Clause: "ActingIsNamed"},
	{Model: "Rule3NoAdoption", Rule: "3, adoption", Action: "AdoptsUnlocked/claims", Clause: "PastLockHolds"},
	{Model: "Rule4LockFileFirst", Rule: "4", Action: "LockFileFirst", Clause: "DataHasLock"},
	{Model: "Rule5KeepsLock", Rule: "5", Kept: "it costs liveness: the instance stays as long as its owner lives"},
	{Model: "FailureUnlinks", Rule: "5, unlinks all the same", Action: "FailureUnlinks", Clause: "EmptiedHasNone"},
	{Model: "HarmlessIdReuse", Rule: "6", Action: "LinkLock", Clause: "CreatorsApart"},
	{Model: "HarmlessDrawsOrphan", Rule: "6, looks for a lock file only", Action: "LinkLock", Clause: "NoDataBefore"},
	{Model: "Rule7RemembersNumber", Rule: "7", Action: "RemembersNumber/compares", Clause: "ActingIsNamed"},
	{Model: "Rule8NoTable", Rule: "8, POSIX locks", Action: "OpenLock", Clause: "EachOwnFile"},
	{Model: "Rule8TwoNames", Rule: "8, a table keyed by path, and two paths", Action: "OpenLock", Clause: "EachOwnFile"},
	{Model: "Rule9CrossesMounts", Rule: "9", Action: "CrossesMounts", Clause: "RemovalStaysInside"},
	{Model: "Rule10OneNotFound", Rule: "10", Kept: "it takes a stranger who removes the directory"},
	{Model: "Rule11NoSyncWeak", Rule: "11", Action: "OpenDirectory", Clause: "EmptyingIsMoved"},
	{Model: "Rule11NoSyncPerDirectory", Rule: "11, ordered within a directory", Action: "OpenDirectory", Clause: "EmptyingIsMoved"},
	{Model: "Rule12MissingDataFails", Rule: "12", Kept: "it costs liveness: what a crash interrupted is never finished"},
	{Model: "Rule13Off", Rule: "13", Action: "OpenLock", Clause: "YoungUntouched"},
	{Model: "Rule13OffFallback", Rule: "13, beside our owner without unnamed files", Action: "Close", Clause: "TheyHoldBeside"},
	{Model: "Rule15InspectsYoung", Rule: "13, in a listing", Action: "InspectsYoung", Clause: "YoungUntouched"},
	{Model: "Rule14ErrorIsAnswer", Rule: "14", Action: "ErrorIsAnswer", Clause: "RepliesTrue"},
	{Model: "Rule14UnknownIsNo", Rule: "14, of whose lock it is", Action: "UnknownIsNo", Clause: "ClosesNoLock"},
	{Model: "Rule15ClosesAnyway", Rule: "15", Action: "ClosesAnyway", Clause: "ClosesNoLock"},
	{Model: "Rule15ClosesParked", Rule: "15, of what is parked", Action: "ClosesParked", Clause: "PastLockHolds"},
	{Model: "Rule15InspectorCloses", Rule: "15, in a listing", Action: "InspectorCloses", Clause: "ClosesNoLock"},
	{Model: "UpstreamAsShipped", Rule: "upstream as released", Action: "UpstreamTakeLock/free", Clause: "ActingIsNamed"},
	{Model: "UpstreamCreatorRechecks", Rule: "upstream, recheck in the creator only", Action: "UpstreamTakeLock/free", Clause: "ActingIsNamed"},
	{Model: "UpstreamRecovererRechecks", Rule: "upstream, recheck in the recoverer only", Action: "UpstreamTakeLock/free", Clause: "ActingIsNamed"},
	{Model: "UpstreamClosesCreated", Rule: "upstream, rechecks on both sides, and the close in CreateAndLock", Action: "ClosesThenOpens/opens", Clause: "EachOwnFile"},
	{Model: "UpstreamReopensOnly", Rule: "the same, and a second open without O_CREAT", Action: "ClosesThenOpens/opens", Clause: "EachOwnFile"},
	{Model: "PatchedUpstream", Rule: "6, in upstream with the whole patch", Action: "UpstreamCreateLock", Clause: "CreatorsApart"},
	{Model: "LockInsideData", Rule: "lock inside the data", Action: "LockInsideData/lock", Clause: "ActingIsNamed"},
	{Model: "DataBeforeLock", Rule: "data before lock", Action: "DataBeforeLock/data", Clause: "DataHasLock"},
	{Model: "UnlockThenUnlink", Rule: "unlock before unlink", Action: "UnlockThenUnlink/unlock", Clause: "PastLockHolds"},
	{Model: "LeaseRunsOut", Rule: "a lease", Action: "TakeLock", Clause: "PastLockHolds"},
	{Model: "MovesFileByFile", Rule: "moves file by file", Action: "MovesFileByFile/file", Clause: "ReachableWhole"},
	{Model: "SeenMovesFileByFile", Rule: "moves file by file, as callers see it", Action: "MovesFileByFile/file", Clause: "TempDirSpec"},
	{Model: "UnseenFinishesCommit", Rule: "finishes a dead owner's commit", Kept: "the refinement alone sees it"},
	{Model: "FinishesCommit", Rule: "finishes a dead owner's commit, as callers see it", Action: "FinishesCommit/back", Clause: "TempDirSpec"},
	{Model: "UnseenPutsVictimBack", Rule: "puts a dead owner's victim back", Action: "PutsVictimBack/back", Clause: "RepliesTrue"},
	{Model: "PutsVictimBack", Rule: "puts a dead owner's victim back, as callers see it", Action: "PutsVictimBack/back", Clause: "TempDirSpec"},
	{Model: "ListsOnChange", Rule: "recovers on changes only", Kept: "it costs liveness"},
	{Model: "ListsLocksOnly", Rule: "lists lock files only", Kept: "it costs liveness"},
}

// Enabled asks for a state in which all clauses hold and the action can be taken: sat
// is the answer that is wanted.
func (th *Theory) Enabled() (all []Obligation) {
	for _, a := range th.Actions {
		all = append(all, ask(th.Name, a.String(), sized(Size{3, 2, 2}).elements(), th.knows(), a, no))
	}
	return all
}

// Without is the theory without a clause.
func (th *Theory) Without(clause string) *Theory {
	less := *th
	drop := func(c Clause) bool { return c.Name == clause }
	less.Clauses = slices.DeleteFunc(slices.Clone(th.Clauses), drop)
	less.Properties = slices.DeleteFunc(slices.Clone(th.Properties), drop)
	return &less
}

// Recorded is what a solver said of more questions than a run of the gate asks: what
// becomes of a theory without each clause.
type Recorded struct {
	Questions string              `json:"questions"` // Hash of the theory when they were asked
	Proved    map[string]int      `json:"proved"`    // by each solver: how many of its questions
	Solver    string              `json:"solver"`    // of Used
	Used      map[string][]string `json:"used"`      // clause: what is not proved without it
}

// RecordFile is where it is recorded, by theory.
const RecordFile = "model/proof/recorded.json"

//go:embed recorded.json
var recorded []byte

// ReadRecorded reads what was recorded.
func ReadRecorded() (r map[string]Recorded, err error) { return r, json.Unmarshal(recorded, &r) }

// Hash is of all that is asked of the theory, but for how the sorts are declared: of them,
// it is of what there is. What was recorded is stale if it is another.
func (th *Theory) Hash() string {
	h := sha256.New()
	for _, s := range sorts {
		fmt.Fprintln(h, s.name, s.values)
	}
	for _, o := range th.Obligations() {
		_, text, _ := strings.Cut(o.Text, "(declare-fun")
		h.Write([]byte(text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Recorded returns, by the answer that was recorded, what is asked of the theory without a
// clause.
func (th *Theory) Recorded(r Recorded, clause string) map[string][]Obligation {
	less, used := th.Without(clause), r.Used[clause]
	if len(used) == 0 {
		return map[string][]Obligation{"unsat": less.Obligations()}
	}
	questions := less.Obligations()
	for _, name := range used {
		action, clause, _ := strings.Cut(name, " ") // a property is one of the others
		questions = append(questions, less.Only(action, clause)...)
	}
	return map[string][]Obligation{"sat": slices.DeleteFunc(questions, func(o Obligation) bool { return !slices.Contains(used, o.Name) })}
}
