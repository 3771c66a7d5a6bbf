---------------------------- MODULE MCLayerStore ----------------------------
(***************************************************************************)
(* Mutants and probes of LayerStore.tla.                                   *)
(***************************************************************************)
EXTENDS LayerStore, TLC

Symmetry == Permutations(Proc)

\* For Forget: the layer is removed before the store lock is dropped.
RemovesUnderLock(p) ==
  /\ pc[p] = "forget"
  /\ record' = [record EXCEPT ![arg[p]] = "none"]
  /\ Goto(p, "remove")
  /\ UNCHANGED <<place, whole, storeLock, owner, arg, history>>

\* For TakeStoreLock: recovery runs under the store lock (rule 12).
RecoversUnderLock(p) ==
  /\ pc[p] \in {"toDelete", "toCreate", "toLoad"} /\ storeLock = None
  /\ storeLock' = p
  /\ IF \E x \in Layer : place[x] = "staged" /\ owner[x] = None
     THEN \E x \in Layer :
            /\ place[x] = "staged" /\ owner[x] = None
            /\ owner' = [owner EXCEPT ![x] = p]
            /\ arg'   = [arg   EXCEPT ![p] = x]
            /\ Goto(p, "remove")
     ELSE /\ Goto(p, CASE Incomplete # {} -> "loading"
                       [] pc[p] = "toLoad" -> "unlock"
                       [] OTHER -> "flag")
          /\ UNCHANGED <<owner, arg>>
  /\ UNCHANGED <<disk, history>>

\* For Flag: no incomplete flag before the layer is moved.
NoFlag(p) ==
  /\ pc[p] = "flag"
  /\ Goto(p, IF place[arg[p]] = "home" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<disk, storeLock, owner, arg, history>>

\* For Flag: the record goes before the layer is moved.
ForgetsFirst(p) ==
  /\ pc[p] = "flag"
  /\ record' = [record EXCEPT ![arg[p]] =
                  IF place[arg[p]] = "home" THEN "none" ELSE "incomplete"]
  /\ Goto(p, IF place[arg[p]] = "home" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<place, whole, storeLock, owner, arg, history>>

\* For Flag: a new layer is committed and recorded complete at once.
CompletesFirst(p) ==
  /\ pc[p] = "flag"
  /\ record' = [record EXCEPT ![arg[p]] =
                  IF place[arg[p]] = "home" THEN "incomplete" ELSE "complete"]
  /\ Goto(p, IF place[arg[p]] = "home" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<place, whole, storeLock, owner, arg, history>>

\* For Stage: the layer is removed where it is, without moving it aside.
RemovesInPlace(p) ==
  /\ pc[p] = "stage"
  /\ IF arg[p] \in whole
     THEN whole' = whole \ {arg[p]} /\ UNCHANGED <<place, pc>>
     ELSE /\ place' = [place EXCEPT ![arg[p]] = "gone"]
          /\ Goto(p, "forget") /\ UNCHANGED whole
  /\ UNCHANGED <<record, storeLock, owner, arg, history>>

\* For FinishFlagged: what is flagged is left as it is.
LeavesFlagged(p, x) ==
  /\ pc[p] = "loading" /\ x \in Incomplete
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<disk, storeLock, owner, arg, history>>

\* For Stage: any failing rename is taken for "already gone" (rule 10).
SwallowsNotFound(p) ==
  /\ pc[p] = "stage"
  /\ \/ place' = [place EXCEPT ![arg[p]] = "staged"]
        /\ owner' = [owner EXCEPT ![arg[p]] = p]
     \/ UNCHANGED <<place, owner>>
  /\ Goto(p, "forget")
  /\ UNCHANGED <<record, whole, storeLock, arg, history>>
-----------------------------------------------------------------------------
\* Reachable layers are whole: holds, since nothing is removed in place.
HomeWhole == \A x \in Layer : place[x] = "home" => x \in whole

\* Probes.
NoFinishedByOther == \A p \in Proc : ~(pc[p] = "forget" /\ crashes > 0
                                         /\ place[arg[p]] = "gone")
NoRemovalWhileLocked == \A p, q \in Proc :
  ~(pc[p] = "remove" /\ storeLock = q /\ arg[p] # None)
NoDeletion == deleted = {}
NoCreation == \A x \in New : record[x] # "complete"
=============================================================================
