----------------------------- MODULE LayerStore -----------------------------
(***************************************************************************)
(* A small layer store on top of temporary directories: what the users of  *)
(* a store rely on, and in which order the store has to take its steps.    *)
(*                                                                         *)
(*   delete: lock; flag; stage; forget; unlock; remove                     *)
(*   create: stage (no lock); lock; flag; commit; complete; unlock         *)
(*   load:   whoever takes the lock first finishes what is flagged         *)
(*                                                                         *)
(* Instances, ids and their locks do not appear.  A tree that is staged    *)
(* has an owner until the owner closes or dies, and then anyone removes    *)
(* it: that is what TempDir.tla promises and LockThenData.tla keeps.       *)
(*                                                                         *)
(* Left out: power loss (PowerLoss.tla), failing calls (a failure under    *)
(* the lock acts like a crash there: the flag stays), readers' locks.      *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS Proc, Old, New, MaxCrashes, None

Layer == Old \cup New    \* layers that exist, and layers to be created

VARIABLES
  record,     \* Durable.  record[x]: "none", "incomplete" or "complete".
  place,      \* Durable.  place[x]:  "absent", "home", "staged" or "gone".
  whole,      \* Durable.  The layers of which no file is missing.
  storeLock,  \* Volatile. The process that holds the store lock, or None.
  owner,      \* Volatile. owner[x] has x in an open directory, or None.
  pc,         \* Volatile. pc[p] is p's place.
  arg,        \* Volatile. arg[p] is the layer it is about, or None.
  deleted,    \* History.  The layers whose deletion reported success.
  crashes     \* History.

disk    == <<record, place, whole>>
history == <<deleted, crashes>>
vars    == <<disk, storeLock, owner, pc, arg, history>>

TypeOK ==
  /\ record \in [Layer -> {"none", "incomplete", "complete"}]
  /\ place  \in [Layer -> {"absent", "home", "staged", "gone"}]
  /\ whole \subseteq Layer /\ deleted \subseteq Layer
  /\ storeLock \in Proc \cup {None}
  /\ owner \in [Layer -> Proc \cup {None}]
  /\ pc  \in [Proc -> {"idle", "toDelete", "toCreate", "toLoad", "loading",
                       "flag", "stage", "forget", "commit", "complete",
                       "unlock", "remove"}]
  /\ arg \in [Proc -> Layer \cup {None}]
  /\ crashes \in 0 .. MaxCrashes

Init ==
  /\ record = [x \in Layer |-> IF x \in Old THEN "complete" ELSE "none"]
  /\ place  = [x \in Layer |-> IF x \in Old THEN "home" ELSE "absent"]
  /\ whole  = Layer
  /\ storeLock = None
  /\ owner = [x \in Layer |-> None]
  /\ pc    = [p \in Proc |-> "idle"]
  /\ arg   = [p \in Proc |-> None]
  /\ deleted = {} /\ crashes = 0

Goto(p, l) == pc' = [pc EXCEPT ![p] = l]
Incomplete == {x \in Layer : record[x] = "incomplete"}
-----------------------------------------------------------------------------
\* p is asked to delete layer x.
\* Go: Store.Delete.  Call: none.  Grain: the invocation.  Crash: no change.
Delete(p, x) ==
  /\ pc[p] = "idle" /\ record[x] = "complete"
  /\ arg' = [arg EXCEPT ![p] = x]
  /\ Goto(p, "toDelete")
  /\ UNCHANGED <<disk, storeLock, owner, history>>

\* p is asked to create layer x, and unpacks it without any store lock.
\* Go: Store.Create.  Call: many, in an instance that p owns.  Grain: one
\* step, as StageAddition in Create.tla.  Crash: after, a stale instance.
Create(p, x) ==
  /\ pc[p] = "idle" /\ place[x] = "absent"
  /\ place' = [place EXCEPT ![x] = "staged"]
  /\ owner' = [owner EXCEPT ![x] = p]
  /\ arg'   = [arg   EXCEPT ![p] = x]
  /\ Goto(p, "toCreate")
  /\ UNCHANGED <<record, whole, storeLock, history>>

\* p opens the store because something is flagged.
\* Go: Store.Load.  Call: none.  Grain: the invocation.  Crash: no change.
Load(p) ==
  /\ pc[p] = "idle" /\ storeLock = None /\ Incomplete # {}
  /\ Goto(p, "toLoad")
  /\ UNCHANGED <<disk, storeLock, owner, arg, history>>

\* p takes the store lock, and first finishes what others left flagged.
\* Go: Store.Load.  Call: fcntl(F_OFD_SETLKW), and a read of the metadata.
\* Grain: one step: nobody writes metadata without the lock.  Crash: no change.
TakeStoreLock(p) ==
  /\ pc[p] \in {"toDelete", "toCreate", "toLoad"} /\ storeLock = None
  /\ storeLock' = p
  /\ Goto(p, CASE Incomplete # {}     -> "loading"
               [] pc[p] = "toDelete" ->
                    IF record[arg[p]] = "complete" THEN "flag" ELSE "unlock"
               [] pc[p] = "toCreate" -> "flag"
               [] OTHER               -> "unlock")
  /\ UNCHANGED <<disk, owner, arg, history>>

\* p moves a flagged layer aside and goes on to forget it; what p wanted
\* itself it tries again later.  A layer of its own that waits is given up.
\* Go: Store.Load.  Call: renameat2, or none if the layer is not there.
\* Grain: one call.  Crash: before and after, the layer is flagged.
FinishFlagged(p, x) ==
  /\ pc[p] = "loading" /\ x \in Incomplete
  /\ place' = IF place[x] = "home"
              THEN [place EXCEPT ![x] = "staged"] ELSE place
  /\ owner' = [y \in Layer |-> IF y = x /\ place[x] = "home" THEN p
                               ELSE IF owner[y] = p THEN None ELSE owner[y]]
  /\ arg' = [arg EXCEPT ![p] = x]
  /\ Goto(p, "forget")
  /\ UNCHANGED <<record, whole, storeLock, history>>

\* p saves the record with the flag: where callers see Delete take effect.
\* Go: Store.Save.  Call: write, fsync, rename of the metadata file.  Grain:
\* the rename.  Crash: before, nothing; after, a flagged layer.
Flag(p) ==
  /\ pc[p] = "flag"
  /\ record' = [record EXCEPT ![arg[p]] = "incomplete"]
  /\ Goto(p, IF place[arg[p]] = "home" THEN "stage" ELSE "commit")
  /\ UNCHANGED <<place, whole, storeLock, owner, arg, history>>

\* p moves the layer aside.
\* Go: Dir.StageDeletion.  Call: renameat2.  Grain: one call.  Crash: before
\* and after, the layer is flagged.
Stage(p) ==
  /\ pc[p] = "stage"
  /\ place' = [place EXCEPT ![arg[p]] = "staged"]
  /\ owner' = [owner EXCEPT ![arg[p]] = p]
  /\ Goto(p, "forget")
  /\ UNCHANGED <<record, whole, storeLock, arg, history>>

\* p saves metadata without the record.
\* Go: Store.Save.  Call: as for Flag.  Grain: the rename.  Crash: before, a
\* flagged layer that is not there; after, a stale instance.
Forget(p) ==
  /\ pc[p] = "forget"
  /\ record' = [record EXCEPT ![arg[p]] = "none"]
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, storeLock, owner, arg, history>>

\* p puts the new layer in its place.
\* Go: Addition.Commit.  Call: renameat2.  Grain: one call.  Crash: before and
\* after, the layer is flagged.
Commit(p) ==
  /\ pc[p] = "commit"
  /\ place' = [place EXCEPT ![arg[p]] = "home"]
  /\ owner' = [owner EXCEPT ![arg[p]] = None]
  /\ Goto(p, "complete")
  /\ UNCHANGED <<record, whole, storeLock, arg, history>>

\* p takes the flag away: where Create takes effect.
\* Go: Store.Save.  Call: as for Flag.  Grain: the rename.  Crash: before, a
\* flagged layer; after, a layer.
Complete(p) ==
  /\ pc[p] = "complete"
  /\ record' = [record EXCEPT ![arg[p]] = "complete"]
  /\ Goto(p, "unlock")
  /\ UNCHANGED <<place, whole, storeLock, owner, arg, history>>

\* p drops the store lock.
\* Go: Store.Delete, Store.Create, Store.Load.  Call: fcntl.  Grain: one call.
\* Crash: no change.
DropStoreLock(p) ==
  /\ pc[p] = "unlock"
  /\ storeLock' = None
  /\ Goto(p, "remove")
  /\ UNCHANGED <<disk, owner, arg, history>>

\* p claims what a dead owner left, and needs no store lock for it.
\* Go: Root.Recover.  Call: those of Recover.tla.  Grain: all of them up to the
\* claim, which TempDir.tla answers for.  Crash: no change.
Recover(p, x) ==
  /\ pc[p] = "idle" /\ place[x] = "staged" /\ owner[x] = None
  /\ owner' = [owner EXCEPT ![x] = p]
  /\ arg'   = [arg   EXCEPT ![p] = x]
  /\ Goto(p, "remove")
  /\ UNCHANGED <<disk, storeLock, history>>

\* p removes what is in its instance: some files, then the rest; and reports
\* success when nothing is left.  Go: Dir.Close, Root.Recover.
\* Call: unlinkat.  Grain: two steps, so that half a layer can be seen.
\* Crash: before and after, a stale instance, or nothing.
Remove(p) ==
  /\ pc[p] = "remove"
  /\ LET x    == arg[p]
         mine == x # None /\ owner[x] = p
     IN IF mine /\ x \in whole
        THEN /\ whole' = whole \ {x}
             /\ UNCHANGED <<place, owner, pc, arg, deleted>>
        ELSE /\ place' = IF mine THEN [place EXCEPT ![x] = "gone"] ELSE place
             /\ owner' = IF mine THEN [owner EXCEPT ![x] = None] ELSE owner
             /\ deleted' = IF x # None /\ record[x] = "none"
                           THEN deleted \cup {x} ELSE deleted
             /\ arg' = [arg EXCEPT ![p] = None]
             /\ Goto(p, "idle")
             /\ UNCHANGED whole
  /\ UNCHANGED <<record, storeLock, crashes>>

\* p is killed.  Its locks go, the disk stays.
\* Go: none.  Call: none.  Grain: as in LockThenData.tla.  Crash: this is it.
Crash(p) ==
  /\ crashes < MaxCrashes /\ pc[p] # "idle"
  /\ crashes' = crashes + 1
  /\ storeLock' = IF storeLock = p THEN None ELSE storeLock
  /\ owner' = [x \in Layer |-> IF owner[x] = p THEN None ELSE owner[x]]
  /\ arg' = [arg EXCEPT ![p] = None]
  /\ Goto(p, "idle")
  /\ UNCHANGED <<disk, deleted>>

Step(p) ==
  \/ \E x \in Layer : FinishFlagged(p, x)
  \/ TakeStoreLock(p) \/ Flag(p) \/ Stage(p) \/ Forget(p) \/ Commit(p)
  \/ Complete(p) \/ DropStoreLock(p) \/ Remove(p)

Next == \E p \in Proc : \/ Load(p) \/ Step(p) \/ Crash(p)
                        \/ \E x \in Layer : Delete(p, x) \/ Create(p, x)
                                            \/ Recover(p, x)
Spec == Init /\ [][Next]_vars

LiveSpec == /\ Spec
            /\ \A p \in Proc : WF_vars(Step(p)) /\ SF_vars(TakeStoreLock(p))
            /\ WF_vars(\E p \in Proc : Load(p))
            /\ \A x \in Layer : SF_vars(\E p \in Proc : Recover(p, x))
-----------------------------------------------------------------------------
\* Nothing is ever removed by a process that holds the store lock.
RemovesUnlocked == \A p \in Proc : pc[p] = "remove" => storeLock # p

\* A layer that was reported deleted is out of reach, for good.
DeletedStaysGone == \A x \in deleted :
  place[x] # "home" /\ record[x] = "none"

\* A layer whose record is complete is there, and whole.
WholeOrFlagged == \A x \in Layer :
  record[x] = "complete" => place[x] = "home" /\ x \in whole

\* A layer that is there has a record, so that somebody can find it.
NoLeak == \A x \in Layer : place[x] = "home" => record[x] # "none"

\* Whatever was moved aside is gone in the end; what was flagged, finished.
GoneInTheEnd == <>[](/\ Incomplete = {}
                     /\ \A x \in Layer : place[x] # "staged")

THEOREM Spec => /\ []TypeOK /\ []DeletedStaysGone /\ []WholeOrFlagged
                /\ []NoLeak /\ []RemovesUnlocked
THEOREM LiveSpec => GoneInTheEnd
=============================================================================
