package proof

import "slices"

// This file has the theories of mixed fleets: our processes beside upstream's.

// beside are the actions of MixedNext.
func beside() []*Action { return append(Actions(), theirs(fresh)...) }

// Places of upstream's code alone.
const (
	theirLockPCs = " upstreamOpened upstreamTaken "
	theirPCs     = " upstreamNamed stuck " + theirLockPCs
)

// Clauses that are about upstream's processes, or because of them.
var (
	holderPlaces = Clause{Name: "HolderPlaces", Says: "who holds a lock is past taking it, and not yet past Close",
		formula: forall(proc, func(p *term) *term {
			return implies(holds.of(p), in(p, "closing stuck upstreamTaken"+heldPCs))
		})}
	theirPlaces = Clause{Name: "TheirPlaces",
		Says: "who is at upstream's places is upstream's, has an id and, past opening, a descriptor; only a creator makes a lock file",
		formula: and(
			whoIs(theirPCs, func(p *term) *term { return and(upstream.of(p), idOf.is(p)) }),
			whoIs("stuck"+theirLockPCs, func(p *term) *term { return fd.is(p) }),
			whoIs("upstreamNamed", func(p *term) *term { return creator.of(p) }))}
	creatorPlaces = Clause{Name: "CreatorPlaces", Says: "a creator never lists, opens or claims",
		formula: whoIs("sawLock sawData sawBoth opened claimed", recoverer)}
	noFileBefore = Clause{Name: "NoFileBefore", Says: "who has not opened a file yet has no descriptor",
		formula: whoIs("idle sawLock sawData sawBoth", func(p *term) *term { return not(fd.is(p)) })}
	idIsUsed = Clause{Name: "IdIsUsed", Says: "whatever id somebody works on is used", formula: forall(proc, func(p *term) *term {
		return implies(idOf.is(p), used.of(idOf.of(p)))
	})}
	openedByName = Clause{Name: "OpenedByName", Says: "who has a file open that has a name works on that id", formula: forall(proc, func(p *term) *term {
		return forall(id, func(i *term) *term { return implies(and(fd.is(p), lock.to(i, fd.of(p))), idOf.to(p, i)) })
	})}
	eachOwnFile = Clause{Name: "EachOwnFile", Says: "a file is open once in a process whose locks are POSIX locks", formula: eachTwo(proc, func(p, q *term) *term {
		return implies(and(fd.is(p), fd.to(q, fd.of(p)), shares(p, q)), equal(p, q))
	})}
	theirNoDataBefore = Clause{Name: "TheirNoDataBefore", Says: "an upstream creator's id has no data before it makes it",
		formula: whoIs("upstreamNamed"+theirLockPCs, func(p *term) *term {
			return implies(creator.of(p), not(data.of(idOf.of(p))))
		})}
	argIsUsed = Clause{Name: "ArgIsUsed", Says: "a tree is worked on in a call and in a removal only, or was by upstream's, whose call failed",
		formula: forall(proc, func(p *term) *term {
			return implies(arg.is(p), or(in(p, "calling inside stuck"+replyPCs), and(upstream.of(p), in(p, "emptied closing"))))
		})}
	theyHold = Clause{Name: "TheyHold", Says: "whoever is past taking it in upstream's code holds the lock",
		formula: whoIs("upstreamTaken", func(p *term) *term { return holds.of(p) })}
)

// with replaces clauses of the invariant that have the name of one of these, and adds
// the others.
func with(clauses ...Clause) []Clause {
	all := slices.Clone(invariant)
	for _, c := range clauses {
		if k := slices.IndexFunc(all, func(o Clause) bool { return o.Name == c.Name }); k >= 0 {
			all[k] = c
			continue
		}
		all = append(all, c)
	}
	return all
}

// without leaves clauses out.
func without(clauses []Clause, names ...string) []Clause {
	return slices.DeleteFunc(slices.Clone(clauses), func(c Clause) bool { return slices.Contains(names, c.Name) })
}

// withTheirs is the invariant where upstream's processes are, too, with these clauses.
func withTheirs(clauses ...Clause) []Clause {
	theirs := []Clause{creatorPlaces, holderPlaces, theirPlaces, noFileBefore, openedByName, idIsUsed}
	return without(with(append(theirs, clauses...)...), "CreatorUsedId") // IdIsUsed says more
}

// TheirOwners is the theory of any owners beside our recoverers, with rules 13 and 15.
// Youth is its assumption, as in the specification: a name is young while an upstream
// creator has its id.
func TheirOwners() *Theory {
	return &Theory{
		Name: "upstream-owners", Says: "any owners beside our recoverers, with rules 13 and 15",
		Hypotheses: append(slices.Clone(assumptions), not(posixLocks), mixedFleet,
			forall(proc, func(p *term) *term { return implies(upstream.of(p), creator.of(p)) })),
		Init: initial(), Actions: beside(), Properties: properties, Steps: stepProperties,
		Never: []string{"MakeData/exists", "Commit/lost", "UpstreamOpenLock/refused", "UpstreamOpenLock/creates", "UpstreamTakeLock/busy"},
		Clauses: withTheirs(theyHold, theirNoDataBefore,
			Clause{Name: "TheirNameStays", Says: "an upstream creator's lock file keeps its name until its owner removes it", formula: and(
				whoIs("upstreamNamed", func(p *term) *term { return lock.is(idOf.of(p)) }),
				whoIs(theirLockPCs, func(p *term) *term { return lock.to(idOf.of(p), fd.of(p)) }))},
			Clause{Name: "YoungUntouched", Says: "nobody opens the lock file of an upstream creator that has no data yet (rule 13)",
				formula: eachTwo(proc, func(p, q *term) *term {
					young := and(upstream.of(p), in(p, "named upstreamNamed"+theirLockPCs))
					return implies(and(young, idOf.is(q), equal(idOf.of(p), idOf.of(q))),
						or(equal(p, q), in(q, "sawLock"), and(in(q, "closing"), not(fd.is(q)))))
				})},
			Clause{Name: "ClosesNoLock", Says: "nobody is about to close a file on which another goroutine of its process has a POSIX lock (rule 15)",
				formula: eachTwo(proc, func(p, q *term) *term {
					return implies(and(in(p, "closing"), fd.is(p), has(q, fd.of(p)), posix(q), sameProcess(p, q)), equal(p, q))
				})}),
	}
}

// apart says that no process has upstream's code and ours, oneName that each of
// upstream's knows the root by one name.
var (
	apart = eachTwo(proc, func(p, q *term) *term {
		return implies(and(upstream.of(p), sameProcess(p, q)), upstream.of(q))
	})
	oneName = eachTwo(proc, func(p, q *term) *term {
		return implies(and(upstream.of(p), upstream.of(q), sameProcess(p, q)), equal(rootName.of(p), rootName.of(q)))
	})
)

// Repaired is the theory of any processes, if upstream's have the recheck that they lack
// on both sides: a patch of docs/UPSTREAM.md.
func Repaired() *Theory {
	return &Theory{
		Name: "repaired", Says: "our processes beside upstream's, if those recheck on both sides",
		Hypotheses: append(slices.Clone(assumptions), not(posixLocks), apart, oneName,
			forall(proc, func(p *term) *term { return implies(upstream.of(p), repaired.of(p)) })),
		Init: initial(), Actions: beside(), Properties: without(properties, "DataHasLock"), Steps: stepProperties,
		Never:   []string{"MakeData/exists", "Commit/lost"},
		Clauses: without(withTheirs(theyHold, eachOwnFile, theirNoDataBefore, argIsUsed), "EmptiedHasNone", "DataHasLock"),
	}
}

// OurOwners is the theory of our owners beside any processes of upstream, whatever those
// do to each other. Where there are no unnamed files, a process that has the code of both
// sides follows rule 13.
func OurOwners() *Theory {
	ourCreator := func(p *term) *term { return and(ours(p), creator.of(p)) }
	whoOfOurs := func(places string, holds func(p *term) *term) *term {
		return whoIs(places, func(p *term) *term { return implies(ours(p), holds(p)) })
	}
	theirCreators := exists(proc, func(p *term) *term { return and(upstream.of(p), creator.of(p)) })
	// named says that p is our creator, and its lock file has its name.
	named := func(p *term) *term { return and(ourCreator(p), idOf.is(p), isNamed(p, idOf.of(p))) }
	sameID := func(p, q *term) *term { return and(idOf.is(p), idOf.is(q), equal(idOf.of(p), idOf.of(q))) }
	return &Theory{
		Name: "our-owners", Says: "our owners beside any processes of upstream",
		Hypotheses: append(slices.Clone(assumptions), not(posixLocks), or(tmpFile, and(oneName, or(apart, mixedFleet)))),
		Init:       initial(), Actions: beside(), Never: []string{"MakeData/exists"},
		Properties: []Clause{property("LiveIsLocked"), property("OurLiveKept"), property("RepliesTrue"),
			{Name: "LiveKept", Says: "the same of any instance, if upstream's processes only recover", formula: or(theirCreators, property("LiveKept").formula)}},
		Clauses: without(withTheirs(argIsUsed, theirNoDataBefore,
			Clause{Name: "PastLockHolds", Says: "whoever of ours is past TakeLock holds the lock",
				formula: whoOfOurs(heldPCs, func(p *term) *term { return holds.of(p) })},
			Clause{Name: "ActingIsNamed", Says: "whoever of our creators acts on an id has the file open that the id's lock file is",
				formula: whoOfOurs(namedPCs, func(p *term) *term {
					return implies(creator.of(p), lock.to(idOf.of(p), fd.of(p)))
				})},
			Clause{Name: "OneFile", Says: "whoever else has opened the lock file of our creator, while it has its name, has that file",
				formula: eachTwo(proc, func(p, q *term) *term {
					return implies(and(named(p), sameID(p, q), in(q, "created opened looking taken"+theirLockPCs+namedPCs)), fd.to(q, fd.of(p)))
				})},
			Clause{Name: "OursAlone", Says: "nobody else acts on an id on which our creator acts", formula: eachTwo(proc, func(p, q *term) *term {
				return implies(and(named(p), in(p, namedPCs), sameID(p, q), in(q, "upstreamTaken"+namedPCs)), equal(p, q))
			})},
			Clause{Name: "TheirOwnFile", Says: "without unnamed files, a process of upstream has a file open once", formula: or(tmpFile, eachOwnFile.formula)},
			Clause{Name: "TheyHoldBeside", Says: "whoever is past taking the lock of a file that our creator made by its name holds it, while that creator is still to look",
				formula: eachTwo(proc, func(p, q *term) *term {
					return implies(and(named(p), in(p, "created taken"), sameID(p, q), in(q, "upstreamTaken"+namedPCs)), holds.of(q))
				})},
			Clause{Name: "OurYoungUntouched", Says: "nobody else of ours opens a file that our creator made by its name, while that creator is still to look, if rule 13 is followed",
				formula: or(not(mixedFleet), eachTwo(proc, func(p, q *term) *term {
					return implies(and(ourCreator(p), in(p, "created taken"), ours(q), sameID(p, q)),
						or(equal(p, q), in(q, "sawLock"), and(in(q, "closing"), not(fd.is(q)))))
				}))},
			Clause{Name: "Fallback", Says: "our creators make lock files by name only where they have to", formula: whoIs("created taken", func(p *term) *term {
				return or(recoverer(p), not(tmpFile))
			})},
			Clause{Name: "OpenHasData", Says: "an open directory of ours is there", formula: whoOfOurs(openPCs, func(p *term) *term { return data.of(idOf.of(p)) })},
			Clause{Name: "CallIsOnOwn", Says: "a call to us is about a victim, or about an addition inside one's own instance",
				formula: whoOfOurs("calling", func(p *term) *term {
					return or(victim.of(arg.of(p)), and(addition.of(arg.of(p)), inside(arg.of(p), idOf.of(p))))
				})},
			Clause{Name: "RemovalStaysInside", Says: "what somebody removes is in its own instance, or gone, or was committed by an upstream owner", formula: and(
				whoIs("inside", func(p *term) *term {
					x := arg.of(p)
					return and(not(mounted.of(x)), or(inside(x, idOf.of(p)), isAt(x, "gone"), and(addition.of(x), isAt(x, "home"))))
				}),
				or(theirCreators, whoIs("inside", func(p *term) *term { return not(isAt(arg.of(p), "home")) })))},
			Clause{Name: "ReachableWhole",
				Says: "a victim that can be reached by its path, and what is mounted, is whole; so is what was committed, if upstream has no owners",
				formula: and(
					forall(item, func(x *term) *term {
						return implies(or(and(isAt(x, "home"), victim.of(x)), mounted.of(x)), whole.of(x))
					}),
					or(theirCreators, forall(item, func(x *term) *term { return implies(isAt(x, "home"), whole.of(x)) })))},
			Clause{Name: "OpenIsWhole", Says: "what is inside an open directory of ours is whole", formula: whoOfOurs(openPCs, func(p *term) *term {
				return forall(item, func(x *term) *term { return implies(inside(x, idOf.of(p)), whole.of(x)) })
			})},
			Clause{Name: "NeverLost", Stated: true, Says: "nobody of ours loses its own directory",
				formula: forall(proc, func(p *term) *term { return implies(ours(p), not(in(p, "lost"))) })}),
			"InspectorPlaces", "EmptiedHasNone", "DataHasLock"),
	}
}

func property(name string) Clause {
	return properties[slices.IndexFunc(properties, func(c Clause) bool { return c.Name == name })]
}
