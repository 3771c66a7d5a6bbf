------------------------------- MODULE Recover ------------------------------
(***************************************************************************)
(* Recovery of what others left: take the lock of an instance whose owner  *)
(* is gone, recheck, and remove the instance (Remove.tla).                 *)
(*                                                                         *)
(*   List, OpenLock, TakeLock, StatName          a stale instance          *)
(*   List, OpenUnnamed, TakeLock, LinkLock       an orphan: adopt it       *)
(*   List, OpenToInspect, LockHolder             look, and change nothing  *)
(*                                                                         *)
(* Any number of recoverers, in any processes, at any time.  They take no  *)
(* lock but the instance's own and wait for nobody (rule 12).              *)
(*                                                                         *)
(* Where to find what is used here: Posix, Shares, HeldByUs, Gone, disk and*)
(* locks are in Kernel.tla; TooYoung, YoungData, Goto and history in       *)
(* Create.tla.  TakeLock and LinkLock are there, StatName in Remove.tla.   *)
(***************************************************************************)
EXTENDS Remove

\* A process with a table refuses a path that it has locked already.
InTable(p, i) ==
  /\ Posix(p) /\ (LockKind = "table" \/ ~Ours(p))
  /\ \E q \in Proc \ {p} : /\ Shares(p, q) /\ RootName[p] = RootName[q]
                           /\ id[q] = i /\ fd[q] # None

(***************************************************************************)
(* p finds id i in the root, by its lock file or by its data.              *)
(*                                                                         *)
(* Go:     Root.Recover; List.                                             *)
(* Call:   getdents64(root).                                               *)
(* Grain:  a listing of many names is not atomic: one step an id, in any   *)
(*         order and any time apart, and a name may be missed while it     *)
(*         comes or goes.  "sawBoth" matters to rule 13 only.              *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
List(p, i) ==
  /\ p \in Recoverer /\ pc[p] = "idle"
  /\ \/ ~Gone(i)                /\ Goto(p, "sawLock")
     \/ i \in data /\ p \notin Inspector /\ Goto(p, "sawData")
     \/ i \in data /\ MixedFleet /\ Goto(p, "sawBoth")
  /\ id' = [id EXCEPT ![p] = i]
  /\ UNCHANGED <<disk, locks, arg, history>>

\* What p's copy of the package keeps parked: it closes a descriptor once it
\* gets the lock of it, which proves that there is no lock to drop.
StillParked(p) ==
  [parked EXCEPT ![Package[p]] = {n \in @ : holder[n] # None}]

\* Is i's lock file one that is parked, and still locked by p's process?  Then
\* the instance is live, and opening the file would only be one more to park.
IsParked(p, i) == lock[i] \in parked[Package[p]] /\ HeldByUs(p, lock[i])

(***************************************************************************)
(* p opens the lock file, and never creates it (rule 3).  If it is gone by *)
(* now, so is the instance.                                                *)
(*                                                                         *)
(* Go:     Root.Recover; OpenLock.                                         *)
(* Call:   openat(root, "lock-<i>", O_RDWR|O_NOFOLLOW|O_CLOEXEC).          *)
(* Grain:  one call; the look at the name's age comes before it in the     *)
(*         code and is joined to it, because what is old stays old.  So is *)
(*         the look at what is parked: it closes what it can lock, and in  *)
(*         between somebody may find that busy, as at any other time.      *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
OpenLock(p) ==
  /\ Ours(p) /\ p \notin Inspector
  /\ pc[p] \in {"sawLock", "sawBoth"}
  /\ pc[p] = "sawLock" => ~TooYoung(id[p])
  /\ IF lock[id[p]] # None /\ ~InTable(p, id[p]) /\ ~IsParked(p, id[p])
     THEN fd' = [fd EXCEPT ![p] = lock[id[p]]] /\ Goto(p, "opened")
     ELSE UNCHANGED fd /\ Goto(p, "closing")
  /\ parked' = StillParked(p)
  /\ UNCHANGED <<disk, holder, id, arg, history>>

(***************************************************************************)
(* p opens the lock file to see who has it, and takes no lock.             *)
(*                                                                         *)
(* Go:     Root.Instances; OpenToInspect.                                  *)
(* Call:   openat(root, "lock-<i>", O_RDONLY|O_NOFOLLOW|O_CLOEXEC).        *)
(* Grain:  as OpenLock.  ReadOwner, which follows it, reads the file.      *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
OpenToInspect(p) ==
  /\ p \in Inspector
  /\ pc[p] \in {"sawLock", "sawBoth"}
  /\ pc[p] = "sawLock" => ~TooYoung(id[p])
  /\ IF lock[id[p]] # None /\ ~IsParked(p, id[p])
     THEN fd' = [fd EXCEPT ![p] = lock[id[p]]] /\ Goto(p, "looking")
     ELSE UNCHANGED fd /\ Goto(p, "closing")
  /\ parked' = StillParked(p)
  /\ UNCHANGED <<disk, holder, id, arg, history>>

(***************************************************************************)
(* Rule 13: p leaves a bare lock file, or data alone, while it is young.   *)
(* Go: Root.Recover, Root.Instances; StatName.  Call: fstatat(root, name). *)
(* Grain: see OpenLock.  Crash: before and after, the disk is the same.    *)
(***************************************************************************)
SkipYoung(p) ==
  /\ \/ pc[p] = "sawLock" /\ TooYoung(id[p])
     \/ pc[p] = "sawData" /\ YoungData(id[p])
  /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, locks, id, arg, history>>
=============================================================================
