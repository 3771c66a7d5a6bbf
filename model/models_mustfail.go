package model

// This file is the models that must fail, up to those named after rules, one for each .cfg of the specification.

var mustFailModels = []Model{
	{
		Name: "CleanerNoGrace", Kind: "mustfail", Formula: "CleanedSpec",
		Purpose:    "Orphans are adopted at once, and a cleaner of temporary files has taken the lock file of a live instance.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "DataBeforeLock", Kind: "mustfail", Formula: "Spec",
		Purpose:    "The data directory is made before the lock file.",
		Properties: []string{"DataHasLock"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"LinkLock": "DataBeforeLock"}
		}),
	},
	{
		Name: "FailedCreateKeepsLock", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "A create that fails on a full disk keeps its lock.",
		Properties: []string{"GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
			c.MaxFailures = 1
			c.Swap = map[string]string{"CallFails": "FailedCreateKeepsLock"}
		}),
	},
	{
		Name: "FailureUnlinks", Kind: "mustfail", Formula: "Spec",
		Purpose:    "A failed recovery unlinks the lock file all the same.",
		Properties: []string{"DataHasLock"},
		Protocol: small(func(c *Config) {
			c.MaxFailures = 1
			c.Swap = map[string]string{"CallFails": "FailureUnlinks"}
		}),
	},
	{
		Name: "FinishesCommit", Kind: "mustfail", Formula: "Spec",
		Purpose:    "A recoverer finishes a dead owner's addition. Only refinement sees it.",
		Properties: []string{"TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Victim = nil
			c.Addition = []string{"a1"}
			c.Swap = map[string]string{"OpenEntry": "FinishesCommit"}
		}),
	},
	{
		Name: "LeaseRunsOut", Kind: "mustfail", Formula: "Spec",
		Purpose:    "The lock is a lease that runs out.",
		Properties: []string{"LiveKept"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
			c.Swap = map[string]string{"CanLock": "LeaseRunsOut"}
		}),
	},
	{
		Name: "ListingBesideRecovery", Kind: "mustfail", Formula: "MixedSpec",
		Purpose:    "A known limit: a listing closes a stale lock file that an upstream recovery in its own process took after the look.",
		Properties: []string{"LookingChangesNothing"},
		Protocol: small(func(c *Config) {
			c.Inspector = []string{"r2"}
			c.Upstream = []string{"c1", "r1"}
			c.Repaired = []string{"c1", "r1"}
			c.Victim = nil
			c.Pid = "Together"
			c.MixedFleet = true
		}),
	},
	{
		Name: "ListsLocksOnly", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "Recovery looks for lock files only.",
		Properties: []string{"GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
			c.Swap = map[string]string{"List": "ListsLocksOnly"}
		}),
	},
	{
		Name: "ListsOnChange", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "Recovery is tied to changes of the metadata.",
		Properties: []string{"GoneInTheEnd"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"List": "ListsOnChange"}
		}),
	},
	{
		Name: "LockInsideData", Kind: "mustfail", Formula: "Spec",
		Purpose:    "The lock file is inside the data directory.",
		Properties: []string{"DataHasLock"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"RemoveEntry": "LockInsideData"}
		}),
	},
	{
		Name: "MovesFileByFile", Kind: "mustfail", Formula: "Spec",
		Purpose:    "A victim on another file system is moved file by file.",
		Properties: []string{"ReachableWhole"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"StageDeletion": "MovesFileByFile"}
		}),
	},
	{
		Name: "PowerFlagNotDurable", Kind: "mustfail", Formula: "Spec",
		Purpose:    "The incomplete flag is not durable before the rename.",
		Properties: []string{"WholeOrFlagged"},
		Power:      &PowerConfig{Durability: "perDirectory", Syncs: []string{"record", "data"}, Files: 2, MaxLosses: 1},
	},
	{
		Name: "PowerForgetsFirst", Kind: "mustfail", Formula: "Spec",
		Purpose:    "The metadata forgets the layer before the rename, per-directory model.",
		Properties: []string{"NoLeak"},
		Power:      &PowerConfig{Durability: "perDirectory", Syncs: []string{"flag", "record", "data"}, Files: 2, MaxLosses: 1, Swap: map[string]string{"SyncFlag": "ForgetsFirst"}},
	},
	{
		Name: "PowerIgnoresFlag", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "After power loss an incomplete record is taken for a complete one.",
		Properties: []string{"GoneInTheEnd"},
		Power:      &PowerConfig{Durability: "ordered", Files: 2, MaxLosses: 1, Swap: map[string]string{"Load": "IgnoresFlag"}},
	},
	{
		Name: "PowerNoAdoption", Kind: "mustfail", Formula: "LiveSpec",
		Purpose:    "Data that lost its lock file is not adopted.",
		Properties: []string{"GoneInTheEnd"},
		Power:      &PowerConfig{Durability: "weak", Syncs: []string{"flag", "record", "data"}, Files: 2, MaxLosses: 1, Swap: map[string]string{"Recover": "NoAdoption"}},
	},
	{
		Name: "PowerRecordNotDurable", Kind: "mustfail", Formula: "Spec",
		Purpose:    "The rename is not durable before the metadata forgets the layer.",
		Properties: []string{"NoLeak"},
		Power:      &PowerConfig{Durability: "perDirectory", Syncs: []string{"flag", "data"}, Files: 2, MaxLosses: 1},
	},
	{
		Name: "PutsVictimBack", Kind: "mustfail", Formula: "Spec",
		Purpose:    "A recoverer puts a dead owner's victim back. Only refinement sees it.",
		Properties: []string{"TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Swap = map[string]string{"OpenEntry": "PutsVictimBack"}
		}),
	},
}
