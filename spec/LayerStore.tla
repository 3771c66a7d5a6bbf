----------------------------- MODULE LayerStore -----------------------------
(***************************************************************************)
(* A small layer store on top of temporary directories: what the users of  *)
(* a store rely on, and in which order the store has to take its steps.    *)
(* The steps are in StoreSteps.tla and StoreInPlace.tla.  Here: what is    *)
(* done when a call fails, crashes, and what holds.                        *)
(*                                                                         *)
(* Instances, ids and their locks do not appear.  A tree that is staged    *)
(* has an owner until the owner closes, releases or dies, and then anyone  *)
(* removes it: TempDir.tla promises that and LockThenData.tla keeps it.    *)
(*                                                                         *)
(* Left out: power loss (PowerLoss.tla, Save.tla), readers (Readers.tla),  *)
(* parents, and layers of several parts.                                   *)
(***************************************************************************)
EXTENDS StoreInPlace

Fails(p, l) == /\ pc[p] = l /\ failures < MaxFailures
               /\ failures' = failures + 1

\* A save that fails had no effect, or had one and may not be durable; nobody
\* can know which.
Saves(x, r) == record' \in {record, [record EXCEPT ![x] = r]}

\* p does not get the store lock.  What it had in hand is left.
\* Go: Store.Delete, Store.Create, Store.Load.  Call: openat, fcntl.  Grain:
\* one step.  Crash: as without.
LockFails(p) ==
  /\ Fails(p, "waiting")
  /\ at' = [at EXCEPT ![p] = arg[p]] /\ Goto(p, "remove")
  /\ UNCHANGED <<disk, locks, asked, tried, deleted, crashes>>

LockAgainFails(p) ==
  /\ Fails(p, "again")
  /\ Leave(p, at[p]) /\ Goto(p, "remove")
  /\ UNCHANGED <<disk, locks, asked, at, deleted, crashes>>

\* p's save fails.  Before the flag nothing was done; after it the layer stays
\* flagged, and somebody finishes it.
\* Go: Store.Save.  Call: those of Save.tla, with an errno.  Grain: the moment
\* of a save, or none.  Crash: as after the save, or without.
FlagFails(p) ==
  /\ Fails(p, "flag") /\ Saves(at[p], "incomplete") /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, deleted, crashes>>

UnflagFails(p) ==
  /\ Fails(p, "unflag") /\ Saves(at[p], "complete") /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, deleted, crashes>>

ForgetFails(p) ==
  /\ Fails(p, "forget") /\ Saves(at[p], "none") /\ Leave(p, at[p])
  /\ Goto(p, IF Own(p) THEN "unlock" ELSE "release")
  /\ UNCHANGED <<place, whole, locks, asked, at, deleted, crashes>>

ForgetHereFails(p) ==
  /\ Fails(p, "forgetHere") /\ Saves(at[p], "none") /\ Leave(p, at[p])
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, deleted, crashes>>

CompleteFails(p) ==
  /\ Fails(p, "complete") /\ Saves(at[p], "complete") /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, deleted, crashes>>

\* The new layer does not get to its place, or it is there and that may not be
\* durable.  It stays flagged.
\* Go: Addition.Commit.  Call: renameat2 or fsync, with an errno.  Grain: one
\* call.  Crash: the layer is flagged.
CommitFails(p) ==
  /\ Fails(p, "commit")
  /\ \/ UNCHANGED <<place, owner>>
     \/ Put({at[p]}, "home") /\ owner' = Hold(owner, {at[p]}, None)
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<record, whole, storeLock, claim, asked, at, tried, deleted,
                 crashes>>

\* p gets no claim: the layer stays flagged.
\* Go: Store.Delete, Store.Load.  Call: openat, fcntl.  Grain: one call.
\* Crash: the layer is flagged, and nobody's.
ClaimFails(p) ==
  /\ Fails(p, "claim")
  /\ Leave(p, at[p]) /\ Goto(p, "unlock")
  /\ UNCHANGED <<disk, locks, asked, at, deleted, crashes>>

\* Something cannot be removed.  What is left of an instance is for recovery
\* (rule 5); what is left at home stays flagged.
\* Go: Dir.Close, Root.Recover; Store.Delete, Store.Load.  Call: unlinkat, with
\* an errno.  Grain: one call.  Crash: as after Remove or RemoveHere.
RemoveFails(p) ==
  /\ Fails(p, "remove") /\ at[p] # None /\ owner[at[p]] = p
  /\ owner' = Without(owner, p)
  /\ End(p)
  /\ UNCHANGED <<disk, storeLock, deleted, crashes>>

RemoveHereFails(p) ==
  /\ Fails(p, "removeHere")
  /\ Leave(p, at[p]) /\ Goto(p, "remove")
  /\ UNCHANGED <<disk, locks, asked, at, deleted, crashes>>

\* p is killed.  Its locks go, the disk stays.
\* Go: none.  Call: none.  Grain: as in LockThenData.tla.  Crash: this is it.
Crash(p) ==
  /\ crashes < MaxCrashes /\ pc[p] # "idle"
  /\ crashes' = crashes + 1
  /\ storeLock' = IF storeLock = p THEN None ELSE storeLock
  /\ owner' = Without(owner, p) /\ claim' = Without(claim, p)
  /\ op'  = [op  EXCEPT ![p] = None] /\ arg' = [arg EXCEPT ![p] = None]
  /\ at'  = [at  EXCEPT ![p] = None] /\ tried' = [tried EXCEPT ![p] = {}]
  /\ Goto(p, "idle")
  /\ UNCHANGED <<disk, deleted, failures>>

CallFails(p) ==
  \/ LockFails(p) \/ LockAgainFails(p) \/ FlagFails(p) \/ UnflagFails(p)
  \/ ForgetFails(p) \/ ForgetHereFails(p) \/ CompleteFails(p)
  \/ CommitFails(p) \/ ClaimFails(p) \/ RemoveFails(p) \/ RemoveHereFails(p)
  \/ StageFails(p) \/ StageMeetsMount(p)
  \/ \E x \in Layer : ClaimUnknown(p, x)

Step(p) ==
  \/ \E x \in Layer : FinishFlagged(p, x)
  \/ LeaveClaimed(p) \/ TakeStoreLock(p) \/ Flag(p) \/ Stage(p) \/ Forget(p)
  \/ Release(p) \/ Commit(p) \/ Complete(p) \/ DropStoreLock(p) \/ Remove(p)
  \/ Unflag(p) \/ Claim(p) \/ RemoveHere(p) \/ TakeStoreLockAgain(p)
  \/ ForgetHere(p)

Next == \E p \in Proc :
  \/ Load(p) \/ Update(p) \/ Step(p) \/ CallFails(p) \/ Crash(p)
  \/ \E x \in Layer : Delete(p, x) \/ Create(p, x) \/ Recover(p, x)

Spec == Init /\ [][Next]_vars

LiveSpec == /\ Spec
            /\ \A p \in Proc : /\ WF_vars(Step(p))
                               /\ SF_vars(TakeStoreLock(p))
                               /\ SF_vars(TakeStoreLockAgain(p))
            /\ WF_vars(\E p \in Proc : Load(p))
            /\ \A x \in Layer : SF_vars(\E p \in Proc : Recover(p, x))
-----------------------------------------------------------------------------
Removing(p) == \/ pc[p] = "remove" /\ at[p] # None /\ owner[at[p]] = p
               \/ pc[p] = "removeHere"

\* Nothing is ever removed by a process that holds the store lock.
RemovesUnlocked ==
  \A p \in Proc : pc[p] \in {"remove", "removeHere"} => storeLock # p

\* Nobody removes what another process left, unless it came for that.
NobodyPays == \A p \in Proc :
  Removing(p) => at[p] = arg[p] \/ op[p] \in {"load", "recover"}

\* Where it is, a layer is removed by the one process that has its claim.
HereIsClaimed == \A p \in Proc : pc[p] = "removeHere" =>
  claim[at[p]] = p /\ record[at[p]] = "incomplete"

\* A layer that was reported deleted is out of reach, for good.
DeletedStaysGone == \A x \in deleted :
  place[x] # "home" /\ record[x] = "none"

\* A layer whose record is complete is there, and whole.
WholeOrFlagged == \A x \in Layer :
  record[x] = "complete" => place[x] = "home" /\ x \in whole

\* A layer that is there has a record, so that somebody can find it.
NoLeak == \A x \in Layer : place[x] = "home" => record[x] # "none"

\* As long as no call fails, what is at home is whole.
HomeWhole == \A x \in Layer :
  failures = 0 /\ place[x] = "home" => x \in whole

\* What callers see of a layer, as in TempDir.tla.  They do not look while the
\* store lock is held, so a flag that can be taken back was not yet seen.
Seen(x) ==
  CASE \/ record[x] = "complete"
       \/ \E p \in Proc : pc[p] \in {"stage", "unflag"} /\ arg[p] = x
                          /\ at[p] = x -> "live"
    [] OTHER -> IF place[x] = "home" THEN "staged" ELSE place[x]

\* A layer is to its callers what a tree is in TempDir.tla: Fill, Commit by
\* its creator, Delete, Reap by whoever has it.
LayersAreTrees == [][\A x \in Layer :
  LET was == Seen(x)
      is  == Seen(x)'
  IN \/ was = is
     \/ was = "absent" /\ is = "staged"
     \/ was = "live"   /\ is = "staged"
     \/ was = "staged" /\ is = "live" /\ \E p \in Proc :
          storeLock = p /\ op[p] = "create" /\ arg[p] = x
     \/ was = "staged" /\ is = "gone" /\ \E p \in Proc :
          at[p] = x /\ p \in {owner[x], claim[x]}]_vars

\* Whatever was moved aside is gone in the end; what was flagged, finished.
GoneInTheEnd == <>[](/\ Incomplete = {}
                     /\ \A x \in Layer : place[x] # "staged")

\* Checked by TLC within the bounds of the models; not proved.
THEOREM Spec => /\ []TypeOK /\ []DeletedStaysGone /\ []WholeOrFlagged
                /\ []NoLeak /\ []RemovesUnlocked /\ []NobodyPays
                /\ []HereIsClaimed /\ []HomeWhole /\ LayersAreTrees
THEOREM LiveSpec => GoneInTheEnd
=============================================================================
