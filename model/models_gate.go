package model

import "slices"

// This file is the models of kind gate, one for each .cfg of the specification.

var gateModels = []Model{
	{
		Name: "Gate", Kind: "gate", Formula: "Spec",
		Purpose:    "A deletion: one owner, two recoverers, half trees, one crash, one failing call.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Files = 2
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateAddition", Kind: "gate", Formula: "Spec",
		Purpose:    "The same for an addition and its commit.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Victim = nil
			c.Addition = []string{"a1"}
			c.Files = 2
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateCleaner", Kind: "gate", Formula: "CleanedSpec",
		Purpose:    "A cleaner of temporary files takes lock files, of live instances too; young orphans are left alone.",
		Properties: []string{"TypeOK", "LiveKept", "ReachableWhole", "RepliesTrue", "NeverLost"},
		Protocol: small(func(c *Config) {
			c.OrphanGrace = true
		}),
	},
	{
		Name: "GateFallback", Kind: "gate", Formula: "Spec",
		Purpose:    "No unnamed files: create, lock, recheck.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.TmpFile = false
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateGoroutines", Kind: "gate", Formula: "Spec",
		Purpose:    "One process, three goroutines, two names of the root.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Pid = "Together"
			c.RootName = "TwoNames"
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateInspect", Kind: "gate", Formula: "Spec",
		Purpose:    "A listing beside an owner and a recoverer: it changes nothing.",
		Properties: []string{"TypeOK", "LiveKept", "LiveIsLocked", "OneOwner", "DataHasLock", "ReachableWhole", "RepliesTrue", "NeverLost", "LockKept", "UnlinkedByHolder", "LookingChangesNothing"},
		Protocol: small(func(c *Config) {
			c.Inspector = []string{"r2"}
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateListerTogether", Kind: "gate", Formula: "MixedSpec",
		Purpose:    "Our listing in the process of an upstream owner, and our recoverer in another.",
		Properties: append(slices.Clip(wholeMixed), "LookingChangesNothing"),
		Protocol: small(func(c *Config) {
			c.Inspector = []string{"r2"}
			c.Upstream = []string{"c1"}
			c.Pid = "ListerTogether"
			c.MixedFleet = true
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateMount", Kind: "gate", Formula: "Spec",
		Purpose:    "An outside tree is mounted inside an instance.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Mounted = []string{"m1"}
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateOrphan", Kind: "gate", Formula: "Spec",
		Purpose:    "Data without a lock file is adopted, by one recoverer only.",
		Properties: wholeButDataHasLock,
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateOrphanFallback", Kind: "gate", Formula: "Spec",
		Purpose:    "The same without unnamed files.",
		Properties: wholeButDataHasLock,
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
			c.TmpFile = false
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateRefinement", Kind: "gate", Formula: "Spec",
		Purpose:    "The protocol refines what callers rely on (TempDir.tla).",
		Properties: []string{"TypeOK", "TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Addition = []string{"a1"}
			c.Files = 2
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateRefinementFallback", Kind: "gate", Formula: "Spec",
		Purpose:    "The same without unnamed files.",
		Properties: []string{"TypeOK", "TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.TmpFile = false
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateRefinementTwo", Kind: "gate", Formula: "Spec",
		Purpose:    "The same with two owners who want one victim.",
		Properties: []string{"TypeOK", "TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Recoverer = nil
			c.ID = []string{"i1", "i2"}
		}),
	},
	{
		Name: "GateRelease", Kind: "gate", Formula: "Spec",
		Purpose:    "An owner gives its instance up, and lives on.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.MayRelease = true
		}),
	},
	{
		Name: "GateReleaseRefinement", Kind: "gate", Formula: "Spec",
		Purpose:    "The same, as callers see it, with a failing call.",
		Properties: []string{"TypeOK", "TempDirSpec"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.MayRelease = true
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateSwept", Kind: "gate", Formula: "SweptSpec",
		Purpose:    "A stranger removes our directory: nobody is told a lie.",
		Properties: []string{"TypeOK", "RepliesTrue", "ReachableWhole"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateTogether", Kind: "gate", Formula: "MixedSpec",
		Purpose:    "An upstream owner, our recoverer and our listing in one process, with rule 15.",
		Properties: append(slices.Clip(wholeMixed), "LookingChangesNothing"),
		Protocol: small(func(c *Config) {
			c.Inspector = []string{"r2"}
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
			c.MaxFailures = 1
		}),
	},
	{
		Name: "GateTogetherFallback", Kind: "gate", Formula: "MixedSpec",
		Purpose:    "The same without unnamed files, our owner beside an upstream recoverer.",
		Properties: wholeMixed,
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"r2"}
			c.TmpFile = false
			c.Pid = "Together"
			c.MixedFleet = true
		}),
	},
	{
		Name: "GateTogetherOwner", Kind: "gate", Formula: "MixedSpec",
		Purpose:    "Our owner and upstream recoverers in one process.",
		Properties: wholeMixed,
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"r1", "r2"}
			c.Pid = "Together"
			c.MixedFleet = true
		}),
	},
	{
		Name: "GateTwoCreators", Kind: "gate", Formula: "Spec",
		Purpose:    "Two owners want the same victim.",
		Properties: whole,
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Recoverer = []string{"r1"}
			c.ID = []string{"i1", "i2"}
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "GateWhat", Kind: "gate", Formula: "Spec",
		Purpose:    "What callers rely on, by itself.",
		Properties: []string{"OwnedIsStaged"},
		What:       &WhatConfig{Creator: []string{"c1", "c2"}, Recoverer: []string{"r1"}, Victim: []string{"v1"}, Addition: []string{"a1"}},
	},
}
