package model

// This file is the models that must fail, from those named after rules on, one for each .cfg of the specification.

var ruleModels = []Model{
	{
		Name: "Rule10OneNotFound", Kind: "mustfail", Formula: "SweptSpec",
		Purpose:    "Rule 10 dropped: every ENOENT means that the victim is gone.",
		Properties: []string{"RepliesTrue"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Swap = map[string]string{"StageDeletion": "OneNotFound"}
		}),
	},
	{
		Name: "Rule11NoSyncPerDirectory", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 11 dropped, per-directory model.",
		Properties: []string{"ReachableWhole"},
		Power:      &PowerConfig{Durability: "perDirectory", Syncs: []string{"flag"}, Files: 2, MaxLosses: 1},
	},
	{
		Name: "Rule11NoSyncWeak", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 11 dropped: no fsync before the first unlink, weak model.",
		Properties: []string{"ReachableWhole"},
		Power:      &PowerConfig{Durability: "weak", Syncs: []string{"flag"}, Files: 2, MaxLosses: 1},
	},
	{
		Name: "Rule12MissingDataFails", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "Rule 12 dropped: recovery cannot be repeated after a crash in it.",
		Properties: []string{"GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"OpenDirectory": "MissingDataFails"}
		}),
	},
	{
		Name: "Rule13Off", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Rule 13 off: our recoverers beside an upstream creator.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1"}
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "Rule15ClosesAnyway", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Rule 15 dropped: recovery closes a busy lock file, and drops the lock of an upstream owner in its own process.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
			c.MaxCrashes = 0
			c.Swap = map[string]string{"LockHolder": "ClosesAnyway"}
		}),
	},
	{
		Name: "Rule15ClosesParked", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Rule 15 dropped later: what is parked is closed at the next look.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
			c.MaxCrashes = 0
			c.Swap = map[string]string{"OpenLock": "ClosesParked"}
		}),
	},
	{
		Name: "Rule15InspectorCloses", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Rule 15 dropped in the listing, which takes no lock, and drops one.",
		Properties: []string{"LookingChangesNothing"},
		Protocol: small(func(c *Config) {
			c.Inspector = []string{"r2"}
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
			c.MaxCrashes = 0
			c.Swap = map[string]string{"LockHolder": "InspectorCloses"}
		}),
	},
	{
		Name: "Rule15InspectsYoung", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Rule 13 dropped in the listing: it opens a bare lock file that upstream of its own process is about to lock.",
		Properties: []string{"LockKept"},
		Protocol: small(func(c *Config) {
			c.Inspector = []string{"r2"}
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
			c.MaxCrashes = 0
			c.Swap = map[string]string{"OpenToInspect": "InspectsYoung"}
		}),
	},
	{
		Name: "Rule1PublishLocked", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 1 dropped: the unnamed file gets its name before its lock.",
		Properties: []string{"LiveIsLocked"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
			c.Swap = map[string]string{"TakeLock": "NameBeforeLock"}
		}),
	},
	{
		Name: "Rule2Creator", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 2 dropped in the creator, without unnamed files.",
		Properties: []string{"LiveIsLocked"},
		Protocol: small(func(c *Config) {
			c.TmpFile = false
			c.Swap = map[string]string{"StatName": "CreatorTrustsLock"}
		}),
	},
	{
		Name: "Rule2Recoverer", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 2 dropped in the recoverer, with unnamed files.",
		Properties: []string{"OneOwner"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"StatName": "RecovererTrustsLock"}
		}),
	},
	{
		Name: "Rule3LinkReplaces", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 3 dropped: an adopter replaces the name instead of linking to it.",
		Properties: []string{"OneOwner"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
			c.Swap = map[string]string{"LinkLock": "LinkReplaces"}
		}),
	},
	{
		Name: "Rule3NoAdoption", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 3 dropped: data without a lock file is removed without a lock.",
		Properties: []string{"OneOwner"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"OpenUnnamed": "AdoptsUnlocked"}
		}),
	},
	{
		Name: "Rule3OpenCreates", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "Rule 3 dropped: recovery opens with O_CREAT.",
		Properties: []string{"GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"OpenLock": "OpenLockCreates"}
		}),
	},
	{
		Name: "Rule4LockFileFirst", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 4 dropped: the lock file goes before the data.",
		Properties: []string{"DataHasLock"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"OpenDirectory": "LockFileFirst"}
		}),
	},
	{
		Name: "Rule5KeepsLock", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "Rule 5 dropped: a failed removal keeps its lock.",
		Properties: []string{"GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
			c.MaxFailures = 1
			c.Swap = map[string]string{"CallFails": "FailureKeepsLock"}
		}),
	},
	{
		Name: "Rule6IdReuse", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Rule 6 dropped beside upstream recoverers.",
		Properties: []string{"OurLiveKept"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"r1", "r2"}
			c.MaxCrashes = 0
			c.Swap = map[string]string{"Fresh": "NotOnDisk"}
		}),
	},
	{
		Name: "Rule7RemembersNumber", Kind: "mustfail", Formula: "Spec", Symmetry: "RecovererSymmetry",
		Purpose:    "Rule 7 dropped: the name is compared with a remembered number, not with a held inode.",
		Properties: []string{"OneOwner"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Recoverer = []string{"r1", "r2", "r3", "r4"}
			c.Victim = nil
			c.Orphan = []string{"i1"}
			c.MaxCrashes = 0
			c.Swap = map[string]string{"OpenLock": "RemembersNumber", "StatName": "NoRecheckAfterLock"}
		}),
	},
	{
		Name: "Rule8NoTable", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 8: POSIX locks without a table, goroutines of one process.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.LockKind = "posix"
			c.Pid = "Together"
		}),
	},
	{
		Name: "Rule8TwoNames", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 8: POSIX locks with a table, and a root that has two names.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.LockKind = "table"
			c.Pid = "Together"
			c.RootName = "TwoNames"
		}),
	},
	{
		Name: "Rule9CrossesMounts", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Rule 9 dropped: removal enters a mount.",
		Properties: []string{"ReachableWhole"},
		Protocol: small(func(c *Config) {
			c.Victim = nil
			c.Mounted = []string{"m1"}
			c.Swap = map[string]string{"OpenEntry": "CrossesMounts"}
		}),
	},
	{
		Name: "UnlockThenUnlink", Kind: "mustfail", Formula: "Spec",
		Purpose:    "The lock is dropped before the lock file is unlinked.",
		Properties: []string{"UnlinkedByHolder"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"RemoveLock": "UnlockThenUnlink"}
		}),
	},
	{
		Name: "UpstreamAsShipped", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Upstream as shipped: live data is removed.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Upstream = []string{"c1", "r1"}
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "UpstreamClosesCreated", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Upstream with the recheck on both sides: the close in CreateAndLock drops a lock of the same process.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1", "r1", "r2"}
			c.Repaired = []string{"c1", "r1", "r2"}
			c.Victim = nil
			c.Pid = "Server"
			c.MaxCrashes = 0
			c.Swap = map[string]string{"UpstreamCreateLock": "CreatesLockOpen", "UpstreamOpenLock": "ClosesThenOpens"}
		}),
	},
	{
		Name: "UpstreamCommit", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Upstream as shipped: a commit succeeds and loses files.",
		Properties: []string{"ReachableWhole"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Upstream = []string{"c1", "r1"}
			c.Victim = nil
			c.Addition = []string{"a1"}
			c.Files = 2
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "UpstreamCreatorRechecks", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Upstream, repaired in the creator only.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1", "r1", "r2"}
			c.Repaired = []string{"c1"}
			c.Victim = nil
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "UpstreamFailedCleanup", Kind: "mustfail", Formula: "MixedLiveSpec",
		Purpose:    "Upstream as shipped: what it cannot clean up stays while it lives.",
		Properties: []string{"GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Upstream = []string{"c1", "r1"}
			c.Victim = nil
			c.MaxCrashes = 0
			c.MaxFailures = 1
		}),
	},
	{
		Name: "UpstreamRecovererRechecks", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Upstream, repaired in the recoverer only.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1", "r1", "r2"}
			c.Repaired = []string{"r1", "r2"}
			c.Victim = nil
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "UpstreamReopensOnly", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "The same, and a creator that does not create when it opens the second time.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1", "r2", "r3"}
			c.Upstream = []string{"c1", "r1", "r2", "r3"}
			c.Repaired = []string{"c1", "r1", "r2", "r3"}
			c.Victim = nil
			c.Pid = "Server"
			c.MaxCrashes = 0
			c.Swap = map[string]string{"UpstreamCreateLock": "CreatesLockOpen", "UpstreamOpenLock": "ClosesThenOpens", "OpenCreates": "RecovererCreates"}
		}),
	},
	{
		Name: "UpstreamUnlinksStranger", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "Upstream as shipped: a lock file is unlinked by somebody who does not hold its lock.",
		Properties: []string{"UnlinkedByHolder"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1", "r1", "r2"}
			c.Victim = nil
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "WhatReapsAnything", Kind: "mustfail", Formula: "Spec",
		Purpose:    "Anybody may reap what a live process has staged.",
		Properties: []string{"OwnedIsStaged"},
		What:       &WhatConfig{Creator: []string{"c1", "c2"}, Recoverer: []string{"r1"}, Victim: []string{"v1"}, Addition: []string{"a1"}, Swap: map[string]string{"Reap": "ReapsAnything"}},
	},
}
