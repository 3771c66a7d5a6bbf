package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Class is what a fuzzer tells apart of a step: the action, the roles of its
// arguments, the places of all processes in no order, and which of a lock file,
// data, a ghost lock (a lock on a file without a name) and an orphan there are.
// Places between which there is no call are one, and so is what a process does with
// a file that has no name yet: a trace of calls shows the other ones. 0 is no class.
// Models whose processes and trees have other numbers have classes in common.
type Class uint64

// What there may be in a state, as bits of a Class.
const (
	classLockFile = 1 << iota
	classData
	classGhost
	classOrphan
)

// slotNames are the actions, by their numbers in a Class.
var slotNames = func() (names []string) {
	for _, s := range slices.Concat(next, more[MixedSpec], more[SweptSpec], more[CleanedSpec]) {
		names = append(names, s.names...)
	}
	return names
}()

// hidden are the places at which the end of a process is in no trace, by how it ends:
// nobody else will ever see its file, or what it has listed.
var hidden = map[string]pcSet{
	"CallFails": places(Unnamed, Locked),
	"Crash":     places(Unnamed, Locked, SawLock, SawData, SawBoth),
}

// Class is the class of an action that is taken in a state; 0 if no trace shows it.
func (m *Protocol) Class(s *State, action uint16) Class {
	if a := &m.table[action]; hidden[a.Slot].has(s.PC[a.p]) {
		return 0
	}
	return m.class(s, action)
}

func (m *Protocol) class(s *State, action uint16) Class {
	a := &m.table[action]
	var there, role Class
	for i := ID(1); i <= m.ids; i++ {
		switch isData := has(s.Data, i); {
		case s.Lock[i] != None && isData:
			there |= classLockFile | classData
		case s.Lock[i] != None:
			there |= classLockFile
		case isData:
			there |= classData | classOrphan
		}
	}
	for n := Inode(1); n <= m.inodes; n++ {
		if s.Holder[n] != None && !slices.Contains(s.Lock[1:], n) {
			there |= classGhost
		}
	}
	switch a.Slot {
	case "Mount", "Sweep", "TakesLockFile":
	case "Invoke", "StageAddition", "OpenEntry":
		if has(m.addition, a.i) {
			role = 4
		}
		fallthrough
	default:
		role += 2
		if m.creator(a.p) {
			role--
		}
	}
	pcs := s.PC
	for p := range pcs {
		pcs[p] = m.visible(Proc(p), pcs[p])
	}
	slices.Sort(pcs[:])
	c := Class(slices.Index(slotNames, a.Slot))<<8 | role<<4 | there
	for _, pc := range pcs {
		c = c<<5 | Class(pc)
	}
	return c
}

// visible is a place as far as calls tell it from others.
func (m *Protocol) visible(p Proc, pc PC) PC {
	switch {
	case openPCs.has(pc):
		return Live
	case places(Unnamed, Locked).has(pc) && m.creator(p):
		return Idle
	case places(Unnamed, Locked).has(pc):
		return SawData
	}
	return pc
}

// Classes are the classes of all steps of the model that a trace can show, in order,
// and how many there are besides. The error is the context's, or says that it is no
// model of the protocol.
func (m *Model) Classes(ctx context.Context) (all []Class, unseen int, err error) {
	g, err := m.Graph(ctx, Options{})
	if err != nil {
		return nil, 0, err
	}
	p, ok := g.sys.(*Protocol)
	if !ok {
		return nil, 0, fmt.Errorf("%s is no model of the protocol", m.Name)
	}
	shown := make(map[Class]bool) // false: by no step yet
	for i := range g.States() {
		s, _ := g.State(i)
		for _, e := range g.Out(i) {
			c := p.class(&s, e.Action)
			shown[c] = shown[c] || p.Class(&s, e.Action) != 0
		}
	}
	for c, is := range shown {
		if is {
			all = append(all, c)
		} else {
			unseen++
		}
	}
	slices.Sort(all)
	return all, unseen, nil
}

// String is the class in words.
func (c Class) String() string {
	var pcs []string
	for range maxProcs + 1 {
		if pc := PC(c & 31); pc != Idle {
			pcs = append(pcs, PCName(pc))
		}
		c >>= 5
	}
	var there []string
	for i, name := range []string{"lock file", "data", "ghost lock", "orphan"} {
		if c>>i&1 != 0 {
			there = append(there, name)
		}
	}
	role := [...]string{"", "creator", "recoverer", "", "", "creator,addition", "recoverer,addition", ""}[c>>4&7]
	return fmt.Sprintf("%s(%s), processes [%s], on disk [%s]", slotNames[c>>8], role, strings.Join(pcs, " "), strings.Join(there, ", "))
}
