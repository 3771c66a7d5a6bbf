----------------------------- MODULE StoreSteps -----------------------------
(***************************************************************************)
(* The steps of the layer store when no call fails.                        *)
(*                                                                         *)
(*   delete: lock; flag; stage; forget; unlock; remove                     *)
(*   create: stage (no lock); lock; flag; commit; complete; unlock         *)
(*   load:   lock; stage what is flagged; forget; unlock; remove           *)
(*   others: whoever takes the lock does so too, and releases instead of   *)
(*           removing: nobody pays for what another process left           *)
(***************************************************************************)
EXTENDS StoreState

Asked(p, what, x) ==
  /\ pc[p] = "idle"
  /\ op'  = [op  EXCEPT ![p] = what]
  /\ arg' = [arg EXCEPT ![p] = x]
  /\ Goto(p, "waiting")
  /\ UNCHANGED <<at, tried, history>>

\* p is asked to delete layer x.
\* Go: Store.Delete.  Call: none.  Grain: the invocation.  Crash: no change.
Delete(p, x) ==
  /\ record[x] = "complete" /\ Asked(p, "delete", x)
  /\ UNCHANGED <<disk, locks>>

\* p is asked to create layer x, and unpacks it without any store lock.
\* Go: Store.Create.  Call: many, in an instance that p owns.  Grain: one
\* step, as StageAddition in Create.tla.  Crash: after, a stale instance.
Create(p, x) ==
  /\ place[x] = "absent" /\ Asked(p, "create", x)
  /\ Put({x}, "staged")
  /\ owner' = Hold(owner, {x}, p)
  /\ UNCHANGED <<record, whole, storeLock, claim>>

\* p comes because something is flagged: to finish it, or to write something
\* else and to finish it on the way.
\* Go: Store.Load, Store.Recover; Store.Save.  Call: none.  Grain: the
\* invocation.  Crash: no change.
Load(p) ==
  /\ storeLock = None /\ Incomplete # {} /\ Asked(p, "load", None)
  /\ UNCHANGED <<disk, locks>>

Update(p) ==
  /\ storeLock = None /\ Incomplete # {} /\ Asked(p, "update", None)
  /\ UNCHANGED <<disk, locks>>

\* p takes the store lock.
\* Go: Store.Load.  Call: fcntl(F_OFD_SETLKW), and a read of the metadata.
\* Grain: one step: nobody writes metadata without the lock.  Crash: no change.
TakeStoreLock(p) ==
  /\ pc[p] = "waiting" /\ storeLock = None
  /\ storeLock' = p
  /\ GoOn(p, tried[p])
  /\ UNCHANGED <<disk, owner, claim, asked, tried, history>>

\* p takes a flagged layer in hand that nobody removes where it is.  If that is
\* the layer p was to delete, it will find no such layer: somebody else did.
\* Go: Store.Load.  Call: fcntl(F_OFD_GETLK) on the layer's claim.  Grain: one
\* call.  Crash: no change.
FinishFlagged(p, x) ==
  /\ pc[p] = "loading" /\ x \in Incomplete \ tried[p] /\ claim[x] = None
  /\ at' = [at EXCEPT ![p] = x]
  /\ IF x = arg[p] THEN /\ op'  = [op  EXCEPT ![p] = "update"]
                        /\ arg' = [arg EXCEPT ![p] = None]
                   ELSE UNCHANGED asked
  /\ Goto(p, "stage")
  /\ UNCHANGED <<disk, locks, tried, history>>

\* p saves the record with the flag.  Callers see Delete take effect from here
\* on, for they do not look while p holds the lock.
\* Go: Store.Save.  Call: see Save.tla.  Grain: the moment of a save.  Crash:
\* before, nothing; after, a flagged layer.
Flag(p) ==
  /\ pc[p] = "flag"
  /\ Record(at[p], "incomplete")
  /\ Goto(p, IF op[p] = "delete" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* p moves what is at the layer's path aside, if anything is.
\* Go: Dir.StageDeletion.  Call: renameat2.  Grain: one call.  Crash: before
\* and after, the layer is flagged.
Stage(p) ==
  /\ pc[p] = "stage"
  /\ Put(There(at[p]), "staged")
  /\ owner' = Hold(owner, There(at[p]), p)
  /\ Goto(p, "forget")
  /\ UNCHANGED <<record, whole, storeLock, claim, asked, at, tried, history>>

\* p saves metadata without the record.
\* Go: Store.Save.  Call: as for Flag.  Grain: as for Flag.  Crash: before, a
\* flagged layer that is not there; after, a stale instance.
Forget(p) ==
  /\ pc[p] = "forget"
  /\ Record(at[p], "none")
  /\ Goto(p, IF Own(p) THEN "unlock" ELSE "release")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* p gives up the instance with what others left, for recovery.
\* Go: Dir.Release.  Call: close of the instance's lock.  Grain: one call.
\* Crash: before and after, a stale instance.
Release(p) ==
  /\ pc[p] = "release"
  /\ owner' = [y \in Layer |-> IF owner[y] = p /\ y # arg[p]
                               THEN None ELSE owner[y]]
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<disk, storeLock, claim, asked, at, tried, history>>

\* p puts the new layer in its place.
\* Go: Addition.Commit.  Call: renameat2.  Grain: one call.  Crash: before and
\* after, the layer is flagged.
Commit(p) ==
  /\ pc[p] = "commit"
  /\ Put({at[p]}, "home")
  /\ owner' = Hold(owner, {at[p]}, None)
  /\ Goto(p, "complete")
  /\ UNCHANGED <<record, whole, storeLock, claim, asked, at, tried, history>>

\* p takes the flag away: where Create takes effect.
\* Go: Store.Save.  Call: as for Flag.  Grain: as for Flag.  Crash: before, a
\* flagged layer; after, a layer.
Complete(p) ==
  /\ pc[p] = "complete"
  /\ Record(at[p], "complete")
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* p drops the store lock.
\* Go: Store.Delete, Store.Create, Store.Load.  Call: close.  Grain: one call.
\* Crash: no change.
DropStoreLock(p) ==
  /\ pc[p] = "unlock"
  /\ storeLock' = None
  /\ Goto(p, IF /\ at[p] # None /\ claim[at[p]] = p
                /\ record[at[p]] = "incomplete" /\ There(at[p]) # {}
             THEN "removeHere" ELSE "remove")
  /\ UNCHANGED <<disk, owner, claim, asked, at, tried, history>>

\* p takes over what a dead owner left, and needs no store lock for it.
\* Go: Root.Recover.  Call: those of Recover.tla.  Grain: all of them up to the
\* claim, which TempDir.tla answers for.  Crash: no change.
Recover(p, x) ==
  /\ pc[p] = "idle" /\ place[x] = "staged" /\ owner[x] = None
  /\ owner' = Hold(owner, {x}, p)
  /\ op'  = [op  EXCEPT ![p] = "recover"]
  /\ arg' = [arg EXCEPT ![p] = x] /\ at' = [at EXCEPT ![p] = x]
  /\ Goto(p, "remove")
  /\ UNCHANGED <<disk, storeLock, claim, tried, history>>

\* p removes what is in its instance, if anything is: some files, then the
\* rest; and reports success when nothing is left.  Go: Dir.Close,
\* Root.Recover.  Call: unlinkat.  Grain: two steps, so that half a layer can
\* be seen.  Crash: before and after, a stale instance, or nothing.
Remove(p) ==
  /\ pc[p] = "remove"
  /\ LET x    == at[p]
         mine == x # None /\ owner[x] = p
     IN IF mine /\ x \in whole
        THEN /\ whole' = whole \ {x}
             /\ UNCHANGED <<place, owner, claim, pc, asked, at, tried,
                            deleted>>
        ELSE /\ place' = IF mine THEN [place EXCEPT ![x] = "gone"] ELSE place
             /\ owner' = IF mine THEN [owner EXCEPT ![x] = None] ELSE owner
             /\ deleted' = IF /\ op[p] = "delete" /\ x = arg[p]
                              /\ record[x] = "none"
                           THEN deleted \cup {x} ELSE deleted
             /\ End(p)
             /\ UNCHANGED whole
  /\ UNCHANGED <<record, storeLock, crashes, failures>>
=============================================================================
