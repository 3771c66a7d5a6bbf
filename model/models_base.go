package model

// small is the configuration that most models of the protocol start from: one
// owner, two recoverers, one id, one victim, one crash.
func small(change func(c *Config)) *Config {
	c := &Config{
		Creator: []string{"c1"}, Recoverer: []string{"r1", "r2"}, ID: []string{"i1"}, Victim: []string{"v1"},
		Files: 1, TmpFile: true, LockKind: "ofd", Pid: "Apart", Package: "OneCopy", RootName: "OneName",
		MaxCrashes: 1,
	}
	if change != nil {
		change(c)
	}
	return c
}

// whole is every safety property of the protocol.
var whole = []string{"TypeOK", "LiveKept", "LiveIsLocked", "OneOwner", "DataHasLock", "ReachableWhole",
	"RepliesTrue", "NeverLost", "UnlinkedByHolder"}

// wholeMixed is every safety property that holds of a process that upstream's
// code shares with ours.
var wholeMixed = []string{"MixedTypeOK", "LiveKept", "LockKept", "LiveIsLocked", "ReachableWhole", "RepliesTrue", "NeverLost"}

// wholeButDataHasLock is the same for models that start with an orphan.
var wholeButDataHasLock = []string{"TypeOK", "LiveKept", "LiveIsLocked", "OneOwner", "ReachableWhole",
	"RepliesTrue", "NeverLost", "UnlinkedByHolder"}
