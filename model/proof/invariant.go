package proof

// Places, as in the specification.
const (
	replyPCs      = " ok missing lost failed "
	openPCs       = " live calling " + replyPCs
	removingPCs   = " emptying inside emptied verified "
	namedPCs      = " named claimed " + openPCs + removingPCs
	beforeDataPCs = " unnamed locked created taken named upstreamNamed upstreamOpened upstreamTaken "
	heldPCs       = " locked taken " + namedPCs
)

// A Clause is a formula about one state with a name: of the invariant, or a property
// that follows from it.
type Clause struct {
	Name string
	Says string
	// Stated is for a clause that nothing else needs: it is a property.
	Stated  bool
	formula *term
}

func eachTwo(s *sort, body func(x, y *term) *term) *term {
	return forall(s, func(x *term) *term { return forall(s, func(y *term) *term { return body(x, y) }) })
}

// whoIs says of each process that is at one of the places, something holds.
func whoIs(places string, holds func(p *term) *term) *term {
	return forall(proc, func(p *term) *term { return implies(in(p, places), holds(p)) })
}

// invariant is inductive: Init implies it, and no step of our processes breaks it.
// Inductive.tla has it as TLA+, and spec/README.md says why it is true.
var invariant = []Clause{
	{Name: "WorksOnId", Says: "whoever has come past looking for an id has one", formula: and(
		whoIs("sawLock sawData sawBoth opened looking created taken"+namedPCs, func(p *term) *term { return idOf.is(p) }),
		whoIs("unnamed locked", func(p *term) *term { return or(creator.of(p), idOf.is(p)) }))},
	{Name: "HasFile", Says: "whoever is past opening has a descriptor", formula: whoIs("opened unnamed created looking"+heldPCs, func(p *term) *term { return fd.is(p) })},
	{Name: "HolderHasFile", Says: "a holder has a descriptor", formula: forall(proc, func(p *term) *term { return implies(holds.of(p), fd.is(p)) })},
	{Name: "HolderPlaces", Says: "who holds a lock is past TakeLock, and not yet past Close", formula: forall(proc, func(p *term) *term {
		return implies(holds.of(p), in(p, "closing stuck"+heldPCs))
	})},
	{Name: "CreatorPlaces", Says: "a creator never lists, opens or claims", formula: whoIs("sawLock sawData sawBoth opened looking claimed", recoverer)},
	{Name: "RecovererPlaces", Says: "a recoverer never has an open directory, nor is about to", formula: whoIs("named"+openPCs, func(p *term) *term { return creator.of(p) })},
	{Name: "InspectorPlaces", Says: "who only looks never gets to a lock, and lets go after the look", formula: forall(proc, func(p *term) *term {
		return implies(inspector.of(p), and(recoverer(p), not(holds.of(p)), in(p, "idle sawLock sawBoth looking closing")))
	})},
	{Name: "OneHolder", Says: "an inode has one holder", formula: eachTwo(proc, func(p, q *term) *term {
		return implies(and(holds.of(p), holds.of(q), equal(fd.of(p), fd.of(q))), equal(p, q))
	})},
	{Name: "PastLockHolds", Says: "whoever is past TakeLock holds the lock", formula: whoIs(heldPCs, func(p *term) *term { return holds.of(p) })},
	{Name: "InodeHasOneName", Stated: true, Says: "an inode has one name", formula: eachTwo(id, func(i, j *term) *term {
		return implies(and(lock.is(i), lock.is(j), equal(lock.of(i), lock.of(j))), equal(i, j))
	})},
	{Name: "UnnamedHasNoName", Says: "a file that was not linked yet has no name", formula: whoIs("unnamed locked", func(p *term) *term {
		return forall(id, func(i *term) *term { return not(lock.to(i, fd.of(p))) })
	})},
	{Name: "UnnamedIsPrivate", Says: "nobody else has a file open that was not linked yet", formula: whoIs("unnamed locked", func(p *term) *term {
		return forall(proc, func(q *term) *term { return implies(fd.to(q, fd.of(p)), equal(p, q)) })
	})},
	{Name: "ActingIsNamed", Says: "whoever acts on an id has the file open that the id's lock file is", formula: whoIs(namedPCs, func(p *term) *term {
		return lock.to(idOf.of(p), fd.of(p))
	})},
	{Name: "OpenHasData", Says: "an open directory is there", formula: whoIs(openPCs, func(p *term) *term { return data.of(idOf.of(p)) })},
	{Name: "CreatorUsedId", Says: "a creator's id is used", formula: forall(proc, func(p *term) *term {
		return implies(and(creator.of(p), idOf.is(p)), used.of(idOf.of(p)))
	})},
	{Name: "CreatorsApart", Says: "two creators never have one id", formula: eachTwo(proc, func(p, q *term) *term {
		return implies(and(creator.of(p), creator.of(q), idOf.is(p), idOf.is(q), equal(idOf.of(p), idOf.of(q))), equal(p, q))
	})},
	{Name: "SeenIsUsed", Says: "an id that has a lock file or data is used", formula: forall(id, func(i *term) *term {
		return implies(or(lock.is(i), data.of(i), orphan.of(i)), used.of(i))
	})},
	{Name: "NoDataBefore", Says: "an id has no data before its creator makes it", formula: whoIs("created taken named", func(p *term) *term {
		return implies(creator.of(p), not(data.of(idOf.of(p))))
	})},
	{Name: "EmptiedHasNone", Says: "who has removed the data looks at an id without data", formula: whoIs("emptied verified", func(p *term) *term { return not(data.of(idOf.of(p))) })},
	{Name: "DataHasLock", Stated: true, Says: "data has a lock file, or was an orphan from the start", formula: forall(id, func(i *term) *term {
		return implies(data.of(i), or(lock.is(i), orphan.of(i)))
	})},
	{Name: "EntryHasData", Says: "an entry lies in data that is there", formula: forall(item, func(x *term) *term {
		return implies(isAt(x, "within"), data.of(pin.of(x)))
	})},
	{Name: "ArgIsUsed", Says: "a tree is worked on in a call and in a removal only", formula: forall(proc, func(p *term) *term {
		return implies(arg.is(p), in(p, "calling inside stuck"+replyPCs))
	})},
	{Name: "ArgIsSet", Stated: true, Says: "in a call about a tree and in a removal there is a tree", formula: whoIs("calling inside", func(p *term) *term { return arg.is(p) })},
	{Name: "CallIsOnOwn", Says: "a call is about a victim, or about an addition inside one's own instance", formula: whoIs("calling", func(p *term) *term {
		return or(victim.of(arg.of(p)), and(addition.of(arg.of(p)), inside(arg.of(p), idOf.of(p))))
	})},
	{Name: "RemovalStaysInside", Says: "who removes a tree is in its own instance, and in no mount", formula: whoIs("inside", func(p *term) *term {
		return and(inside(arg.of(p), idOf.of(p)), not(mounted.of(arg.of(p))))
	})},
	{Name: "ReachableWhole", Says: "what can be reached by its path, and what is mounted, is whole", formula: forall(item, func(x *term) *term {
		return implies(or(isAt(x, "home"), mounted.of(x)), whole.of(x))
	})},
	{Name: "OpenIsWhole", Says: "what is inside an open directory is whole", formula: whoIs(openPCs, func(p *term) *term {
		return forall(item, func(x *term) *term { return implies(inside(x, idOf.of(p)), whole.of(x)) })
	})},
	{Name: "RepliesTrue", Stated: true, Says: "what a caller is told about its victim is true", formula: whoIs("ok missing", func(p *term) *term {
		return implies(and(arg.is(p), victim.of(arg.of(p))), not(isAt(arg.of(p), "home")))
	})},
	{Name: "NeverLost", Stated: true, Says: "nobody loses its own directory", formula: forall(proc, func(p *term) *term { return not(in(p, "lost")) })},
}

func live(p *term) *term { return and(creator.of(p), in(p, openPCs)) }

func acting(p *term) *term { return or(live(p), in(p, "named claimed"+removingPCs)) }

func keepsData(p *term) *term {
	return and(data.of(idOf.of(p)), forall(item, func(x *term) *term { return implies(inside(x, idOf.of(p)), whole.of(x)) }))
}

// properties are those of LockThenData.tla that are about one state, as it has them.
var properties = []Clause{
	{Name: "OneOwner", Says: "at most one process acts on an id", formula: eachTwo(proc, func(p, q *term) *term {
		return implies(and(not(equal(p, q)), acting(p), acting(q)), not(and(idOf.is(p), idOf.is(q), equal(idOf.of(p), idOf.of(q)))))
	})},
	{Name: "LiveIsLocked", Says: "a live instance has its lock file, and its owner that lock", formula: forall(proc, func(p *term) *term {
		return implies(and(live(p), ours(p)), and(isNamed(p, idOf.of(p)), holds.of(p)))
	})},
	{Name: "LockKept", Says: "a live owner keeps its lock", formula: forall(proc, func(p *term) *term { return implies(live(p), holds.of(p)) })},
	{Name: "LiveKept", Says: "a live instance keeps its data, and all of every tree in it", formula: forall(proc, func(p *term) *term {
		return implies(live(p), keepsData(p))
	})},
	{Name: "OurLiveKept", Says: "the same of our instances", formula: forall(proc, func(p *term) *term {
		return implies(and(live(p), ours(p)), keepsData(p))
	})},
	clause("ReachableWhole"), clause("RepliesTrue"), clause("NeverLost"),
	{Name: "DataHasLock", Says: "data has a lock file, if there were no orphans", formula: implies(forall(id, func(i *term) *term { return not(orphan.of(i)) }),
		forall(id, func(i *term) *term { return implies(data.of(i), lock.is(i)) }))},
}

func clause(name string) Clause {
	for _, c := range invariant {
		if c.Name == name {
			return c
		}
	}
	panic("proof: no clause " + name)
}

// stepProperties are those about a step.
var stepProperties = []Clause{
	{Name: "UnlinkedByHolder", Says: "a lock file is unlinked by the holder of its lock", formula: forall(id, func(i *term) *term {
		kept := and(lock.has.next.of(i), equal(lock.val.next.of(i), lock.of(i)))
		return or(not(lock.is(i)), kept, exists(proc, func(p *term) *term {
			return and(has(p, lock.of(i)), not(equal(pc.next.of(p), pc.of(p))))
		}))
	})},
	{Name: "LookingChangesNothing", Says: "who only looks changes neither the disk nor a lock", formula: or(
		forall(proc, func(p *term) *term { return or(not(inspector.of(p)), equal(pc.next.of(p), pc.of(p))) }),
		and(
			forall(id, func(i *term) *term {
				return and(equal(data.next.of(i), data.of(i)), equal(lock.has.next.of(i), lock.is(i)),
					or(not(lock.is(i)), equal(lock.val.next.of(i), lock.of(i))))
			}),
			forall(item, func(x *term) *term {
				return and(equal(at.next.of(x), at.of(x)), or(not(isAt(x, "within")), equal(pin.next.of(x), pin.of(x))),
					equal(whole.next.of(x), whole.of(x)), equal(some.next.of(x), some.of(x)))
			}),
			forall(proc, func(p *term) *term { return equal(holds.next.of(p), holds.of(p)) })))},
}
