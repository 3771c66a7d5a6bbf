package model

// This file is the probes, one for each .cfg of the specification.

var probeModels = []Model{
	{
		Name: "ProbeAdoption", Kind: "probe", Formula: "Spec",
		Purpose:    "Data without a lock file is adopted.",
		Properties: []string{"NoAdoption"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
		}),
	},
	{
		Name: "ProbeAdoptionRace", Kind: "probe", Formula: "Spec",
		Purpose:    "Two adopters race; one finds the name taken.",
		Properties: []string{"NoAdoptionRace"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
		}),
	},
	{
		Name: "ProbeBusyLock", Kind: "probe", Formula: "Spec",
		Purpose:    "A recoverer finds the lock of a live instance busy.",
		Properties: []string{"NoBusyLock"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeCommitWatched", Kind: "probe", Formula: "Spec",
		Purpose:    "A commit takes effect while a recoverer has the lock file open.",
		Properties: []string{"NoCommitWatched"},
		Protocol: small(func(c *Config) {
			c.Victim = nil
			c.Addition = []string{"a1"}
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeCreatorGhostLock", Kind: "probe", Formula: "Spec",
		Purpose:    "Without unnamed files a creator has such a lock too, and backs off.",
		Properties: []string{"NoCreatorGhostLock"},
		Protocol: small(func(c *Config) {
			c.TmpFile = false
		}),
	},
	{
		Name: "ProbeFailedRemoval", Kind: "probe", Formula: "Spec",
		Purpose:    "Half a tree is left, with both names, by a process that lives on.",
		Properties: []string{"NoFailedRemoval"},
		Protocol: small(func(c *Config) {
			c.Files = 2
			c.MaxCrashes = 0
			c.MaxFailures = 1
		}),
	},
	{
		Name: "ProbeFullDisk", Kind: "probe", Formula: "Spec",
		Purpose:    "The data directory cannot be made: the disk is full.",
		Properties: []string{"NoFullDisk"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
			c.MaxFailures = 1
		}),
	},
	{
		Name: "ProbeGhostLock", Kind: "probe", Formula: "Spec",
		Purpose:    "A recoverer has the lock of a file that has no name any more.",
		Properties: []string{"NoGhostLock"},
		Protocol:   small(nil),
	},
	{
		Name: "ProbeLostDirectory", Kind: "probe", Formula: "SweptSpec",
		Purpose:    "Our own directory is lost, to a stranger, and the owner is told.",
		Properties: []string{"NeverLost"},
		Protocol: small(func(c *Config) {
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeMissingVictim", Kind: "probe", Formula: "Spec",
		Purpose:    "Two callers want one victim; one is told that it is missing.",
		Properties: []string{"NoMissingVictim"},
		Protocol: small(func(c *Config) {
			c.Creator = []string{"c1", "c2"}
			c.Recoverer = nil
			c.ID = []string{"i1", "i2"}
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeMountMet", Kind: "probe", Formula: "Spec",
		Purpose:    "A recoverer meets a mount.",
		Properties: []string{"NoMountMet"},
		Protocol: small(func(c *Config) {
			c.Victim = nil
			c.Mounted = []string{"m1"}
		}),
	},
	{
		Name: "ProbeParked", Kind: "probe", Formula: "MixedSpec",
		Purpose:    "A descriptor is parked while its lock is held by our own process.",
		Properties: []string{"NoParked"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeParkedInVain", Kind: "probe", Formula: "MixedSpec",
		Purpose:    "A parked descriptor is left when its lock is gone.",
		Properties: []string{"NoParkedInVain"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.Upstream = []string{"c1"}
			c.Pid = "Together"
			c.MixedFleet = true
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbePowerBareLock", Kind: "probe", Formula: "Spec",
		Purpose:    "A lock file survives without its data.",
		Properties: []string{"NoBareLock"},
		Power:      &PowerConfig{Durability: "perDirectory", Syncs: []string{"flag", "record", "data"}, Files: 2, MaxLosses: 2},
	},
	{
		Name: "ProbePowerLossInRecovery", Kind: "probe", Formula: "Spec",
		Purpose:    "A second power loss finds half a tree.",
		Properties: []string{"NoLossInRecovery"},
		Power:      &PowerConfig{Durability: "perDirectory", Syncs: []string{"flag", "record", "data"}, Files: 2, MaxLosses: 2},
	},
	{
		Name: "ProbePowerOrphan", Kind: "probe", Formula: "Spec",
		Purpose:    "Data survives a power loss without its lock file.",
		Properties: []string{"NoOrphan"},
		Power:      &PowerConfig{Durability: "weak", Syncs: []string{"flag", "record", "data"}, Files: 2, MaxLosses: 2},
	},
	{
		Name: "ProbeRecoveryOfRecovery", Kind: "probe", Formula: "Spec",
		Purpose:    "A recoverer goes on with the work of a killed one.",
		Properties: []string{"NoRecoveryOfRecovery"},
		Protocol: small(func(c *Config) {
			c.Creator = nil
			c.Victim = nil
			c.Orphan = []string{"i1"}
		}),
	},
	{
		Name: "ProbeReleased", Kind: "probe", Formula: "Spec",
		Purpose:    "What an owner that lives on has released is recovered.",
		Properties: []string{"NoReleasedRecovery"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.MayRelease = true
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeStolenBirth", Kind: "probe", Formula: "Spec",
		Purpose:    "Without unnamed files a creator finds its new lock file locked.",
		Properties: []string{"NoStolenBirth"},
		Protocol: small(func(c *Config) {
			c.TmpFile = false
		}),
	},
	{
		Name: "ProbeUpstreamGhost", Kind: "probe", Formula: "MixedSpec",
		Purpose:    "An upstream recoverer claims one of our instances by a ghost lock.",
		Properties: []string{"NoUpstreamGhost"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"r1", "r2"}
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeYoungName", Kind: "probe", Formula: "MixedSpec",
		Purpose:    "Rule 13 leaves a young name alone.",
		Properties: []string{"NoYoungName"},
		Protocol: small(func(c *Config) {
			c.Upstream = []string{"c1"}
			c.MixedFleet = true
			c.MaxCrashes = 0
		}),
	},
	{
		Name: "ProbeYoungOrphan", Kind: "probe", Formula: "CleanedSpec",
		Purpose:    "The data of a live instance that lost its lock file is left alone.",
		Properties: []string{"NoYoungOrphan"},
		Protocol: small(func(c *Config) {
			c.Recoverer = []string{"r1"}
			c.OrphanGrace = true
			c.MaxCrashes = 0
		}),
	},
}
