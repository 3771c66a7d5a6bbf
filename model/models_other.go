package model

import "slices"

// This file is the other models that hold, one for each .cfg of the specification.

var otherModels = []Model{
	{
		Name: "Large", Kind: "large", Formula: "Spec", Symmetry: "Symmetry",
		Purpose:    "Two creators, two recoverers, two ids, one crash, half trees.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.ID = []string{"i1", "i2"}
			c.Files = 2
		}),
	},
	{
		Name: "LargeFallback", Kind: "large", Formula: "Spec", Symmetry: "Symmetry",
		Purpose:    "No unnamed files: two ids, two recoverers, a crash and a failing call.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.ID = []string{"i1", "i2"}
			c.TmpFile = false
			c.MaxFailures = 1
		}),
	},
	{
		Name: "LargeOrphan", Kind: "large", Formula: "Spec", Symmetry: "RecovererSymmetry",
		Purpose:    "A live instance beside an orphan that two recoverers want.",
		Properties: wholeButDataHasLock,
		Protocol: small(func(c *Config) {
			c.ID = []string{"i1", "i2"}
			c.Orphan = []string{"i2"}
			c.MaxFailures = 1
		}),
	},
	{
		Name: "LargeRefinement", Kind: "large", Formula: "Spec", Symmetry: "RecovererSymmetry",
		Purpose:    "The refinement with two recoverers, a deletion and an addition.",
		Properties: []string{"TypeOK", "TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Addition = []string{"a1"}
			c.Files = 2
			c.MaxFailures = 1
		}),
	},
	{
		Name: "Liveness", Kind: "liveness", Formula: "LiveSpec",
		Purpose:    "What nobody is at work on is gone in the end, also while a process that failed to remove it lives on.",
		Properties: []string{"TypeOK", "GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.MaxFailures = 1
		}),
	},
	{
		Name: "LivenessFallback", Kind: "liveness", Formula: "LiveSpec",
		Purpose:    "The same without unnamed files.",
		Properties: []string{"TypeOK", "GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.TmpFile = false
			c.MaxFailures = 1
		}),
	},
	{
		Name: "LivenessOrphan", Kind: "liveness", Formula: "LiveSpec",
		Purpose:    "The same for data without a lock file.",
		Properties: []string{"TypeOK", "GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
		}),
	},
	{
		Name: "LivenessRelease", Kind: "liveness", Formula: "LiveSpec",
		Purpose:    "The same for what an owner has released, with the grace for young orphans.",
		Properties: []string{"TypeOK", "GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.OrphanGrace = true
			c.MayRelease = true
		}),
	},
	{
		Name: "LivenessTogether", Kind: "liveness", Formula: "MixedLiveSpec",
		Purpose:    "The same with an upstream owner, our recoverer and our listing in one process.",
		Properties: []string{"MixedTypeOK", "GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.Inspector = []string{"r2"}
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
		}),
	},
	{
		Name: "PowerOrdered", Kind: "power", Formula: "LiveSpec",
		Purpose:    "Ordered file systems (ext4, xfs): no fsync is needed.",
		Properties: []string{"TypeOK", "ReachableWhole", "WholeOrFlagged", "NoLeak", "GoneInTheEnd"},
		Power:      &PowerConfig{Durability: "ordered", Files: 2, MaxLosses: 2},
	},
	{
		Name: "PowerPerDirectory", Kind: "power", Formula: "LiveSpec",
		Purpose:    "Order within a directory only: three fsyncs.",
		Properties: []string{"TypeOK", "ReachableWhole", "WholeOrFlagged", "NoLeak", "GoneInTheEnd"},
		Power:      &PowerConfig{Durability: "perDirectory", Syncs: []string{"flag", "record", "data"}, Files: 2, MaxLosses: 2},
	},
	{
		Name: "PowerWeak", Kind: "power", Formula: "LiveSpec",
		Purpose:    "No order but that of one name: the same three fsyncs.",
		Properties: []string{"TypeOK", "ReachableWhole", "WholeOrFlagged", "NoLeak", "GoneInTheEnd"},
		Power:      &PowerConfig{Durability: "weak", Syncs: []string{"flag", "record", "data"}, Files: 2, MaxLosses: 2},
	},
	{
		Name: "PowerWeakMayLeak", Kind: "power", Formula: "LiveSpec",
		Purpose:    "Without the fsync under the store lock a layer may leak, and nothing worse happens.",
		Properties: []string{"TypeOK", "ReachableWhole", "WholeOrFlagged", "GoneInTheEnd"},
		Power:      &PowerConfig{Durability: "weak", Syncs: []string{"flag", "data"}, Files: 2, MaxLosses: 2},
	},
	{
		Name: "MixedEverybody", Kind: "mixed", Formula: "MixedSpec", Symmetry: "IdSymmetry",
		Purpose:    "A creator and a recoverer of each kind: our instances are safe.",
		Properties: []string{"MixedTypeOK", "OurLiveKept", "LiveIsLocked"},
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Upstream = []string{"c2", "r2"}
			c.ID = []string{"i1", "i2"}
			c.Victim = nil
			c.MixedFleet = true
		}),
	},
	{
		Name: "MixedOurCreators", Kind: "mixed", Formula: "MixedSpec", Symmetry: "Symmetry",
		Purpose:    "Our creators beside upstream recoverers.",
		Properties: []string{"MixedTypeOK", "LiveKept", "LiveIsLocked", "ReachableWhole", "RepliesTrue", "NeverLost"},
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Upstream = []string{"r1", "r2"}
			c.ID = []string{"i1", "i2"}
		}),
	},
	{
		Name: "MixedOurCreatorsRefinement", Kind: "mixed", Formula: "MixedSpec",
		Purpose:    "The same, as callers see it.",
		Properties: []string{"MixedTypeOK", "TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"r1", "r2"}
			c.Addition = []string{"a1"}
		}),
	},
	{
		Name: "MixedOurRecoverers", Kind: "mixed", Formula: "MixedSpec", Symmetry: "Symmetry",
		Purpose:    "Upstream creators beside our recoverers, with rule 13.",
		Properties: []string{"MixedTypeOK", "LiveKept", "LiveIsLocked", "ReachableWhole", "RepliesTrue", "NeverLost"},
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Upstream = []string{"c1", "c2"}
			c.ID = []string{"i1", "i2"}
			c.MixedFleet = true
		}),
	},
	{
		Name: "MixedTogether", Kind: "mixed", Formula: "MixedSpec", Symmetry: "Symmetry",
		Purpose:    "Two upstream owners, our recoverer and our listing in one process.",
		Properties: append(slices.Clip(wholeMixed), "LookingChangesNothing"),
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Inspector = []string{"r2"}
			c.Upstream = []string{"c1", "c2"}
			c.ID = []string{"i1", "i2"}
			c.Pid = "Together"
			c.MixedFleet = true
		}),
	},
	{
		Name: "MixedTogetherCopies", Kind: "mixed", Formula: "MixedSpec", Symmetry: "RecovererSymmetry",
		Purpose:    "Two copies of our package in one process with an upstream owner: one recovers, one lists.",
		Properties: append(slices.Clip(wholeMixed), "LookingChangesNothing"),
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1", "r2", "r3"}
			c.Inspector = []string{"r3"}
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.Package = "TwoCopies"
			c.MixedFleet = true
			c.MaxFailures = 1
		}),
	},
	{
		Name: "MixedTogetherEverybody", Kind: "mixed", Formula: "MixedSpec", Symmetry: "IdSymmetry",
		Purpose:    "A creator and a recoverer of each kind in one process: our instances are safe.",
		Properties: []string{"MixedTypeOK", "OurLiveKept", "LiveIsLocked"},
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Upstream = []string{"c2", "r2"}
			c.ID = []string{"i1", "i2"}
			c.Victim = nil
			c.Pid = "Together"
			c.MixedFleet = true
		}),
	},
	{
		Name: "MixedTogetherRepaired", Kind: "mixed", Formula: "MixedSpec",
		Purpose:    "An upstream recoverer too in the process of an upstream owner, our recoverer and our listing; upstream rechecks on both sides.",
		Properties: wholeMixed,
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1", "r2", "r3"}
			c.Inspector = []string{"r3"}
			c.Upstream = []string{"c1", "r2"}
			c.Repaired = []string{"c1", "r2"}
			c.Victim = nil
			c.Pid = "Together"
			c.MixedFleet = true
		}),
	},
	{
		Name: "HarmlessIdReuse", Kind: "harmless", Formula: "Spec",
		Purpose:    "Rule 6 dropped among our own processes: the recheck is enough.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"Fresh": "NotOnDisk"}
		}),
	},
	{
		Name: "HarmlessNoLastRecheck", Kind: "harmless", Formula: "Spec",
		Purpose:    "The second recheck, before the unlink, dropped among our own processes.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.MaxFailures = 1
			c.Swap = map[string]string{"StatName": "NoLastRecheck"}
		}),
	},
	{
		Name: "HarmlessOpenCreates", Kind: "harmless", Formula: "Spec",
		Purpose:    "Rule 3 dropped among our own processes: O_CREAT costs no safety (Rule3OpenCreates: it costs the end).",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.ID = []string{"i1", "i2"}
			c.MaxCrashes = 0
			c.Swap = map[string]string{"OpenLock": "OpenLockCreates"}
		}),
	},
	{
		Name: "HarmlessRecovererTrustsLock", Kind: "harmless", Formula: "Spec",
		Purpose:    "Rule 2 dropped in our recoverers: two may act on one id, but live data is safe.",
		Properties: []string{"LiveKept", "LiveIsLocked", "DataHasLock", "ReachableWhole", "RepliesTrue", "NeverLost"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"StatName": "RecovererTrustsLock"}
		}),
	},
	{
		Name: "HarmlessTable", Kind: "harmless", Formula: "Spec",
		Purpose:    "POSIX locks with a table, in one process that knows one name of the root.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.LockKind = "table"
			c.Pid = "Together"
		}),
	},
	{
		Name: "HarmlessWithoutReuse", Kind: "harmless", Formula: "Spec", Symmetry: "RecovererSymmetry",
		Purpose:    "Rule 7 dropped where no inode number that is remembered is used again.",
		Properties: []string{"OneOwner"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Recoverer = []string{"r1", "r2", "r3", "r4"}
			c.Victim = nil
			c.Orphan = []string{"i1"}
			c.MaxCrashes = 0
			c.Swap = map[string]string{"OpenLock": "RemembersNumber", "StatName": "NoRecheckAfterLock", "Free": "Forgotten", "Inode": "ManyInodes"}
		}),
	},
	{
		Name: "PatchedUpstream", Kind: "harmless", Formula: "MixedSpec",
		Purpose:    "Upstream with the patch of docs/UPSTREAM.md, in one process and in two; ids are used again.",
		Properties: []string{"MixedTypeOK", "LiveKept", "LockKept", "LiveIsLocked", "OneOwner", "ReachableWhole", "NeverLost", "UnlinkedByHolder"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1", "r1", "r2"}
			c.Repaired = []string{"c1", "r1", "r2"}
			c.Pid = "Server"
			c.MaxFailures = 1
			c.Swap = map[string]string{"Fresh": "NotOnDisk"}
		}),
	},
	{
		Name: "RepairedUpstream", Kind: "harmless", Formula: "MixedSpec",
		Purpose:    "Upstream with the recheck on both sides.",
		Properties: []string{"MixedTypeOK", "LiveKept", "ReachableWhole"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1", "r1", "r2"}
			c.Repaired = []string{"c1", "r1", "r2"}
		}),
	},
	{
		Name: "UnseenFinishesCommit", Kind: "harmless", Formula: "Spec",
		Purpose:    "FinishesCommit breaks no invariant: only refinement sees it.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Victim = nil
			c.Addition = []string{"a1"}
			c.Swap = map[string]string{"OpenEntry": "FinishesCommit"}
		}),
	},
	{
		Name: "UnseenPutsVictimBack", Kind: "harmless", Formula: "Spec",
		Purpose:    "PutsVictimBack breaks no invariant: only refinement sees it.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"OpenEntry": "PutsVictimBack"}
		}),
	},
}
