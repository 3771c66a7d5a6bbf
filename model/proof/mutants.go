package proof

import (
	"fmt"
	"maps"
	"slices"
)

// This file is Mutants*.tla and the mutants of MCUpstream.tla: deliberate faults. Each
// has the name of the definition of the specification that it swaps in.

// memo is the number that RemembersNumber remembers; the specification has it in arg.
var memo = partly("memo", inode, proc)

var (
	own     = idOf.of(p)
	notDisk = map[string]func(*term) *term{ // for Fresh
		"NotOnDisk":  gone,
		"NoLockFile": func(i *term) *term { return not(lock.is(i)) },
	}
	statPlace = in(p, "taken emptied")
	cutOff    = in(p, "emptying inside")
)

// mutants are those of an action, by name.
func mutants(fresh func(*term) *term) map[string][]*Action {
	m := map[string][]*Action{}
	add := func(name, arm string, guard *term, changes ...[]change) {
		m[name] = append(m[name], action(name, arm, guard, changes...))
	}
	deletes := and(in(p, "calling"), victim.of(arg.of(p)))
	moves := and(data.of(own), isAt(arg.of(p), "home"))
	firstFile := join(whole.set(arg.of(p), no), some.set(arg.of(p), left))

	names := and(creator.of(p), in(p, "unnamed"), fresh(i), not(lock.is(i)))
	locks := or(and(creator.of(p), in(p, "created")), and(recoverer(p), in(p, "unnamed opened")))
	taken := choose(creator.of(p), to("named"), choose(in(p, "unnamed"), to("locked"), to("taken")))
	add("NameBeforeLock", "names", names, lock.set(i, fd.of(p)), idOf.set(p, i), used.set(i, yes), goTo("created"))
	add("NameBeforeLock", "free", and(locks, canLock(p)), takes(), goWhere(taken))
	add("NameBeforeLock", "busy", and(locks, not(canLock(p))), goTo("closing"))
	add("LeaseRunsOut", "", and(ours(p), in(p, "unnamed created opened")), takes(), goWhere(choose(in(p, "unnamed"), to("locked"), to("taken"))))

	trusts := func(who *term) *term { return or(isNamed(p, own), and(in(p, "taken"), who)) }
	add("CreatorTrustsLock", "", statPlace, recheck(trusts(creator.of(p))))
	add("RecovererTrustsLock", "", statPlace, recheck(trusts(recoverer(p))))
	add("NoLastRecheck", "", statPlace, recheck(or(isNamed(p, own), in(p, "emptied"))))
	add("NoRecheckAfterLock", "", in(p, "emptied"), recheck(isNamed(p, own)))

	add("DataBeforeLock", "data", and(in(p, "locked"), creator.of(p), not(idOf.is(p)), fresh(i), not(lock.is(i))),
		data.set(i, yes), used.set(i, yes), idOf.set(p, i))
	add("DataBeforeLock", "lock", and(in(p, "locked"), creator.of(p), idOf.to(p, i), not(lock.is(i))), lock.set(i, fd.of(p)), goTo("ok"))
	add("LinkReplaces", "", and(in(p, "locked"), choose(creator.of(p), fresh(i), idOf.to(p, i))),
		lock.set(i, fd.of(p)), idOf.set(p, i), used.set(i, yes), goWhere(owns()))
	add("AdoptsUnlocked", "creates", and(creator.of(p), in(p, "idle"), anyFresh(fresh), free(n)), fd.set(p, n), goTo("unnamed"))
	add("AdoptsUnlocked", "claims", and(recoverer(p), in(p, "sawData")), goTo("claimed"))

	add("OneNotFound", "", and(deletes, moves), putInside(arg.of(p), own), goTo("ok"))
	add("OneNotFound", "missing", and(deletes, not(moves)), goTo("missing"))
	add("MovesFileByFile", "file", and(deletes, data.of(own), some.of(arg.of(p))), firstFile)
	add("MovesFileByFile", "tree", and(deletes, data.of(own), not(some.of(arg.of(p)))), putInside(arg.of(p), own), goTo("ok"))

	add("FailureKeepsLock", "", and(creator.of(p), cutOff), goTo("stuck"))
	add("FailedCreateKeepsLock", "", in(p, "named"), goTo("stuck"))
	add("FailureUnlinks", "", and(recoverer(p), cutOff), goTo("emptied"))

	add("ErrorIsAnswer", "", deletes, goTo("missing"))
	add("UnknownIsNo", "", and(ours(p), in(p, "looking")), goTo("closing"))

	looked, number := in(p, "sawLock"), memo.of(p)
	add("RemembersNumber", "looks", and(looked, not(memo.is(p)), lock.is(own)), memo.set(p, lock.of(own)))
	add("RemembersNumber", "opens", and(looked, memo.is(p), lock.is(own)), fd.set(p, lock.of(own)), goTo("opened"))
	add("RemembersNumber", "gone", and(looked, not(lock.is(own))), goTo("closing"))
	add("RemembersNumber", "compares", and(in(p, "taken"), memo.is(p)), goWhere(choose(lock.to(own, number), to("claimed"), to("closing"))))
	add("OpenLockCreates", "opens", and(looked, lock.is(own)), fd.set(p, lock.of(own)), goTo("opened"))
	add("OpenLockCreates", "creates", and(looked, not(lock.is(own)), free(n)), lock.set(own, n), fd.set(p, n), goTo("opened"))

	opened := and(lock.is(own), not(inTable(p, own)))
	mine := func(q *term) *term {
		return and(holds.of(q), fd.is(q), parked.of(packageOf.of(p), fd.of(q)), posix(q), sameProcess(p, q))
	}
	add("ClosesParked", "", and(recovers(), oldEnough()),
		holds.becomes(func(q ...*term) *term { return and(holds.of(q[0]), not(mine(q[0]))) }),
		parked.becomes(func(k ...*term) *term { return and(parked.of(k...), not(equal(k[0], packageOf.of(p)))) }),
		when(opened, fd.set(p, lock.of(own))), goWhere(choose(opened, to("opened"), to("closing"))))
	add("InspectsYoung", "", and(inspector.of(p), in(p, "sawLock sawBoth")), opens(isParked(p, own), "looking"))
	add("ClosesAnyway", "", in(p, "looking"), goTo("closing"))
	add("InspectorCloses", "", in(p, "looking"), park(and(not(inspector.of(p)), mixedFleet, heldByUs(p, fd.of(p)))), goTo("closing"))

	add("LockFileFirst", "", startsRemoval(), lock.unset(own), emptying())
	add("MissingDataFails", "", startsRemoval(), goWhere(choose(data.of(own), to("emptying"), to("closing"))))
	add("LockInsideData", "lock", and(in(p, "inside"), lock.is(own)), lock.unset(own))
	add("LockInsideData", "file", and(in(p, "inside"), not(lock.is(own)), some.of(arg.of(p))), firstFile)
	add("LockInsideData", "tree", and(in(p, "inside"), not(lock.is(own)), not(some.of(arg.of(p)))),
		put(arg.of(p), "gone"), arg.unset(p), goTo("emptying"))
	add("UnlockThenUnlink", "unlock", and(in(p, "verified"), fd.is(p)), drops(), fd.unset(p))
	add("UnlockThenUnlink", "unlink", and(in(p, "verified"), not(fd.is(p))), lock.unset(own), goTo("closing"))

	entry := and(in(p, "emptying"), inside(x, own))
	add("CrossesMounts", "", entry, entered())
	for name, which := range map[string]*function{"FinishesCommit": addition, "PutsVictimBack": victim} {
		back := and(recoverer(p), which.of(x), whole.of(x))
		add(name, "back", and(entry, back), put(x, "home"))
		add(name, "enters", and(entry, not(back)), entered())
	}

	lists := and(recoverer(p), in(p, "idle"))
	busy := exists(proc, func(c *term) *term { return and(creator.of(c), not(in(c, "idle"))) })
	add("ListsOnChange", "", and(lists, busy, not(gone(i))), idOf.set(p, i), goWhere(choose(lock.is(i), to("sawLock"), to("sawData"))))
	add("ListsLocksOnly", "", and(lists, lock.is(i)), idOf.set(p, i), goTo("sawLock"))

	notYet := and(in(p, "upstreamNamed"), fd.is(p))
	tabled := exists(proc, func(q *term) *term {
		return and(not(equal(q, p)), shares(p, q), idOf.is(q), idOf.is(p), equal(idOf.of(q), own), fd.is(q), not(in(q, "upstreamNamed")))
	})
	add("CreatesLockOpen", "", and(upstream.of(p), creator.of(p), in(p, "idle"), fresh(i), not(lock.is(i)), free(n)),
		lock.set(i, n), fd.set(p, n), idOf.set(p, i), used.set(i, yes), goTo("upstreamNamed"))
	for name, creates := range map[string]*term{"ClosesThenOpens": yes, "RecovererCreates": recoverer(p)} {
		second := and(upstream.of(p), in(p, "upstreamNamed sawLock sawData sawBoth"), not(fd.is(p)))
		refused := or(tabled, and(not(lock.is(own)), not(creates)))
		add(name, "closes", and(upstream.of(p), notYet), drops(), fd.unset(p))
		add(name, "refused", and(second, refused), goTo("closing"))
		add(name, "opens", and(second, not(refused), lock.is(own)), fd.set(p, lock.of(own)), goTo("upstreamOpened"))
		add(name, "creates", and(second, not(refused), not(lock.is(own)), free(n)), lock.set(own, n), fd.set(p, n), goTo("upstreamOpened"))
	}
	return m
}

// swapped has all actions, with the mutants that a model swaps in. The error names
// what there is no formula for.
func swapped(swap map[string]string) ([]*Action, error) {
	fresh := fresh
	if by, ok := swap["Fresh"]; ok {
		fresh = notDisk[by]
	}
	all := slices.Concat(create(fresh), remove(), recovery(), environment(), strangers(), theirs(fresh))
	known := mutants(fresh)
	for _, slot := range slices.Sorted(maps.Keys(swap)) {
		by := swap[slot]
		switch {
		case slot == "Fresh" && fresh != nil:
			continue
		case slot == "OpenCreates": // part of ClosesThenOpens
			for _, a := range known[by] {
				a.Name = swap["UpstreamOpenLock"]
			}
			slot = "UpstreamOpenLock"
		case slot == "UpstreamOpenLock" && swap["OpenCreates"] != "":
			continue
		case slot == "CanLock": // of TakeLock, whose name the action keeps
			for _, a := range known[by] {
				a.Name = "TakeLock"
			}
			slot = "TakeLock"
		}
		if known[by] == nil {
			return nil, fmt.Errorf("no formula for %s in place of %s", by, slot)
		}
		all = slices.DeleteFunc(all, func(a *Action) bool { return a.Name == slot })
		all = append(all, known[by]...)
	}
	if swap["OpenLock"] == "RemembersNumber" {
		forgetsNumber(all)
	}
	return all, nil
}

// forgetsNumber adds, where arg changes, that the number is forgotten.
func forgetsNumber(all []*Action) {
	for _, a := range all {
		switch a.String() {
		case "Close", "OpenEntry", "RemoveEntry/tree":
			a.changes = append(a.changes, memo.unset(p)...)
		case "CallFails":
			a.changes = append(a.changes, when(in(p, "inside"), memo.unset(p))...)
		case "Crash":
			a.changes = append(a.changes, memo.has.becomes(func(q ...*term) *term { return and(memo.is(q[0]), not(sameProcess(p, q[0]))) })...)
		}
	}
}
