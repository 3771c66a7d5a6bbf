---------------------------- MODULE StoreInPlace ----------------------------
(***************************************************************************)
(* Removal of a layer where it is, because it could not be moved aside.    *)
(*                                                                         *)
(*   lock; flag; (staging is refused); claim; unlock; remove; lock again;  *)
(*   forget; unlock; the claim goes                                        *)
(*                                                                         *)
(* Until the record is forgotten the layer is flagged, at home, and not    *)
(* whole.  The claim is a lock on a byte of the lock file: it dies with    *)
(* its process, and then the next one that comes for it starts again.      *)
(***************************************************************************)
EXTENDS StoreSteps

\* p could not move the layer aside.  If that is p's business, p removes it
\* where it is; if not, it is left as it is.
\* Go: Dir.StageDeletion.  Call: renameat2, or those of Create.tla, with an
\* errno.  Grain: one call.  Crash: the layer is flagged.
StageFails(p) ==
  /\ pc[p] = "stage" /\ There(at[p]) # {} /\ failures < MaxFailures
  /\ failures' = failures + 1
  /\ IF Own(p) THEN Goto(p, "claim") /\ UNCHANGED tried
     ELSE Goto(p, "release") /\ Leave(p, at[p])
  /\ UNCHANGED <<disk, locks, asked, at, deleted, crashes>>

\* p could not, for the layer is a mount point: it must not be touched.
\* Go: Dir.StageDeletion.  Call: renameat2 = EBUSY.  Grain: one call.  Crash:
\* the layer is flagged.
StageMeetsMount(p) ==
  /\ pc[p] = "stage" /\ There(at[p]) # {} /\ Own(p)
  /\ failures < MaxFailures /\ failures' = failures + 1
  /\ IF at[p] = arg[p] THEN Goto(p, "unflag") /\ UNCHANGED tried
     ELSE Goto(p, "unlock") /\ Leave(p, at[p])
  /\ UNCHANGED <<disk, locks, asked, at, deleted, crashes>>

\* p takes the flag back: nothing was moved, and nobody has seen it.
\* Go: Store.Delete.  Call: as for Flag.  Grain: as for Flag.  Crash: before,
\* a flagged layer; after, a layer.
Unflag(p) ==
  /\ pc[p] = "unflag"
  /\ Record(at[p], "complete")
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* p claims the layer, under the store lock.
\* Go: Store.Delete, Store.Load.  Call: fcntl(F_OFD_SETLK).  Grain: one call.
\* Crash: before and after, the layer is flagged, and nobody's.
Claim(p) ==
  /\ pc[p] = "claim"
  /\ claim' = Hold(claim, {at[p]}, p)
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<disk, storeLock, owner, asked, at, tried, history>>

\* p removes what is at the layer's path: some files, then the rest.
\* Go: Store.Delete, Store.Load.  Call: unlinkat.  Grain: two steps, as for
\* Remove.  Crash: before and after, the layer is flagged, and nobody's.
RemoveHere(p) ==
  /\ pc[p] = "removeHere"
  /\ LET S == There(at[p])
     IN IF S \cap whole # {}
        THEN whole' = whole \ S /\ UNCHANGED <<place, pc>>
        ELSE Put(S, "gone") /\ Goto(p, "again") /\ UNCHANGED whole
  /\ UNCHANGED <<record, locks, asked, at, tried, history>>

\* p takes the store lock again.
\* Go: Store.Delete, Store.Load.  Call: fcntl(F_OFD_SETLKW).  Grain: one call.
\* Crash: as after RemoveHere.
TakeStoreLockAgain(p) ==
  /\ pc[p] = "again" /\ storeLock = None
  /\ storeLock' = p
  /\ Goto(p, "forgetHere")
  /\ UNCHANGED <<disk, owner, claim, asked, at, tried, history>>

\* p saves metadata without the record.
\* Go: Store.Delete, Store.Load.  Call: as for Flag.  Grain: as for Flag.
\* Crash: before, a flagged layer that is not there; after, nothing.
ForgetHere(p) ==
  /\ pc[p] = "forgetHere"
  /\ Record(at[p], "none")
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* What is flagged, somebody removes where it is: p leaves it to them.
\* Go: Store.Load.  Call: fcntl(F_OFD_GETLK).  Grain: one step, since nobody
\* claims without the store lock.  Crash: no change.
LeaveClaimed(p) ==
  /\ pc[p] = "loading" /\ \A x \in Incomplete \ tried[p] : claim[x] # None
  /\ Begin(p)
  /\ UNCHANGED <<disk, locks, asked, tried, history>>

\* p cannot find out whether somebody does, which counts as if.
\* Go: Store.Load.  Call: openat or fcntl(F_OFD_GETLK), with an errno.  Grain:
\* one call.  Crash: no change.
ClaimUnknown(p, x) ==
  /\ pc[p] = "loading" /\ x \in Incomplete \ tried[p]
  /\ failures < MaxFailures /\ failures' = failures + 1
  /\ Leave(p, x) /\ GoOn(p, tried[p] \cup {x})
  /\ UNCHANGED <<disk, locks, asked, deleted, crashes>>
=============================================================================
