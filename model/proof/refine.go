package proof

// This file is TempDir.tla, and the refinement of LockThenData.tla: under its mapping
// each step of the protocol is a step of TempDir.tla, or one that callers do not see.
//
// OwnerOf is a relation here, since no function leads from trees to processes: that it
// has one value is the property OwnerIsOne.

// The values of item and does in TempDir.tla. A reply is a place, and idle is None.
var (
	itemSort = newSort("Tree", "item.absent", "item.live", "item.staged", "item.gone", "item.torn")
	doesSort = newSort("Operation", "op.None", "op.create", "op.delete", "op.commit", "op.close", "op.recover")
)

const (
	createPCs = " unnamed locked created taken named "
	removePCs = " emptying inside emptied verified looking closing "
)

// A view is the variables of TempDir.tla at each of their arguments.
type view struct {
	item              func(x *term) *term
	owns              func(q, x *term) *term // owner[x] = q
	does, reply, open func(q *term) *term
	hasArg, arg       func(q *term) *term
}

// callersSee is the substitution of TD, the instance of TempDir.tla.
var callersSee = view{
	item: func(x *term) *term {
		value := func(home, within string) *term {
			return choose(isAt(x, "home"), itemSort.value(home), choose(isAt(x, "within"), itemSort.value(within),
				choose(isAt(x, "gone"), itemSort.value("item.gone"), itemSort.value("item.absent"))))
		}
		return choose(whole.of(x), value("item.live", "item.staged"), value("item.torn", "item.gone"))
	},
	owns: func(q, x *term) *term {
		return and(isAt(x, "within"), whole.of(x), creator.of(q), idOf.to(q, pin.of(x)))
	},
	does: func(q *term) *term {
		op := func(name string) *term { return doesSort.value("op." + name) }
		call := choose(not(arg.is(q)), op("create"), choose(victim.of(arg.of(q)), op("delete"), op("commit")))
		return choose(recoverer(q), choose(in(q, "idle"), op("None"), op("recover")),
			choose(in(q, createPCs), op("create"), choose(in(q, removePCs), op("close"), choose(in(q, "calling"+replyPCs), call, op("None")))))
	},
	reply:  func(q *term) *term { return choose(in(q, replyPCs), pc.of(q), to("idle")) },
	open:   func(q *term) *term { return and(creator.of(q), in(q, openPCs)) },
	hasArg: func(q *term) *term { return and(creator.of(q), in(q, "calling"+replyPCs), arg.is(q)) },
	arg:    arg.of,
}

// A seen is an action of TempDir.tla: its guard, and what the variables are after it.
type seen struct {
	name  string
	guard *term
	then  view
}

// changedAt is a function that is changed at one argument.
func changedAt(f func(*term) *term, y, value *term) func(*term) *term {
	return func(x *term) *term { return choose(equal(x, y), value, f(x)) }
}

// whatCallersSee are the actions of TempDir.tla of process p, about the tree that p has
// invoked something on, or x.
func whatCallersSee() []seen {
	v := callersSee
	does := func(name string) *term { return equal(v.does(p), doesSort.value("op."+name)) }
	is := func(x *term, name string) *term { return equal(v.item(x), itemSort.value("item."+name)) }
	noReply := equal(v.reply(p), to("idle"))
	invoke := func(op string, may, x *term) seen {
		s := seen{"Invoke(" + op + ")", and(does("None"), may), v}
		s.then.does = changedAt(v.does, p, doesSort.value("op."+op))
		if x != nil {
			s.then.hasArg, s.then.arg = changedAt(v.hasArg, p, yes), changedAt(v.arg, p, x)
		}
		if op == "close" {
			s.then.open = changedAt(v.open, p, no)
		}
		return s
	}
	// moves is an effect on a tree: what it becomes, and whether p owns it then or nobody.
	moves := func(s seen, x *term, item string, owned *term) seen {
		s.then.item = changedAt(v.item, x, itemSort.value("item."+item))
		s.then.owns = func(q, y *term) *term { return choose(equal(y, x), and(owned, equal(q, p)), v.owns(q, y)) }
		return s
	}
	done := func(name, result string, guard *term) seen {
		s := seen{name, and(guard, noReply), v}
		s.then.reply = changedAt(v.reply, p, to(result))
		return s
	}
	cleansUp := seen{"Fail", and(does("create"), noReply), v}
	cleansUp.then.does = changedAt(v.does, p, doesSort.value("op.close"))

	own := v.arg(p)
	creates := done("Create", "ok", does("create"))
	creates.then.open = changedAt(v.open, p, yes)
	tree := arg.of(p) // of a removal, which callers do not see
	nobodys := forall(proc, func(q *term) *term { return not(v.owns(q, tree)) })
	reaps := seen{"Reap", and(arg.is(p), not(mounted.of(tree)), is(tree, "staged"),
		or(and(does("close"), v.owns(p, tree)), and(does("recover"), nobodys))), v}
	fills := seen{"Fill", and(v.open(p), does("None"), addition.of(x), is(x, "absent")), v}

	cut := func(name string, guard *term, dies func(q *term) *term, drops *term) seen {
		s := seen{name, guard, v}
		s.then.does = func(q *term) *term { return choose(dies(q), doesSort.value("op.None"), v.does(q)) }
		s.then.hasArg = func(q *term) *term { return and(not(dies(q)), v.hasArg(q)) }
		s.then.reply = func(q *term) *term { return choose(dies(q), to("idle"), v.reply(q)) }
		s.then.owns = func(q, x *term) *term { return and(v.owns(q, x), not(and(drops, dies(q)))) }
		return s
	}
	responds := cut("Respond", or(not(noReply), does("close"), does("recover")), func(q *term) *term { return equal(q, p) }, does("close"))
	dies := cut("CutOff", yes, func(q *term) *term { return sameProcess(p, q) }, yes)
	dies.then.open = func(q *term) *term { return and(v.open(q), not(sameProcess(p, q))) }

	return []seen{
		{"nothing", yes, v},
		invoke("create", and(creator.of(p), not(v.open(p))), nil),
		invoke("delete", and(v.open(p), victim.of(x)), x),
		invoke("commit", and(v.open(p), addition.of(x)), x),
		invoke("close", v.open(p), nil),
		invoke("recover", recoverer(p), nil),
		creates,
		moves(done("Delete", "ok", and(does("delete"), is(own, "live"))), own, "staged", yes),
		done("Delete", "missing", and(does("delete"), not(is(own, "live")))),
		moves(fills, x, "staged", yes),
		moves(done("Commit", "ok", and(does("commit"), is(own, "staged"), v.owns(p, own))), own, "live", no),
		done("Fail", "failed", or(does("delete"), does("commit"))), cleansUp,
		moves(reaps, tree, "gone", no),
		responds, dies,
	}
}

// formula says that the step of the protocol is this one.
func (s seen) formula() *term {
	after := func(t *term) *term { return t.after(func(*function) bool { return true }) }
	v, then := callersSee, s.then
	return and(s.guard,
		forall(item, func(x *term) *term { return or(mounted.of(x), equal(after(v.item(x)), then.item(x))) }),
		forall(proc, func(q *term) *term {
			return and(
				equal(after(v.does(q)), then.does(q)), equal(after(v.reply(q)), then.reply(q)), equal(after(v.open(q)), then.open(q)),
				equal(after(v.hasArg(q)), then.hasArg(q)), implies(then.hasArg(q), equal(after(v.arg(q)), then.arg(q))),
				forall(item, func(x *term) *term { return or(mounted.of(x), equal(after(v.owns(q, x)), then.owns(q, x))) }))
		}))
}

// refined is TempDirSpec of one step: of the processes and trees that TempDir.tla might
// choose the step is about p, and x or the tree that p works on.
func refined() Clause {
	var any []*term
	for _, s := range whatCallersSee() {
		any = append(any, s.formula())
	}
	return Clause{Name: "TempDirSpec", Says: "a step looks to callers like one of TempDir.tla, or like none", formula: or(any...)}
}

// startsRefined is Init of TempDir.tla.
func startsRefined() *term {
	v := callersSee
	return and(
		forall(item, func(x *term) *term {
			first := choose(victim.of(x), itemSort.value("item.live"), itemSort.value("item.absent"))
			return or(mounted.of(x), and(equal(v.item(x), first), forall(proc, func(q *term) *term { return not(v.owns(q, x)) })))
		}),
		forall(proc, func(q *term) *term {
			return and(equal(v.does(q), doesSort.value("op.None")), equal(v.reply(q), to("idle")), not(v.open(q)), not(v.hasArg(q)))
		}))
}

// refinement are clauses that the refinement needs beside the invariant.
var refinement = []Clause{
	{Name: "OwnerHolds", Says: "a creator whose id has data holds the lock of its lock file", formula: forall(proc, func(p *term) *term {
		return implies(and(creator.of(p), idOf.is(p), data.of(idOf.of(p))), and(holds.of(p), isNamed(p, idOf.of(p))))
	})},
}

// ownerIsOne says that OwnerOf is a function.
var ownerIsOne = Clause{Name: "OwnerIsOne", Says: "a staged tree has one owner at most", formula: eachTwo(proc, func(p, q *term) *term {
	return forall(item, func(x *term) *term { return implies(and(callersSee.owns(p, x), callersSee.owns(q, x)), equal(p, q)) })
})}

// Refinement is the theory that the protocol refines TempDir.tla.
func Refinement() *Theory {
	th := Ours()
	th.Name, th.Says = "refinement", "what callers see of our processes is TempDir.tla"
	th.Known, th.Clauses, th.Starts = th.Clauses, refinement, []*term{startsRefined()}
	th.Properties, th.Steps = []Clause{ownerIsOne}, []Clause{refined()}
	return th
}
