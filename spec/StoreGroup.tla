----------------------------- MODULE StoreGroup -----------------------------
(***************************************************************************)
(* One save for several deletions.  Deletions of one handle wait in one    *)
(* line.  The first of them takes the store lock and becomes the leader of *)
(* those that wait by then: it takes their steps too, each save once.      *)
(*                                                                         *)
(*   lock; join; flag all; stage each; settle all; unlock; each removes    *)
(*                                                                         *)
(* Each deletion has its own instance and its own outcome.  Who is in a    *)
(* group has its place below in pc, and not the lock; it does nothing      *)
(* itself before DropAll, which is where it is told.  One that waits can   *)
(* leave the line (LockFails); one that joined cannot.                     *)
(*                                                                         *)
(* The order in the line is not here: any that waits may get the lock, and *)
(* may be taken or left.                                                   *)
(***************************************************************************)
EXTENDS LayerStore

CONSTANT Handle   \* The processes that are goroutines of one, with one handle.

\* Where a deletion is whose steps are taken under the store lock.
Led == {"flag", "stage", "unflag", "forget", "claim", "unlock"}

\* The deletions that p answers for.
Group(p) == {p} \cup {q \in Handle : storeLock = p /\ pc[q] \in Led}
In(p, l) == {q \in Group(p) : pc[q] = l}
Has(S, x) == \E q \in S : at[q] = x
Records(S, r) == [x \in Layer |-> IF Has(S, x) THEN r ELSE record[x]]
AllGoto(S, l) == pc' = [q \in Proc |-> IF q \in S THEN l ELSE pc[q]]

\* The leader p takes over q's deletion: of another layer than all that it has,
\* or the outcome of one could depend on that of another.
\* Go: Store.DeferredDelete.  Call: none.  Grain: one step of one process.
\* Crash: no change.
Join(p, q) ==
  /\ {p, q} \subseteq Handle
  /\ storeLock = p /\ pc[p] = "flag" /\ op[p] = "delete"
  /\ pc[q] = "waiting" /\ op[q] = "delete" /\ record[arg[q]] = "complete"
  /\ \A r \in Group(p) : arg[r] # arg[q]
  /\ at' = [at EXCEPT ![q] = arg[q]] /\ Goto(q, "flag")
  /\ UNCHANGED <<disk, locks, asked, tried, history>>

\* Flag, for all.
\* Go: Store.Save.  Call: as for Flag.  Grain: as for Flag.  Crash: before,
\* nothing; after, flagged layers.
FlagAll(p) ==
  /\ pc[p] = "flag" /\ storeLock = p
  /\ record' = Records(Group(p), "incomplete")
  /\ AllGoto(Group(p), IF op[p] = "delete" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

FlagAllFails(p) ==
  /\ Fails(p, "flag") /\ storeLock = p
  /\ record' \in {record, Records(Group(p), "incomplete")}
  /\ AllGoto(Group(p), "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, deleted, crashes>>

\* Forget and Unflag, for all: after each layer of the group was moved aside,
\* claimed, or refused.
\* Go: Store.Save.  Call: as for Flag.  Grain: as for Flag.  Crash: before,
\* flagged layers; after, stale instances, and what is claimed is flagged.
Settles(p) ==
  /\ storeLock = p /\ In(p, "forget") \cup In(p, "unflag") # {}
  /\ \A q \in Group(p) : pc[q] \in {"forget", "unflag", "unlock"}
  /\ pc' = [q \in Proc |->
       CASE q \in In(p, "forget") -> IF Own(q) THEN "unlock" ELSE "release"
         [] q \in In(p, "unflag") -> "unlock"
         [] OTHER                 -> pc[q]]

Settled(p) == [x \in Layer |->
  CASE Has(In(p, "forget"), x) -> "none"
    [] Has(In(p, "unflag"), x) -> "complete"
    [] OTHER                   -> record[x]]

SettleAll(p) ==
  /\ Settles(p) /\ record' = Settled(p)
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

SettleAllFails(p) ==
  /\ failures < MaxFailures /\ failures' = failures + 1
  /\ Settles(p) /\ record' \in {record, Settled(p)}
  /\ tried' = [q \in Proc |-> IF q \in In(p, "forget")
                              THEN tried[q] \cup {at[q]} ELSE tried[q]]
  /\ UNCHANGED <<place, whole, locks, asked, at, deleted, crashes>>

\* p drops the store lock, and everybody is told.
\* Go: Store.DeferredDelete.  Call: close.  Grain: one call.  Crash: no change.
DropAll(p) ==
  /\ storeLock = p /\ \A q \in Group(p) : pc[q] = "unlock"
  /\ storeLock' = None
  /\ pc' = [q \in Proc |->
       CASE q \notin Group(p) -> pc[q]
         [] q \in Group(p) /\ at[q] # None /\ claim[at[q]] = q
            /\ record[at[q]] = "incomplete" /\ There(at[q]) # {}
                              -> "removeHere"
         [] OTHER             -> "remove"]
  /\ UNCHANGED <<disk, owner, claim, asked, at, tried, history>>

\* p is killed, with all that are of one process with it.
\* Go: none.  Call: none.  Grain: as for Crash.  Crash: this is it.
CrashAll(p) ==
  /\ crashes < MaxCrashes /\ pc[p] # "idle"
  /\ crashes' = crashes + 1
  /\ LET S        == IF p \in Handle THEN Handle ELSE {p}
         Not(f)   == [x \in Layer |-> IF f[x] \in S THEN None ELSE f[x]]
         To(f, v) == [q \in Proc |-> IF q \in S THEN v ELSE f[q]]
     IN /\ storeLock' = IF storeLock \in S THEN None ELSE storeLock
        /\ owner' = Not(owner) /\ claim' = Not(claim)
        /\ op' = To(op, None) /\ arg' = To(arg, None) /\ at' = To(at, None)
        /\ tried' = To(tried, {}) /\ AllGoto(S, "idle")
  /\ UNCHANGED <<disk, deleted, failures>>

GroupFails(p) ==
  \/ LockFails(p) \/ LockAgainFails(p) \/ FlagAllFails(p)
  \/ SettleAllFails(p) \/ ForgetHereFails(p) \/ CompleteFails(p)
  \/ CommitFails(p) \/ ClaimFails(p) \/ RemoveFails(p) \/ RemoveHereFails(p)
  \/ StageFails(p) \/ StageMeetsMount(p)
  \/ \E x \in Layer : ClaimUnknown(p, x)

GroupStep(p) ==
  \/ \E x \in Layer : FinishFlagged(p, x)
  \/ LeaveClaimed(p) \/ TakeStoreLock(p) \/ FlagAll(p) \/ Stage(p)
  \/ SettleAll(p) \/ Release(p) \/ Commit(p) \/ Complete(p) \/ DropAll(p)
  \/ Remove(p) \/ Claim(p) \/ RemoveHere(p) \/ TakeStoreLockAgain(p)
  \/ ForgetHere(p)

GroupNext == \E p \in Proc :
  \/ Load(p) \/ Update(p) \/ GroupStep(p) \/ GroupFails(p) \/ CrashAll(p)
  \/ \E q \in Proc  : Join(p, q)
  \/ \E x \in Layer : Delete(p, x) \/ Create(p, x) \/ Recover(p, x)

GroupSpec == Init /\ [][GroupNext]_vars
-----------------------------------------------------------------------------
\* Nobody is left in a group that nobody leads: each is told.
EachIsLed == storeLock = None => \A q \in Proc : pc[q] \notin Led

\* Checked by TLC within the bounds of the models; not proved.
THEOREM GroupSpec => /\ []TypeOK /\ []DeletedStaysGone /\ []WholeOrFlagged
                     /\ []NoLeak /\ []RemovesUnlocked /\ []NobodyPays
                     /\ []HereIsClaimed /\ []HomeWhole /\ []EachIsLed
                     /\ LayersAreTrees
=============================================================================
