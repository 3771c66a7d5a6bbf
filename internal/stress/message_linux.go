package stress

// A job is what a worker has to do. It is the one line of JSON on its standard
// input.
type job struct {
	Role   role   `json:"role"`
	Worker int    `json:"worker"` // number of this process; never used twice in a run
	Seed   uint64 `json:"seed"`
	Kernel string `json:"kernel,omitempty"` // see kernels
	Root   string `json:"root"`             // the root directory
	Work   string `json:"work,omitempty"`   // race: where a creator makes and commits trees

	// Traces.
	Recording string `json:"recording,omitempty"` // see package trace
	Named     bool   `json:"named,omitempty"`     // as on a file system without unnamed files
	Tracers   int    `json:"tracers,omitempty"`   // goroutines, each a process of the model

	// The layer store, for a role of the lifecycle stage.
	Layers  string           `json:"layers,omitempty"`  // directory with one directory a layer
	Lock    string           `json:"lock,omitempty"`    // the store lock
	Journal string           `json:"journal,omitempty"` // see record
	LaidOut map[string]layer `json:"laid_out,omitempty"`
}

// A role is what kind of worker a process is.
type role string

const (
	roleStore     role = "store"     // lifecycle: stages deletions and additions of layers
	roleCreator   role = "creator"   // race: creates instances in a tight loop
	roleRecoverer role = "recoverer" // both: recovers in a loop
	roleTraced    role = "traced"    // traces: creates and recovers, and is recorded
)

// A step is what a message is about. The steps before stepEnd are what the
// worker does next: the moments at which kills are aimed.
type step string

const (
	stepCreate step = "create"
	stepCopy   step = "copy"   // fills an addition
	stepLock   step = "lock"   // waits for the store lock, stages or commits under it
	stepCheck  step = "check"  // looks whether staged data is whole
	stepRemove step = "remove" // removes data: a close, or a recovery that found something
	stepCounts step = "counts" // has counts only

	stepEnd         step = "end"         // ends in order; what it leaked is in Leaked
	stepLost        step = "lost"        // problem: data of a live instance is gone
	stepPartial     step = "partial"     // problem: a commit succeeded without all files
	stepFailed      step = "failed"      // problem: an error that should not be
	stepEnvironment step = "environment" // an error that says nothing about the library
)

// A message is one line of JSON on a worker's standard output.
type message struct {
	Step   step             `json:"step"`
	Text   string           `json:"text,omitempty"`
	Add    map[string]int64 `json:"add,omitempty"` // to the counts of the run
	Leaked []string         `json:"leaked,omitempty"`
}

// Names of counts.
const (
	countInstances  = "instances"
	countCommits    = "commits"
	countRecoveries = "recoveries"
	countRecovered  = "recovered"
	countMet        = "met"
	countChecked    = "checked"
)
