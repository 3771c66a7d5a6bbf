package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// branches is the branch of an action that each probe is about: the steps of the
// action in which the variable changes so.
var branches = map[string][4]string{
	"ProbeAdoption":           {"LinkLock", "pc", "locked", "claimed"},
	"ProbeAdoptionRace":       {"LinkLock", "pc", "locked", "closing"},
	"ProbeBusyLock":           {"TakeLock", "pc", "opened", "closing"},
	"ProbeCommitWatched":      {"Commit", "pc", "calling", "ok"},
	"ProbeCreatorGhostLock":   {"StatName", "pc", "taken", "closing"},
	"ProbeFailedRemoval":      {"CallFails", "pc", "inside", "closing"},
	"ProbeFullDisk":           {"CallFails", "pc", "named", "emptied"},
	"ProbeGhostLock":          {"StatName", "pc", "taken", "closing"},
	"ProbeLostDirectory":      {"StageDeletion", "pc", "calling", "lost"},
	"ProbeMissingVictim":      {"StageDeletion", "pc", "calling", "missing"},
	"ProbeMountMet":           {"OpenEntry", "pc", "emptying", "closing"},
	"ProbeParked":             {"LockHolder", "parked", "<<{},{}>>", "<<{1},{}>>"},
	"ProbeParkedInVain":       {"OpenLock", "parked", "<<{1},{}>>", "<<{},{}>>"},
	"ProbeRecoveryOfRecovery": {"StatName", "pc", "taken", "claimed"},
	"ProbeReleased":           {"OpenDirectory", "pc", "claimed", "emptying"},
	"ProbeStolenBirth":        {"TakeLock", "pc", "created", "closing"},
	"ProbeUpstreamGhost":      {"UpstreamTakeLock", "pc", "upstreamOpened", "claimed"},
	"ProbeYoungName":          {"SkipYoung", "pc", "sawLock", "closing"},
	"ProbeYoungOrphan":        {"SkipYoung", "pc", "sawData", "closing"},

	"ProbePowerBareLock":       {"Recover", "pc", "recover", "unlocked"},
	"ProbePowerLossInRecovery": {"PowerLoss", "losses", "1", "2"},
	"ProbePowerOrphan":         {"Recover", "pc", "recover", "unlocked"},
	"ProbeReadersCheckedLayer": {"Ask", "told", "nothing", "layer"},
	"ProbeReadersHalfNoted":    {"Ask", "told", "nothing", "error"},
	"ProbeReadersHeldUnnamed":  {"ReadFile", "pc", "read", "read"},
	"ProbeReadersMissingFile":  {"FileMissing", "told", "nothing", "error"},
	"ProbeReadersReadOfGone":   {"EndRead", "told", "nothing", "layer"},
	"ProbeSaveFinishing":       {"ClearMark", "pc", "clear", "mark"},
	"ProbeSaveMarkAtLoss":      {"PowerLoss", "losses", "0", "1"},
	"ProbeSaveSpareRead":       {"Die", "pc", "*", "idle"},
	"ProbeSaveThird":           {"Report", "reported", "2", "3"},

	"ProbeStoreBusyId":             {"LeaveClaimed", "pc", "loading", "unlock"},
	"ProbeStoreClaimMet":           {"LeaveClaimed", "pc", "loading", "unlock"},
	"ProbeStoreCreation":           {"Complete", "pc", "complete", "unlock"},
	"ProbeStoreDeletion":           {"Remove", "pc", "remove", "idle"},
	"ProbeStoreDeletionHere":       {"ForgetHere", "pc", "forgetHere", "unlock"},
	"ProbeStoreFinishedByOther":    {"Forget", "pc", "forget", "*"},
	"ProbeStoreFlagTakenBack":      {"Unflag", "pc", "unflag", "unlock"},
	"ProbeStoreGroup":              {"FlagAll", "pc", "flag", "stage"},
	"ProbeStoreGroupMixed":         {"StageMeetsMount", "pc", "stage", "unflag"},
	"ProbeStoreHalfAtHome":         {"FinishFlagged", "pc", "loading", "stage"},
	"ProbeStoreReleased":           {"Release", "pc", "release", "unlock"},
	"ProbeStoreRemovalWhileLocked": {"Remove", "pc", "remove", "*"},
}

// A probe is about a transition: without the branch it says nothing. One that
// restates the guard of the branch would still be refuted.
func TestAProbeNeedsItsBranch(t *testing.T) {
	probes := 0
	for _, m := range model.Models() {
		if m.Kind != "probe" {
			continue
		}
		probes++
		t.Run(m.Name, func(t *testing.T) {
			b := branches[m.Name]
			with, err := model.RefuteWithout(t.Context(), m, "", "", "", "")
			require.NoError(t, err)
			assert.Equal(t, model.Refuted, with.Verdict)
			without, err := model.RefuteWithout(t.Context(), m, b[0], b[1], b[2], b[3])
			require.NoError(t, err)
			assert.Equal(t, model.Holds, without.Verdict, "refuted all the same, without %v", b)
		})
	}
	assert.Len(t, branches, probes)
}
