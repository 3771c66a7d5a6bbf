package linearizability

// A History is what clients did to one layer store, from the start on.
type History struct {
	Layout     string // of the store: "vfs" or "overlay"
	Note       string // where it comes from, for people
	Operations []Operation
	Kills      []Kill
	End        int64 // the last ticket
}

// An Operation is one call of a client.
type Operation struct {
	Client Client
	Kind   Kind
	Layers []string // what it is about; of list and recover none
	Tree   string   // of create: the name of the content
	Parent string   // of create: the layer that it is made on, or ""
	Image  bool     // of create: in the image store
	Call   int64    // ticket of the invocation
	Return int64    // ticket of the response; 0: pending
	Result Result
	Note   string // of the response, for people: an error
}

// A Client does one operation at a time: a goroutine of a process.
type Client struct{ Process, Goroutine int }

// A Kill is the death of a process, at the ticket at which its parent saw it.
type Kill struct {
	Process int
	Ticket  int64
	Note    string // for people: the crash point
}

// A Kind is what an operation does.
type Kind string

// The kinds of operation.
const (
	Create  Kind = "create"
	Delete  Kind = "delete"
	List    Kind = "list"
	Exists  Kind = "exists"
	Read    Kind = "read"
	Look    Kind = "look"
	Recover Kind = "recover"
	Mount   Kind = "mount"
	Unmount Kind = "unmount"
)

// A Result is what an operation answered.
type Result struct {
	Outcome Outcome
	Layers  []string // list: the layers. unknown, children, mounted: the one it is about, of several
	Trees   []string // read: the layer's tree, and those of its parents. look: the trees of which something is on disk
	Yes     bool     // exists: there is such a layer. look: there is a link. recover: nothing was left. delete: some was removed in place
	Links   bool     // look: there are several links
}

// An Outcome is the first word of a result.
type Outcome string

// The outcomes. The second group are definite failures.
const (
	Done Outcome = "ok"

	AlreadyExists Outcome = "taken"     // create: there is such a layer
	NoParent      Outcome = "noparent"  // create: there is no such parent
	Unknown       Outcome = "unknown"   // there is no such layer
	HasChildren   Outcome = "children"  // delete: a layer that is to stay has it as its parent
	Mounted       Outcome = "mounted"   // delete: it is mounted
	Unmounted     Outcome = "unmounted" // unmount: it is not mounted
	Busy          Outcome = "busy"      // create: an unfinished operation has the id
	Exhausted     Outcome = "exhausted" // the machine has no room, descriptors or memory left
	Failed        Outcome = "failed"    // for another reason that says nothing about layers

	Torn       Outcome = "torn"       // read: not all files of one tree
	Leftover   Outcome = "leftover"   // delete took effect, and data is left
	Indefinite Outcome = "indefinite" // it may have taken effect
	Pending    Outcome = ""           // no response
)

// killOf returns the kill of the process, or nil.
func (h *History) killOf(process int) *Kill {
	for i := range h.Kills {
		if h.Kills[i].Process == process {
			return &h.Kills[i]
		}
	}
	return nil
}

// until returns the last ticket at which a call of the operation can have been
// made. Those of an indefinite failure, and of an operation that is pending for
// an unknown reason, may come at any time.
func (h *History) until(op *Operation) int64 {
	switch {
	case op.Result.Outcome == Indefinite:
	case op.Return > 0:
		return op.Return
	default:
		if kill := h.killOf(op.Client.Process); kill != nil {
			return kill.Ticket
		}
	}
	return h.End + 1
}
