package proof

import "slices"

// This file is Create.tla, Remove.tla, Recover.tla and LockThenData.tla: one
// function each, in their order. An action of the specification whose branches
// differ much is several here, its arms.

// An Action is an action of the specification, or an arm of it.
type Action struct {
	Name string
	Arm  string // which branch; "" if there is one
	// The formula is guard and the changes; what is not changed stays.
	guard   *term
	changes []change
}

// String is the action with its arm: List/sawData.
func (a *Action) String() string {
	if a.Arm == "" {
		return a.Name
	}
	return a.Name + "/" + a.Arm
}

func action(name, arm string, guard *term, changes ...[]change) *Action {
	a := &Action{Name: name, Arm: arm, guard: guard, changes: join(changes...)}
	for k, c := range a.changes { // the printer would take the first, and the evaluator the last
		if slices.ContainsFunc(a.changes[:k], func(d change) bool { return d.function == c.function }) {
			panic("proof: " + a.String() + " changes " + c.function.name + " twice")
		}
	}
	return a
}

// Definitions of Create.tla.

func fresh(i *term) *term { return not(used.of(i)) }

func anyFresh(fresh func(*term) *term) *term { return exists(id, fresh) }

func tooYoung(i *term) *term {
	return and(mixedFleet, exists(proc, func(q *term) *term {
		mayBe := choose(lock.is(i), in(q, beforeDataPCs), upstream.of(q))
		return and(creator.of(q), idOf.to(q, i), mayBe)
	}))
}

func youngData(i *term) *term {
	return or(tooYoung(i), and(orphanGrace, exists(proc, func(q *term) *term { return and(creator.of(q), idOf.to(q, i)) })))
}

func looks(p *term) *term {
	return and(ours(p), mixedFleet, exists(proc, func(q *term) *term { return and(upstream.of(q), sameProcess(p, q)) }))
}

func letGo() *term { return choose(looks(p), to("looking"), to("closing")) }

// Actions that have a function of their own are shared with a mutant.

func openUnnamed(fresh func(*term) *term) *Action {
	return action("OpenUnnamed", "", and(ours(p), tmpFile, or(
		and(creator.of(p), in(p, "idle"), anyFresh(fresh)),
		and(recoverer(p), in(p, "sawData"), not(youngData(idOf.of(p))))), free(n)),
		fd.set(p, n), goTo("unnamed"))
}

func linkLock(fresh func(*term) *term) *Action {
	return action("LinkLock", "", and(ours(p), in(p, "locked"), not(lock.is(i)),
		choose(creator.of(p), fresh(i), idOf.to(p, i))),
		lock.set(i, fd.of(p)), idOf.set(p, i), used.set(i, yes),
		goWhere(choose(creator.of(p), to("named"), to("claimed"))))
}

// createLock is CreateLock for whoever may have i.
func createLock(may *term) *term { return and(ours(p), not(tmpFile), may) }

func creates(fresh func(*term) *term) *term {
	return and(creator.of(p), in(p, "idle"), fresh(i), not(lock.is(i)))
}

func adopts() *term {
	return and(recoverer(p), in(p, "sawData"), not(youngData(idOf.of(p))), idOf.to(p, i))
}

// create has the actions of Create.tla, with the meaning of Fresh.
func create(fresh func(*term) *term) []*Action {
	tries := and(ours(p), in(p, "unnamed created opened"))
	deletes := and(in(p, "calling"), victim.of(arg.of(p)))
	atHome := isAt(arg.of(p), "home")
	ownData := data.of(idOf.of(p))
	return []*Action{
		openUnnamed(fresh),
		action("TakeLock", "free", and(tries, canLock(p)),
			takes(), goWhere(choose(in(p, "unnamed"), to("locked"), to("taken")))),
		action("TakeLock", "busy", and(tries, not(canLock(p))), goWhere(letGo())),
		linkLock(fresh),
		action("LinkLock", "exists", and(ours(p), in(p, "locked"), recoverer(p), idOf.to(p, i), lock.is(i)),
			used.set(i, yes), goTo("closing")),
		action("CreateLock", "", and(createLock(or(creates(fresh), adopts())), not(lock.is(i)), free(n)),
			lock.set(i, n), fd.set(p, n), idOf.set(p, i), used.set(i, yes), goTo("created")),
		action("CreateLock", "exists", and(createLock(adopts()), lock.is(i)),
			used.set(i, yes), goTo("closing")),
		action("MakeData", "", and(in(p, "named"), not(and(ownData, ours(p)))),
			data.set(idOf.of(p), yes), goTo("ok")),
		action("MakeData", "exists", and(in(p, "named"), ownData, ours(p)), goTo("emptied")),
		action("Invoke", "", and(in(p, "live"), or(
			and(victim.of(x), isAt(x, "home")),
			and(addition.of(x), inside(x, idOf.of(p))))),
			arg.set(p, x), goTo("calling")),
		action("StageDeletion", "", and(deletes, ownData, atHome),
			putInside(arg.of(p), idOf.of(p)), goTo("ok")),
		action("StageDeletion", "missing", and(deletes, not(and(ownData, atHome))),
			goWhere(choose(ownData, to("missing"), to("lost")))),
		action("StageAddition", "", and(in(p, "live"), ownData, addition.of(x), isAt(x, "absent")),
			putInside(x, idOf.of(p)), whole.set(x, yes), some.set(x, yes)),
		action("Commit", "", and(in(p, "calling"), addition.of(arg.of(p)), inside(arg.of(p), idOf.of(p))),
			put(arg.of(p), "home"), goTo("ok")),
		action("Commit", "lost", and(in(p, "calling"), addition.of(arg.of(p)), not(inside(arg.of(p), idOf.of(p)))),
			goTo("lost")),
		action("Return", "", in(p, "ok missing lost failed"), arg.unset(p), goTo("live")),
	}
}

func startsRemoval() *term {
	return or(and(creator.of(p), in(p, "live")), and(recoverer(p), in(p, "claimed")))
}

func emptying() []change {
	return goWhere(choose(data.of(idOf.of(p)), to("emptying"), to("emptied")))
}

// recheck is where StatName leads, if the name is taken for one's own, or not.
func recheck(taken *term) []change {
	return goWhere(choose(taken, choose(in(p, "emptied"), to("verified"), owns()), to("closing")))
}

func owns() *term { return choose(creator.of(p), to("named"), to("claimed")) }

// parks keeps p's descriptor open in its copy of the package.
func parks() []change {
	return parked.becomes(func(k ...*term) *term {
		return or(parked.of(k...), and(equal(k[0], packageOf.of(p)), equal(k[1], fd.of(p))))
	})
}

func park(condition *term) []change { return when(condition, parks(), fd.unset(p)) }

func entered() []change { return join(arg.set(p, x), goTo("inside")) }

// remove has the actions of Remove.tla.
func remove() []*Action {
	own := idOf.of(p)
	return []*Action{
		action("OpenDirectory", "", startsRemoval(), emptying()),
		action("OpenEntry", "", and(in(p, "emptying"), inside(x, own), not(mounted.of(x))), entered()),
		action("OpenEntry", "mount", and(in(p, "emptying"), inside(x, own), mounted.of(x)), goTo("closing")),
		action("RemoveEntry", "file", and(in(p, "inside"), some.of(arg.of(p))),
			whole.set(arg.of(p), no), some.set(arg.of(p), left)),
		action("RemoveEntry", "tree", and(in(p, "inside"), not(some.of(arg.of(p)))),
			when(inside(arg.of(p), own), put(arg.of(p), "gone")), arg.unset(p), goTo("emptying")),
		action("RemoveData", "", and(or(in(p, "emptying"), and(creator.of(p), in(p, "live"), ours(p))), noEntries(own)),
			data.set(own, no), goTo("emptied")),
		action("StatName", "", and(ours(p), in(p, "taken emptied")), recheck(isNamed(p, own))),
		action("RemoveLock", "", and(ours(p), in(p, "verified")), lock.unset(own), goTo("closing")),
		action("Release", "", and(mayRelease, ours(p), creator.of(p), in(p, "live")), goTo("closing")),
		action("LockHolder", "", in(p, "looking"), park(and(mixedFleet, heldByUs(p, fd.of(p)))), goTo("closing")),
		action("Close", "", in(p, "closing"),
			drops(), fd.unset(p), idOf.unset(p), arg.unset(p), goTo("idle")),
	}
}

// Definitions of Recover.tla.

func inTable(p, i *term) *term {
	return and(posix(p), or(hasTable, upstream.of(p)), exists(proc, func(q *term) *term {
		return and(not(equal(q, p)), shares(p, q), equal(rootName.of(p), rootName.of(q)), idOf.to(q, i), fd.is(q))
	}))
}

func isParked(p, i *term) *term {
	return and(lock.is(i), parked.of(packageOf.of(p), lock.of(i)), heldByUs(p, lock.of(i)))
}

func stillParked() []change {
	return parked.becomes(func(k ...*term) *term {
		return and(parked.of(k...), or(not(equal(k[0], packageOf.of(p))),
			exists(proc, func(q *term) *term { return has(q, k[1]) })))
	})
}

// opens is what OpenLock and OpenToInspect do.
func opens(refused *term, opened string) []change {
	open := and(lock.is(idOf.of(p)), not(refused))
	return join(when(open, fd.set(p, lock.of(idOf.of(p)))), goWhere(choose(open, to(opened), to("closing"))), stillParked())
}

func oldEnough() *term { return or(not(in(p, "sawLock")), not(tooYoung(idOf.of(p)))) }

func recovers() *term { return and(ours(p), not(inspector.of(p)), in(p, "sawLock sawBoth")) }

// recovery has the actions of Recover.tla.
func recovery() []*Action {
	lists := and(recoverer(p), in(p, "idle"))
	own := idOf.of(p)
	return []*Action{
		action("List", "sawLock", and(lists, not(gone(i))), idOf.set(p, i), goTo("sawLock")),
		action("List", "sawData", and(lists, data.of(i), not(inspector.of(p))), idOf.set(p, i), goTo("sawData")),
		action("List", "sawBoth", and(lists, data.of(i), mixedFleet), idOf.set(p, i), goTo("sawBoth")),
		action("OpenLock", "", and(recovers(), oldEnough()), opens(or(inTable(p, own), isParked(p, own)), "opened")),
		action("OpenToInspect", "", and(inspector.of(p), in(p, "sawLock sawBoth"), oldEnough()), opens(isParked(p, own), "looking")),
		action("SkipYoung", "", or(and(in(p, "sawLock"), tooYoung(own)), and(in(p, "sawData"), youngData(own))), goTo("closing")),
	}
}

// environment has CallFails, Crash and Mount of LockThenData.tla.
func environment() []*Action {
	dies := func(q *term) *term { return sameProcess(p, q) }
	after := choose(in(p, "created opened"), letGo(),
		choose(in(p, "calling"), to("failed"), choose(in(p, "named"), to("emptied"), to("closing"))))
	survives := func(f *function) []change {
		return f.becomes(func(q ...*term) *term { return and(f.of(q[0]), not(dies(q[0]))) })
	}
	return []*Action{
		action("CallFails", "", and(ours(p), or(startsRemoval(),
			in(p, "unnamed locked created taken named opened calling emptying inside emptied verified looking"))),
			park(and(in(p, "looking"), mixedFleet)), when(in(p, "inside"), arg.unset(p)), goWhere(after)),
		action("Crash", "", exists(proc, func(q *term) *term { return and(dies(q), not(in(q, "idle"))) }),
			survives(holds), survives(fd.has), survives(idOf.has), survives(arg.has),
			parked.becomes(func(k ...*term) *term {
				return and(parked.of(k...), not(exists(proc, func(q *term) *term { return and(dies(q), looks(q)) })))
			}),
			pc.becomes(func(q ...*term) *term { return choose(dies(q[0]), to("idle"), pc.of(q[0])) })),
		action("Mount", "", and(mounted.of(x), isAt(x, "home"), data.of(i)), putInside(x, i)),
		action("Mount", "away", and(mounted.of(x), isAt(x, "within")), put(x, "home")),
	}
}

// strangers has Sweep and TakesLockFile of MC.tla.
func strangers() []*Action {
	return []*Action{
		action("Sweep", "", and(data.of(i), noEntries(i)), data.set(i, no)),
		action("TakesLockFile", "", lock.is(i), lock.unset(i)),
	}
}

// theirs has the actions of Upstream.tla, with the meaning of Fresh.
func theirs(fresh func(*term) *term) []*Action {
	own := idOf.of(p)
	byName := and(upstream.of(p), in(p, "upstreamNamed sawLock sawData sawBoth"))
	return []*Action{
		action("UpstreamCreateLock", "", and(upstream.of(p), creator.of(p), in(p, "idle"), fresh(i), not(lock.is(i)), free(n)),
			lock.set(i, n), idOf.set(p, i), used.set(i, yes), goTo("upstreamNamed")),
		action("UpstreamOpenLock", "refused", and(byName, inTable(p, own)), goTo("closing")),
		action("UpstreamOpenLock", "", and(byName, not(inTable(p, own)), lock.is(own)),
			fd.set(p, lock.of(own)), goTo("upstreamOpened")),
		action("UpstreamOpenLock", "creates", and(byName, not(inTable(p, own)), not(lock.is(own)), free(n)),
			lock.set(own, n), fd.set(p, n), goTo("upstreamOpened")),
		action("UpstreamTakeLock", "free", and(in(p, "upstreamOpened"), canLock(p)),
			takes(), goWhere(choose(repaired.of(p), to("upstreamTaken"), owns()))),
		action("UpstreamTakeLock", "busy", and(in(p, "upstreamOpened"), not(canLock(p))), goTo("closing")),
		action("UpstreamStatName", "", in(p, "upstreamTaken"), goWhere(choose(isNamed(p, own), owns(), to("closing")))),
		action("UpstreamRemoveLock", "", and(upstream.of(p), in(p, "emptied")), lock.unset(own), goTo("closing")),
		action("UpstreamCallFails", "", and(upstream.of(p), in(p, "calling upstreamOpened named emptying inside")),
			goWhere(choose(in(p, "calling"), to("failed"), choose(in(p, "upstreamOpened"), to("closing"),
				choose(creator.of(p), to("stuck"), to("emptied")))))),
	}
}

// initial is Init.
func initial() []*term {
	return []*term{
		forall(proc, func(p *term) *term {
			return and(in(p, "idle"), not(idOf.is(p)), not(fd.is(p)), not(arg.is(p)), not(holds.of(p)))
		}),
		forall(id, func(i *term) *term {
			return and(not(lock.is(i)), equal(data.of(i), orphan.of(i)), equal(used.of(i), orphan.of(i)))
		}),
		forall(item, func(x *term) *term {
			here := not(addition.of(x))
			return and(equal(at.of(x), choose(here, where.value("home"), where.value("absent"))), equal(whole.of(x), here), equal(some.of(x), here))
		}),
		forall(inode, func(n *term) *term {
			return forall(copies, func(k *term) *term { return not(parked.of(k, n)) })
		}),
	}
}
