---------------------------- MODULE MCLayerStore ----------------------------
(***************************************************************************)
(* Mutants and probes of LayerStore.tla.                                   *)
(***************************************************************************)
EXTENDS LayerStore, TLC

Symmetry == Permutations(Proc)

\* For Forget: the layer is removed before the store lock is dropped.
RemovesUnderLock(p) ==
  /\ pc[p] = "forget"
  /\ Record(at[p], "none")
  /\ Goto(p, "remove")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* For TakeStoreLock: recovery runs under the store lock (rule 12).
RecoversUnderLock(p) ==
  /\ pc[p] = "waiting" /\ storeLock = None
  /\ storeLock' = p
  /\ LET Stale == {x \in Layer : place[x] = "staged" /\ owner[x] = None}
     IN IF Stale # {}
        THEN \E x \in Stale : /\ owner' = Hold(owner, {x}, p)
                              /\ at' = [at EXCEPT ![p] = x]
                              /\ Goto(p, "remove")
        ELSE GoOn(p, tried[p]) /\ UNCHANGED owner
  /\ UNCHANGED <<disk, claim, asked, tried, history>>

\* What a mutant for Flag does but for the record.
GoesOn(p) ==
  /\ pc[p] = "flag"
  /\ Goto(p, IF op[p] = "delete" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* For Flag: no incomplete flag before the layer is moved.
NoFlag(p) == GoesOn(p) /\ UNCHANGED record

\* For Flag: the record goes before the layer is moved.
ForgetsFirst(p) == GoesOn(p) /\
  Record(at[p], IF op[p] = "delete" THEN "none" ELSE "incomplete")

\* For Flag: a new layer is committed and recorded complete at once.
CompletesFirst(p) == GoesOn(p) /\
  Record(at[p], IF op[p] = "delete" THEN "incomplete" ELSE "complete")

\* For Stage: the layer is removed where it is, without moving it aside.
RemovesInPlace(p) ==
  /\ pc[p] = "stage"
  /\ IF There(at[p]) \cap whole # {}
     THEN whole' = whole \ There(at[p]) /\ UNCHANGED <<place, pc>>
     ELSE Put(There(at[p]), "gone") /\ Goto(p, "forget") /\ UNCHANGED whole
  /\ UNCHANGED <<record, locks, asked, at, tried, history>>

\* For FinishFlagged: what is flagged is left as it is.
LeavesFlagged(p, x) ==
  /\ pc[p] = "loading" /\ x \in Incomplete \ tried[p] /\ claim[x] = None
  /\ Leave(p, x) /\ GoOn(p, tried[p] \cup {x})
  /\ UNCHANGED <<disk, locks, asked, history>>

\* For Stage: any failing rename is taken for "already gone" (rule 10).
SwallowsNotFound(p) ==
  /\ pc[p] = "stage"
  /\ \/ There(at[p]) # {}
        /\ Put(There(at[p]), "staged")
        /\ owner' = Hold(owner, There(at[p]), p)
     \/ UNCHANGED <<place, owner>>
  /\ Goto(p, "forget")
  /\ UNCHANGED <<record, whole, storeLock, claim, asked, at, tried, history>>

\* For Release: what others left is removed by whoever moved it.
PaysForOthers(p) ==
  /\ pc[p] = "release"
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<disk, locks, asked, at, tried, history>>

\* For Claim: a layer is removed where it is, and nobody can know.
NoClaim(p) ==
  /\ pc[p] = "claim"
  /\ Goto(p, "removeHere") /\ storeLock' = None
  /\ UNCHANGED <<disk, owner, claim, asked, at, tried, history>>

\* For LeaveClaimed: a layer that somebody removes where it is, is finished.
IgnoresClaim(p) ==
  /\ pc[p] = "loading" /\ \A x \in Incomplete \ tried[p] : claim[x] # None
  /\ \E x \in Incomplete \ tried[p] : at' = [at EXCEPT ![p] = x]
  /\ Goto(p, "stage")
  /\ UNCHANGED <<disk, locks, asked, tried, history>>

\* For ClaimUnknown: what cannot be found out is taken for "no" (rule 14).
UnknownIsFree(p, x) ==
  /\ pc[p] = "loading" /\ x \in Incomplete \ tried[p]
  /\ failures < MaxFailures /\ failures' = failures + 1
  /\ at' = [at EXCEPT ![p] = x] /\ Goto(p, "stage")
  /\ UNCHANGED <<disk, locks, asked, tried, deleted, crashes>>

\* For Free: a flagged record is no reason not to make a layer of that id.
FlaggedIsFree(x) == There(x) = {} /\ \A y \in Twins(x) : record[y] # "complete"

\* For Claim: the record goes before what is at home.
ForgetsBeforeHere(p) ==
  /\ pc[p] = "claim"
  /\ claim' = Hold(claim, {at[p]}, p) /\ Record(at[p], "none")
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, storeLock, owner, asked, at, tried, history>>

\* For FlagFails: the layer is moved all the same (rule 14).
FlagsAnyway(p) ==
  /\ Fails(p, "flag") /\ Saves(at[p], "incomplete")
  /\ Goto(p, IF op[p] = "delete" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, deleted, crashes>>

\* For StageFails: what could not be moved is forgotten.
ForgetsUnmoved(p) ==
  /\ Fails(p, "stage") /\ There(at[p]) # {}
  /\ Goto(p, "forget")
  /\ UNCHANGED <<disk, locks, asked, at, tried, deleted, crashes>>

\* For ClaimFails: the layer is put back, half removed as it may be.
TakesFlagBack(p) ==
  /\ Fails(p, "claim")
  /\ Record(at[p], "complete") /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, deleted, crashes>>

\* For RemoveFails: the instance is kept (rule 5).
KeepsInstance(p) ==
  /\ Fails(p, "remove") /\ at[p] # None /\ owner[at[p]] = p
  /\ End(p)
  /\ UNCHANGED <<disk, storeLock, owner, deleted, crashes>>
-----------------------------------------------------------------------------
\* Probes, of steps (see Probes.tla).
NoFinishedByOther == [][\A p \in Proc :
  ~(Forget(p) /\ crashes > 0 /\ place[at[p]] = "gone")]_vars
NoRemovalWhileLocked == [][\A p \in Proc :
  ~(Remove(p) /\ at[p] # None /\ storeLock \notin {None, p})]_vars
NoDeletion == [][\A p \in Proc : ~(Remove(p) /\ deleted' # deleted)]_vars
NoCreation == [][\A p \in Proc : ~Complete(p)]_vars
NoHalfAtHome == [][\A p \in Proc, x \in Layer :
  ~(FinishFlagged(p, x) /\ place[x] = "home" /\ x \notin whole)]_vars
NoClaimMet == [][\A p \in Proc :
  ~(LeaveClaimed(p) /\ Incomplete \ tried[p] # {})]_vars
NoReleased == [][\A p \in Proc :
  ~(Release(p) /\ op[p] = "update" /\ owner' # owner)]_vars
NoBusyId == [][\A p \in Proc :
  ~(LeaveClaimed(p) /\ op[p] = "create" /\ pc'[p] = "unlock")]_vars
NoFlagTakenBack == [][\A p \in Proc : ~Unflag(p)]_vars
NoDeletionHere == [][\A p \in Proc :
  ~(Remove(p) /\ deleted' # deleted /\ claim[at[p]] = p
      /\ failures = 1)]_vars
=============================================================================
