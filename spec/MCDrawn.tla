------------------------------ MODULE MCDrawn -------------------------------
(***************************************************************************)
(* Ids that are drawn although there is data of that id, and no lock file: *)
(* where the data directory of a new instance is met, not made.            *)
(***************************************************************************)
EXTENDS MC

\* For Fresh (rule 6): who draws an id looks for a lock file, and no further.
NoLockFile(i) == lock[i] = None
=============================================================================
