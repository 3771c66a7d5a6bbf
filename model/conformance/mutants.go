//go:build linux

package conformance

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// A mutant does what a mutant of the specification does: the library's own code,
// over a kernel that lies to it, or makes other calls for it. The calls that it
// makes are hooked like the library's. What it answers after failures is not judged.
type mutant struct {
	slot   string // of the action that it replaces
	kernel func(p *process, hooked kernel.Kernel) kernel.Kernel

	// Where it stands, and how it takes its action, if it is not as ours.
	stands func(s *scheduler, p *process, to *model.State) (at stop, is bool)
	take   func(s *scheduler, p *process, a *step, from, to *model.State) error
}

// mutants has them by their name in the specification.
var mutants = map[string]mutant{
	// MutantsOwner.tla
	"DataBeforeLock":        {kernel: dataBeforeLock, stands: standsBeforeData, take: takesData},
	"NameBeforeLock":        {kernel: nameBeforeLock, stands: standsBeforeName, take: takesName},
	"CreatorTrustsLock":     {kernel: creatorTrustsLock},
	"NotOnDisk":             {kernel: usesIDsAgain},
	"OneNotFound":           {kernel: oneNotFound},
	"MovesFileByFile":       {kernel: movesFileByFile},
	"FailureKeepsLock":      {kernel: keepsLock},
	"FailedCreateKeepsLock": {kernel: keepsLock},
	// MutantsRecover.tla
	"RecovererTrustsLock": {kernel: recovererTrustsLock},
	"NoLastRecheck":       {kernel: noLastRecheck},
	"RemembersNumber":     {kernel: remembersNumber, stands: standsBeforeLook, take: takesLook},
	"NoRecheckAfterLock":  {}, // the other half of RemembersNumber
	"OpenLockCreates":     {kernel: openLockCreates},
	"LinkReplaces":        {kernel: linkReplaces},
	"AdoptsUnlocked":      {kernel: adoptsUnlocked},
	"LockFileFirst":       {kernel: lockFileFirst},
	"LockInsideData":      {kernel: lockInsideData},
	"UnlockThenUnlink":    {kernel: unlockThenUnlink, stands: standsBeforeUnlock, take: takesUnlock},
	"CrossesMounts":       {kernel: crossesMounts, take: entersMount},
	"FailureUnlinks":      {kernel: failureUnlinks},
	"MissingDataFails":    {kernel: missingDataFails},
	"ListsOnChange":       {kernel: listsOnChange},
	"ListsLocksOnly":      {kernel: listsLocksOnly},
	"FinishesCommit":      {kernel: finishesCommit},
	"PutsVictimBack":      {kernel: putsVictimBack},
	// What else a model can be made of.
	"LeaseRunsOut": {kernel: leaseRunsOut},
}

// mutantsOf are the mutants that a configuration asks for.
func mutantsOf(s *scheduler, c *model.Config) (list []mutant, err error) {
	for _, slot := range slices.Sorted(maps.Keys(c.Swap)) {
		m, ok := mutants[c.Swap[slot]]
		if !ok {
			return nil, fmt.Errorf("mutant %s of the specification has none in the code", c.Swap[slot])
		}
		m.slot = slot
		list = append(list, m)
	}
	switch c.LockKind {
	case "ofd":
	case "posix":
		list = append(list, mutant{kernel: posixLocks})
	case "table":
		list = append(list, mutant{kernel: func(p *process, k kernel.Kernel) kernel.Kernel {
			return &tabled{posix{Kernel: k, p: p}, s}
		}})
	default:
		return nil, fmt.Errorf("no mutant has locks of the kind %q", c.LockKind)
	}
	return list, nil
}

// standsLike says whether a process that is between operations is where the
// specification says it is stuck: it has responded with an error, and keeps its
// lock for as long as it lives.
func (p *process) standsLike(s *scheduler, to *model.State) bool {
	switch to.PC[p.number] {
	case model.Stuck:
		return p.at.place == atIdle && p.lock >= 0
	case model.Lost, model.Missing: // upstream does not tell them apart
		return p.upstream && p.at.place == atReply && p.at.reply == model.Missing
	}
	return false
}

// stand stops where a mutant is about to do something else than the library
// asked for. It returns an error if the process has been killed.
func (p *process) stand(m kernel.Method, name string, fd int) error {
	if p.dead {
		return unix.EBADF
	}
	if !p.free && !p.joined {
		p.pause(stop{method: m, name: name, fd: fd})
	}
	if p.watch != nil {
		p.watch(p, &kernel.Call{Method: m, Name: name, Fd: fd})
	}
	return nil
}

// join makes calls that are one step with the one before.
func (p *process) join(calls func() error) error {
	before := p.joined
	p.joined = true
	defer func() { p.joined = before }()
	return calls()
}
