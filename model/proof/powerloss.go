package proof

import (
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/model"
)

// This file is power loss for any number of processes and instances, under the three
// durability models of PowerLoss.tla.
//
// A log of operations that are not durable yet is no formula. Instead there is the disk
// as it would be found if the power were lost now, and steps that bring it nearer to what
// processes see. Whatever of the log can survive together is what such steps lead to: each
// of those operations became durable when it was made, and no other did. Where all is
// ordered one step brings all of it; where each directory is, one brings the names in the
// root; elsewhere there is one for each name, and for the files in a tree. An entry is
// durable no earlier than the directory that it is in, since a rename needs both.
//
// A tree that is one file (loose) may be found under both its names where the order is
// weak. It is at home then: the other name is nobody's concern but of the removal that
// takes it. So the fsync of an instance does not move such a tree, and nothing has to,
// since it is never found in parts.

// CONSTANTS of PowerLoss.tla; neither ordered nor perDirectory is "weak".
var (
	ordered      = constant("ordered", boolean).of()
	perDirectory = constant("perDirectory", boolean).of()
	syncsData    = constant("syncsData", boolean).of() // rule 11: "data" is in Syncs
	loose        = constant("loose", boolean, item)    // Loose: it is one file
	found        = constant("found", inode, id)        // what lock files lead to after a power loss
)

// The disk that is found.
var (
	durableLock  = variable("durableLock", boolean, id)
	durableData  = variable("durableData", boolean, id)
	durableAt    = variable("durablePlace", where, item)
	durablePin   = variable("durablePin", id, item)
	durableWhole = variable("durableWhole", boolean, item)
	durableSome  = variable("durableSome", boolean, item)
)

func weak() *term { return and(not(ordered), not(perDirectory)) }

// twice says that x can be found under both its names.
func twice(x *term) *term { return and(weak(), loose.of(x)) }

func durablyAt(x *term, name string) *term { return equal(durableAt.of(x), where.value(name)) }

// removable says that i's data directory can be durably gone: no entry is found in it.
func removable(i *term) *term {
	return or(data.of(i), forall(item, func(x *term) *term {
		return not(and(durablyAt(x, "within"), equal(durablePin.of(x), i)))
	}))
}

// everywhere is what a function of one argument becomes.
func (f *function) everywhere(value func(x *term) *term) []change {
	return f.becomes(func(x ...*term) *term { return value(x[0]) })
}

// syncs is SyncData, of the instance that p is about to remove: its entries are durable,
// hence its directory, and where the root is ordered its lock file.
func syncs() []change {
	own := idOf.of(p)
	entry := func(x *term) *term { return and(inside(x, own), not(mounted.of(x)), not(twice(x))) }
	return when(and(syncsData, not(ordered), data.of(own)),
		durableAt.everywhere(func(x *term) *term { return choose(entry(x), where.value("within"), durableAt.of(x)) }),
		durablePin.everywhere(func(x *term) *term { return choose(entry(x), own, durablePin.of(x)) }),
		durableData.set(own, yes),
		durableLock.everywhere(func(i *term) *term { return or(durableLock.of(i), and(perDirectory, equal(i, own))) }))
}

// powerLoss has what the durability models allow, and the loss itself.
func powerLoss() []*Action {
	names := join(durableLock.everywhere(lock.is), durableData.everywhere(func(i *term) *term { return data.of(i) }))
	copied := func(f *function) func(x *term) *term { return func(x *term) *term { return f.of(x) } }
	trees := join(durableAt.everywhere(copied(at)), durablePin.everywhere(copied(pin)),
		durableWhole.everywhere(copied(whole)), durableSome.everywhere(copied(some)))
	never := func(...*term) *term { return no }
	back := func(f, durable *function) []change { // nothing is mounted any more
		return f.everywhere(func(x *term) *term { return choose(mounted.of(x), f.of(x), durable.of(x)) })
	}
	return []*Action{
		action("Settle", "all", ordered, names, trees),
		action("Settle", "root", and(perDirectory, forall(id, removable)), names),
		action("Settle", "lock", weak(), durableLock.set(i, lock.is(i))),
		action("Settle", "data", and(weak(), removable(i)), durableData.set(i, data.of(i))),
		action("Settle", "place", and(not(ordered),
			or(not(isAt(x, "within")), durableData.of(pin.of(x))),
			or(not(isAt(x, "gone")), loose.of(x), not(durableSome.of(x))),
			or(not(isAt(x, "home")), durableWhole.of(x))), // callers make what they add durable before they commit it
			durableAt.set(x, at.of(x)), durablePin.set(x, pin.of(x))),
		action("Settle", "files", not(ordered), durableWhole.set(x, whole.of(x)), durableSome.set(x, some.of(x))),
		action("PowerLoss", "", yes,
			pc.everywhere(func(*term) *term { return to("idle") }),
			holds.becomes(never), fd.has.becomes(never), idOf.has.becomes(never), arg.has.becomes(never), parked.becomes(never),
			lock.has.everywhere(copied(durableLock)), lock.val.everywhere(copied(found)), data.everywhere(copied(durableData)),
			at.everywhere(func(x *term) *term { return choose(mounted.of(x), where.value("home"), durableAt.of(x)) }),
			back(pin, durablePin), back(whole, durableWhole), back(some, durableSome)),
	}
}

// ofTrees is forall of the trees that are not mounted.
func ofTrees(body func(x *term) *term) *term {
	return forall(item, func(x *term) *term { return or(mounted.of(x), body(x)) })
}

// durable are the clauses about what is found.
var durable = []Clause{
	{Name: "FoundIsUsed", Says: "an id of which something is found is used", formula: forall(id, func(i *term) *term {
		return implies(or(durableLock.of(i), durableData.of(i)), used.of(i))
	})},
	{Name: "FoundEntryHasData", Says: "an entry is found in data that is found", formula: ofTrees(func(x *term) *term {
		return implies(durablyAt(x, "within"), durableData.of(durablePin.of(x)))
	})},
	{Name: "FoundIsWhole", Says: "what is found where its path leads is whole", formula: ofTrees(func(x *term) *term {
		return implies(durablyAt(x, "home"), durableWhole.of(x))
	})},
	{Name: "TornIsMoved", Says: "a tree that has lost a file is durably moved, unless all is ordered", formula: or(ordered, ofTrees(func(x *term) *term {
		return or(whole.of(x), not(durablyAt(x, "home")))
	}))},
	{Name: "EmptyingIsMoved", Says: "every directory inside an instance that is being emptied is durably moved, unless all is ordered", formula: or(ordered, whoIs("emptying inside", func(p *term) *term {
		return ofTrees(func(x *term) *term { return implies(inside(x, idOf.of(p)), or(twice(x), not(durablyAt(x, "home")))) })
	}))},
	{Name: "FoundDataHasLock", Says: "data is found with its lock file, or was an orphan, unless the order is weak", formula: or(weak(), forall(id, func(i *term) *term {
		return implies(durableData.of(i), or(durableLock.of(i), orphan.of(i)))
	}))},
}

// ofPower is the theory of a model's durability and fsyncs.
func ofPower(m *model.Model) *Theory {
	th := PowerLosses()
	th.of, th.Name, th.Says = th.Name, m.Name, m.Purpose
	is := func(constant *term, value bool) *term { return equal(constant, boolean.value(fmt.Sprint(value))) }
	th.Hypotheses = append(Ours().Hypotheses, ownFiles(), is(ordered, m.Power.Durability == "ordered"),
		is(perDirectory, m.Power.Durability == "perDirectory"), is(syncsData, slices.Contains(m.Power.Syncs, "data")),
		forall(item, func(x *term) *term { return is(loose.of(x), m.Power.Loose) }))
	return th
}

// ownFiles says that no two names lead to one file after a power loss either.
func ownFiles() *term {
	return eachTwo(id, func(i, j *term) *term { return or(equal(i, j), not(equal(found.of(i), found.of(j)))) })
}

// PowerLosses is the theory of our processes and any number of power losses. Data without
// a lock file is what a weak order leaves: it is adopted like any other orphan.
func PowerLosses() *Theory {
	th := Ours()
	th.Name, th.Says = "powerloss", "our processes, and power losses under each of the durability models"
	th.Hypotheses = append(th.Hypotheses, ownFiles(), or(ordered, syncsData), not(and(ordered, perDirectory)))
	th.Init = append(th.Init,
		forall(id, func(i *term) *term { return and(not(durableLock.of(i)), equal(durableData.of(i), data.of(i))) }),
		forall(item, func(x *term) *term {
			return and(equal(durableAt.of(x), at.of(x)), equal(durableWhole.of(x), whole.of(x)), equal(durableSome.of(x), some.of(x)))
		}))
	file := loose.of(arg.of(p))
	for k, a := range th.Actions {
		switch a.Name + "/" + a.Arm {
		case "RemoveEntry/file":
			th.Actions[k] = action(a.Name, a.Arm, and(a.guard, not(file)), a.changes)
		case "RemoveEntry/tree":
			th.Actions[k] = action(a.Name, a.Arm, and(in(p, "inside"), or(file, not(some.of(arg.of(p))))), a.changes)
		}
		if a.Name == "OpenDirectory" {
			th.Actions[k] = action(a.Name, a.Arm, a.guard, a.changes, syncs())
		}
	}
	th.Actions = append(th.Actions, powerLoss()...)
	unlessWeak := func(clauses []Clause) []Clause {
		clauses = slices.Clone(clauses)
		for k, c := range clauses {
			if c.Name == "DataHasLock" {
				clauses[k].formula = or(weak(), c.formula)
			}
		}
		return clauses
	}
	th.Known, th.Again, th.Clauses = unlessWeak(th.Clauses), true, durable
	th.Properties, th.Steps = unlessWeak(th.Properties), nil
	return th
}
