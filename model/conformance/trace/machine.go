package trace

import (
	"fmt"

	"github.com/afterlock/afterlock/model"
)

// A shape is the model that a partition needs.
type shape struct{ creators, additions, victims, files int }

// A machine is the model of one shape: one id, processes in four slots, and the
// indices of its actions by slot and tree.
type machine struct {
	shape
	protocol      *model.Protocol
	unnamed, name *model.Stepper // with unnamed files, and without

	listing, openUnnamed, createLock, openLock, takeLock, linkLock, statName, removeLock [maxSlots + 1]uint16
	makeData, stageDeletion, commit, reply, openDirectory, removeEntry, removeData       [maxSlots + 1]uint16
	closes, callFails, crash                                                             [maxSlots + 1]uint16
	invoke, stageAddition, openEntry                                                     [maxSlots + 1][maxItems + 1]uint16
}

const theID = 1

func newMachine(s shape) (*machine, error) {
	c := model.Config{ID: []string{"id"}, Files: s.files, LockKind: "ofd", Pid: "Apart", RootName: "OneName", MaxCrashes: 1, MaxFailures: 1}
	for i := range maxSlots {
		if i < s.creators {
			c.Creator = append(c.Creator, fmt.Sprintf("c%d", i+1))
		} else {
			c.Recoverer = append(c.Recoverer, fmt.Sprintf("r%d", i+1-s.creators))
		}
	}
	for i := range s.additions {
		c.Addition = append(c.Addition, fmt.Sprintf("a%d", i+1))
	}
	for i := range s.victims {
		c.Victim = append(c.Victim, fmt.Sprintf("v%d", i+1))
	}
	// Whether a file system has unnamed files is a constant of a model, and a
	// guard of OpenUnnamed and CreateLock alone. In the code one root may find out
	// while another does not try. So there are two protocols that differ in it.
	named, err := model.NewProtocol(c, model.Spec)
	if err != nil {
		return nil, err
	}
	c.TmpFile = true
	m := &machine{shape: s}
	if m.protocol, err = model.NewProtocol(c, model.Spec); err != nil {
		return nil, err
	}
	m.unnamed, m.name = m.protocol.NewStepper(), named.NewStepper()
	m.findActions()
	return m, nil
}

func (m *machine) findActions() {
	find := func(name string, args ...string) uint16 {
		a, ok := m.protocol.Find(name, args...)
		if !ok {
			panic("trace: the model has no " + name)
		}
		return a
	}
	for i, p := range m.protocol.Procs() {
		for name, table := range map[string]*[maxSlots + 1]uint16{
			"OpenUnnamed": &m.openUnnamed, "OpenLock": &m.openLock, "TakeLock": &m.takeLock, "StatName": &m.statName,
			"RemoveLock": &m.removeLock, "MakeData": &m.makeData, "StageDeletion": &m.stageDeletion, "Commit": &m.commit,
			"Return": &m.reply, "OpenDirectory": &m.openDirectory, "RemoveEntry": &m.removeEntry, "RemoveData": &m.removeData,
			"Close": &m.closes, "CallFails": &m.callFails, "Crash": &m.crash,
		} {
			table[i+1] = find(name, p)
		}
		for name, table := range map[string]*[maxSlots + 1]uint16{
			"List": &m.listing, "CreateLock": &m.createLock, "LinkLock": &m.linkLock,
		} {
			table[i+1] = find(name, p, "id")
		}
		for name, table := range map[string]*[maxSlots + 1][maxItems + 1]uint16{
			"Invoke": &m.invoke, "StageAddition": &m.stageAddition, "OpenEntry": &m.openEntry,
		} {
			for x, item := range m.protocol.Items() {
				table[i+1][x+1] = find(name, p, item)
			}
		}
	}
}

// start is the initial state. An orphan's data is there with its trees.
func (m *machine) start(orphan bool) model.State {
	s := m.protocol.Init()
	if orphan {
		s.Data, s.Used = 1<<theID, 1<<theID
		for x := range m.victims {
			s.Place[m.additions+x+1] = model.Inside(theID)
		}
	}
	return s
}
