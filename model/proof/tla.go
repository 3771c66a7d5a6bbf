package proof

import (
	"fmt"
	"slices"
	"strings"
)

// This file prints invariants as TLA+: that of our processes, with the clauses of the
// refinement, for spec/Inductive.tla, and those of the theories beside it for
// spec/InductiveBeside.tla.

// tlaText are functions as the specification has them; %s are the arguments.
var tlaText = map[string]string{
	"creator": "%s \\in Creator", "inspector": "%s \\in Inspector", "victim": "%s \\in Victim", "addition": "%s \\in Addition",
	"mounted": "%s \\in Mounted", "orphan": "%s \\in Orphan", "data": "%s \\in data", "used": "%s \\in used",
	"haslock": "lock[%s] # None", "hasfd": "fd[%s] # None", "hasid": "id[%s] # None", "hasarg": "arg[%s] # None",
	"lock": "lock[%s]", "fd": "fd[%s]", "id": "id[%s]", "arg": "arg[%s]", "pc": "pc[%s]", "place": "place[%s]", "pin": "place[%s]",
	"whole": "tree[%s] = Files", "holds": "Holds(%s)",
	"upstream": "%s \\in Upstream", "pid": "Pid[%s]", "tmpFile": "TmpFile", "mixedFleet": "MixedFleet", "posixLocks": "LockKind # \"ofd\"",
}

// tla is a term as TLA+. Variables are named after their sort.
func tla(t *term, names map[*term]string) string {
	args := func() (all []any) {
		for _, a := range t.args {
			all = append(all, tla(a, names))
		}
		return all
	}
	switch t.op {
	case opVariable:
		return names[t]
	case opValue:
		return `"` + t.sort.values[t.value] + `"`
	case opApply:
		return fmt.Sprintf(tlaText[t.function.name], args()...)
	case opEqual:
		if a := args(); a[1] == `"within"` {
			return fmt.Sprintf("%s \\in Id", a[0])
		}
		return fmt.Sprintf("%s = %s", args()...)
	case opNot:
		return fmt.Sprintf("~(%s)", args()...)
	case opForall, opExists:
		letters := map[*sort]string{proc: "pqr", id: "ijk", item: "xyz"}[t.args[0].sort]
		for _, name := range names {
			letters = strings.ReplaceAll(letters, name, "")
		}
		names[t.args[0]] = letters[:1]
		defer delete(names, t.args[0])
		quantifier := map[op]string{opForall: "A", opExists: "E"}[t.op]
		return fmt.Sprintf("\\%s %s \\in %s : %s", quantifier, letters[:1], t.args[0].sort.name, tla(t.args[1], names))
	case opOr:
		if places := oneOf(t); places != "" {
			return tla(t.args[0].args[0], names) + " \\in " + places
		}
		if len(t.args) == 2 && t.args[0].op == opNot {
			return fmt.Sprintf("(%s) => (%s)", tla(t.args[0].args[0], names), tla(t.args[1], names))
		}
	}
	var parts []string
	for _, a := range t.args {
		part := tla(a, names)
		if len(t.args) > 1 {
			part = "(" + part + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, map[op]string{opAnd: " /\\ ", opOr: " \\/ "}[t.op])
}

// sets are those that the text has names for, the larger ones first.
var sets = []struct{ name, places string }{
	{"Holding", heldPCs}, {"Acts", namedPCs}, {"OpenPCs", openPCs}, {"ReplyPCs", replyPCs}, {"Removing", removingPCs},
}

// oneOf is the set of values of a disjunction that compares pc with values.
func oneOf(t *term) string {
	var values []string
	for _, a := range t.args {
		if a.op != opEqual || a.args[1].op != opValue || a.args[0].function != pc {
			return ""
		}
		values = append(values, `"`+a.args[1].sort.values[a.args[1].value]+`"`)
	}
	text, unions := strings.Join(values, ", "), ""
	for _, set := range sets {
		quoted := `"` + strings.Join(strings.Fields(set.places), `", "`) + `"`
		if strings.Contains(text, quoted) {
			text = strings.Trim(strings.Replace(text, quoted, "", 1), ", ")
			unions += " \\cup " + set.name
		}
	}
	text = strings.ReplaceAll(text, ", , ", ", ")
	if text == "" {
		return strings.TrimPrefix(unions, " \\cup ")
	}
	return "{" + text + "}" + unions
}

// TLA is the text of spec/Inductive.tla.
func TLA() string {
	var b strings.Builder
	b.WriteString(`----------------------------- MODULE Inductive -----------------------------
(***************************************************************************)
(* The inductive invariant of the protocol, as package model/proof has it, *)
(* which makes this text: a step of our processes from any state in which  *)
(* Inductive holds, reachable or not, leads to one in which it holds.  It  *)
(* implies the properties of LockThenData.tla.  That is proved by solvers  *)
(* for any number of everything (afterlock proof); TLC only sees that it   *)
(* holds in the states of the models.  README.md says why it is true.      *)
(***************************************************************************)
EXTENDS MC

Holds(p) == fd[p] # None /\ holder[fd[p]] = p

\* What the formulas say of holders with a flag of the process rests on this.
HolderOpens ==
  \A n \in Inode : holder[n] # None => fd[holder[n]] = n

Removing == {"emptying", "inside", "emptied", "verified"}
Acts     == {"named", "claimed"} \cup OpenPCs \cup Removing
Holding  == {"locked", "taken"} \cup Acts
`)
	all := slices.Concat(invariant, refinement)
	for _, c := range all {
		define(&b, tlaName(c), c)
	}
	b.WriteString("\nInductive ==\n  /\\ HolderOpens\n")
	for _, c := range all {
		fmt.Fprintf(&b, "  /\\ %s\n", tlaName(c))
	}
	b.WriteString("\n\\* The same, for TLC to begin in: a clause once all that it is about is known.\n")
	b.WriteString("InductiveInit ==\n  /\\ parked = NoneParked /\\ crashes = 0 /\\ failures = 0\n")
	known := map[string]bool{}
	for _, v := range tlaVariables {
		fmt.Fprintf(&b, "  /\\ %s\n", v.in)
		known[v.name] = true
		about := func(c Clause) bool {
			return slices.ContainsFunc(functions(c.formula), func(f *function) bool {
				return slices.ContainsFunc(tlaVariables, func(of tlaVariable) bool {
					return slices.Contains(strings.Fields(of.functions), f.name) && !known[of.name]
				})
			})
		}
		all = slices.DeleteFunc(all, func(c Clause) bool {
			if !about(c) {
				fmt.Fprintf(&b, "  /\\ %s\n", tlaName(c))
			}
			return !about(c)
		})
		switch v.name {
		case "holder":
			b.WriteString("  /\\ HolderOpens\n")
		case "lock": // or NewInode has no value: the models have few
			b.WriteString("  /\\ \\E n \\in Inode : Free(n)\n")
		}
	}
	b.WriteString("\nOneStep == TLCGet(\"level\") < 2\n")
	b.WriteString("=============================================================================\n")
	return b.String()
}

// define prints a clause under a name.
func define(b *strings.Builder, name string, c Clause) {
	says := wrapped(strings.ToUpper(c.Says[:1])+c.Says[1:]+".", "\\* ")
	fmt.Fprintf(b, "\n%s\n%s ==\n%s\n", says, name, wrapped(tla(c.formula, map[*term]string{}), "  "))
}

// Beside are the theories that spec/InductiveBeside.tla has.
func Beside() []*Theory { return []*Theory{Posix(), OurOwners(), TheirOwners(), Repaired()} }

// TLAOf is the name of the theory's invariant in TLA+, and of each of its clauses there.
// A clause that says something else than the one of that name in Inductive.tla is called
// ...Beside.
func TLAOf(th *Theory) (invariant string, clauses []string) {
	for word := range strings.SplitSeq(th.Name, "-") {
		invariant += strings.ToUpper(word[:1]) + word[1:]
	}
	known := map[string]string{}
	for _, c := range Ours().Clauses {
		known[tlaName(c)] = tla(c.formula, map[*term]string{})
	}
	for _, c := range th.Clauses {
		name := tlaName(c)
		if text, ok := known[name]; ok && text != tla(c.formula, map[*term]string{}) {
			name += "Beside"
		}
		clauses = append(clauses, name)
	}
	return "Inductive" + invariant, clauses
}

// TLABeside is the text of spec/InductiveBeside.tla.
func TLABeside() string {
	var b strings.Builder
	b.WriteString(`-------------------------- MODULE InductiveBeside ---------------------------
(***************************************************************************)
(* The invariants of the theories beside upstream, and with other locks,   *)
(* as package model/proof has them, which makes this text.  A clause that  *)
(* is not here is in Inductive.tla; what ends in Beside says something     *)
(* else than the clause of that name there.  README.md has the hypotheses. *)
(***************************************************************************)
EXTENDS Inductive
`)
	known, invariants := map[string]string{}, ""
	for _, c := range invariant {
		known[tlaName(c)] = tla(c.formula, map[*term]string{})
	}
	for _, th := range Beside() {
		name, clauses := TLAOf(th)
		invariants += "\n" + name + " ==\n" + wrapped("HolderOpens /\\ "+strings.Join(clauses, " /\\ "), "  ") + "\n"
		for k, c := range th.Clauses {
			text := tla(c.formula, map[*term]string{})
			switch said, ok := known[clauses[k]]; {
			case !ok:
				known[clauses[k]] = text
				define(&b, clauses[k], c)
			case said != text:
				panic("proof: two clauses are called " + clauses[k])
			}
		}
	}
	b.WriteString(invariants)
	b.WriteString("=============================================================================\n")
	return b.String()
}

// A tlaVariable is a variable of the specification, with the functions that it is here.
type tlaVariable struct{ name, in, functions string }

// tlaVariables are in the order in which TLC has few states after each.
var tlaVariables = []tlaVariable{
	{"pc", `pc \in [Proc -> {"idle", "sawLock", "sawData", "sawBoth", "opened",
       "claimed"} \cup CreatePCs \cup OpenPCs \cup RemovePCs]`, "pc"},
	{"id", `id \in [Proc -> Id \cup {None}]`, "hasid id"},
	{"arg", `arg \in [Proc -> Item \cup {None}]`, "hasarg arg"},
	{"fd", `fd \in [Proc -> Inode \cup {None}]`, "hasfd fd"},
	{"holder", `holder \in [Inode -> Proc \cup {None}]`, "holds"},
	{"lock", `lock \in [Id -> Inode \cup {None}]`, "haslock lock"},
	{"data", `data \in SUBSET Id`, "data"},
	{"used", `used \in SUBSET Id`, "used"},
	{"place", `place \in [Item -> {"absent", "home", "gone"} \cup Id]`, "place pin"},
	{"tree", `tree \in [Item -> 0 .. Files]`, "whole"},
}

// tlaName is the clause's name; a property of the specification has its own there.
func tlaName(c Clause) string {
	if c.Name == "DataHasLock" {
		return "DataHasLockOrOrphan"
	}
	for _, p := range properties {
		if p.Name == c.Name {
			return c.Name + "Everywhere"
		}
	}
	return c.Name
}

// wrapped breaks a line at blanks, and begins each with the same.
func wrapped(text, begin string) string {
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(text) {
		if width == 0 || width+1+len(word) > 76 {
			if width > 0 {
				b.WriteString("\n")
			}
			b.WriteString(begin + word)
			width = len(begin) + len(word)
			continue
		}
		b.WriteString(" " + word)
		width += 1 + len(word)
	}
	return b.String()
}
