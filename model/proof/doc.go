// Package proof has the protocol as formulas, with an invariant that shows it safe for
// any number of processes, ids, inodes, trees, crashes and failing calls.
//
// The files stand beside the specification like those of package model: kernel.go is
// Kernel.tla; protocol.go has the actions of the other modules and of Upstream.tla;
// mutants.go those of Mutants*.tla; invariant.go has the invariant, a name for each
// clause, and the properties; refine.go is TempDir.tla and the refinement, powerloss.go is
// power loss; mixed.go and posix.go have what is so beside upstream's code, and with POSIX
// locks. A [Theory] says what is proved under which hypotheses:
// Init implies the invariant, each action keeps it, it implies the properties. Its
// [Obligation]s are printed as SMT-LIB, for z3 and cvc5, and made clauses (ground.go), for a
// SAT solver; package gate gives them to these.
//
// Nobody has to believe that the formulas are the protocol. A [Bridge] compares them
// with a model, state by state and step by step, both ways, and [Samples] asks a solver
// about steps of a model in the words that are printed.
//
// Functions lead from processes to trees, ids and inodes, from trees to ids, from ids to
// inodes, and never back. So what is to be proved is in a fragment in which a solver
// always comes to an end, and what is not provable has a small counterexample.
package proof
