----------------------------- MODULE MCTempDir ------------------------------
(***************************************************************************)
(* A mutant of TempDir.tla.                                                *)
(***************************************************************************)
EXTENDS TempDir

\* For Reap: a recoverer does not ask whose the tree is.
ReapsAnything(p, x) ==
  /\ item[x] = "staged" /\ does[p] \in {"close", "recover"}
  /\ item' = [item EXCEPT ![x] = "gone"]
  /\ UNCHANGED <<owner, does, arg, reply, open>>
=============================================================================
