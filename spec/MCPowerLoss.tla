---------------------------- MODULE MCPowerLoss -----------------------------
(***************************************************************************)
(* Mutants and probes of PowerLoss.tla.                                    *)
(***************************************************************************)
EXTENDS PowerLoss

\* For StageDeletion and what follows: the record is forgotten before the
\* layer is moved.  Replaces SyncFlag.
ForgetsFirst == pc = "flagged" /\ Do("Forget", "link")

\* For Recover: data without a lock file is not adopted.
NoAdoption ==
  /\ pc = "recover"
  /\ pc' = IF cache.lock THEN "unlocked" ELSE "load"
  /\ UNCHANGED <<cache, disk, log, losses>>

\* For Load: an incomplete record is taken for a complete one.
IgnoresFlag ==
  /\ pc = "load" /\ pc' = "done"
  /\ UNCHANGED <<cache, disk, log, losses>>

\* For Load: a flag is taken for durable because it is there.
TrustsFlag ==
  /\ pc = "load"
  /\ pc' = CASE cache.record = "incomplete" /\ ~AtHome(cache) -> Then
             [] cache.lock \/ cache.data      -> "recover"
             [] cache.record = "incomplete"   -> Then
             [] OTHER                         -> "done"
  /\ UNCHANGED <<cache, disk, log, losses>>

\* Probes, of steps: data comes back without its lock file, a lock file without
\* data; a second power loss meets half a tree.
NoOrphan   == [][~(Recover /\ cache.data /\ ~cache.lock)]_vars
NoBareLock == [][~(Recover /\ ~cache.data /\ cache.lock)]_vars
NoLossInRecovery == [][~(PowerLoss /\ losses = 1 /\ cache'.layer = "entry"
                         /\ cache'.files \in 1 .. Files - 1)]_vars
=============================================================================
