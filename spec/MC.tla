--------------------------------- MODULE MC ---------------------------------
(***************************************************************************)
(* What the models need besides the spec: names for small sets, symmetry,  *)
(* and environments that only some models have.  The sizes are in the      *)
(* .cfg files, the deliberate faults in Mutants*.tla, and the states that  *)
(* every good set of models must reach in Probes.tla.                      *)
(***************************************************************************)
EXTENDS Upstream, TLC

Apart      == [p \in Proc |-> p]        \* each in a process of its own
Together   == [p \in Proc |-> "one"]    \* goroutines of one process
ListerTogether ==                       \* owners and those that only look
  [p \in Proc |-> IF p \in Recoverer \ Inspector THEN p ELSE "one"]
OneCopy    == [p \in Proc |-> 1]
TwoCopies  == [p \in Proc |-> IF p \in Inspector THEN 2 ELSE 1]
OneName    == [p \in Proc |-> "root"]
TwoNames   == [p \in Proc |-> p]        \* each knows the root by another path

Symmetry == Permutations(Creator) \cup Permutations(Recoverer \ Inspector)
              \cup Permutations(Id)
IdSymmetry        == Permutations(Id)
RecovererSymmetry == Permutations(Recoverer \ Inspector)

(***************************************************************************)
(* A stranger outside the protocol, say a cleaner of temporary files,      *)
(* removes the data directory of an instance, live or not.  No protocol    *)
(* survives that; rule 10 is about telling the truth afterwards.           *)
(***************************************************************************)
Sweep(i) ==
  /\ i \in data /\ Entries(i) = {}
  /\ data' = data \ {i}
  /\ UNCHANGED <<lock, place, tree, locks, pc, id, arg, history>>

\* The same stranger takes the lock file, which looks old and is empty.  What a
\* live instance is then left with is the grace for young orphans.
TakesLockFile(i) ==
  /\ lock[i] # None
  /\ lock' = [lock EXCEPT ![i] = None]
  /\ UNCHANGED <<data, place, tree, locks, pc, id, arg, history>>

\* What mixed fleets owe to our own instances, whatever upstream does to its.
OurLiveKept == \A p \in Creator : Live(p) /\ Ours(p) =>
  id[p] \in data /\ \A x \in Entries(id[p]) : tree[x] = Files

SweptSpec   == Init /\ [][Next \/ \E i \in Id : Sweep(i)]_vars
CleanedSpec == Init /\ [][Next \/ \E i \in Id : TakesLockFile(i)]_vars
=============================================================================
