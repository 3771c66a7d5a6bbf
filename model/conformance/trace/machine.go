package trace

import (
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/model"
)

// A shape is the model that a partition needs.
type shape struct{ creators, additions, victims, files int }

// A machine is the model of one shape: one id, processes in four slots.
type machine struct {
	shape
	protocol      *model.Protocol
	unnamed, name *model.Stepper // with unnamed files, and without

	actions map[string]*[maxSlots + 1][maxItems + 1]uint16 // by name, slot and tree; tree 0: none
}

// on is the index of an action of the process in a slot, on a tree if it is on one.
func (m *machine) on(action string, slot, tree uint8) uint16 { return m.actions[action][slot][tree] }

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
	m := &machine{shape: s, actions: map[string]*[maxSlots + 1][maxItems + 1]uint16{}}
	if m.protocol, err = model.NewProtocol(c, model.Spec); err != nil {
		return nil, err
	}
	m.unnamed, m.name = m.protocol.NewStepper(), named.NewStepper()
	for i, a := range m.protocol.Actions() {
		at := m.actions[a.Name]
		if at == nil {
			at = &[maxSlots + 1][maxItems + 1]uint16{}
			m.actions[a.Name] = at
		}
		slot := slices.Index(m.protocol.Procs(), a.Args[0]) + 1
		tree := slices.Index(m.protocol.Items(), a.Args[len(a.Args)-1]) + 1
		at[slot][tree] = uint16(i)
	}
	return m, nil
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
