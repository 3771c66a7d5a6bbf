------------------------------- MODULE Recover ------------------------------
(***************************************************************************)
(* Recovery of what others left: take the lock of an instance whose owner  *)
(* is gone, recheck, and remove the instance (Remove.tla).                 *)
(*                                                                         *)
(*   List, OpenLock, TakeLock, StatName          a stale instance          *)
(*   List, OpenUnnamed, TakeLock, LinkLock       an orphan: adopt it       *)
(*                                                                         *)
(* Any number of recoverers, in any processes, at any time.  They take no  *)
(* lock but the instance's own and wait for nobody (rule 12).              *)
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
     \/ i \in data              /\ Goto(p, "sawData")
     \/ i \in data /\ MixedFleet /\ Goto(p, "sawBoth")
  /\ id' = [id EXCEPT ![p] = i]
  /\ UNCHANGED <<disk, locks, arg, history>>

(***************************************************************************)
(* p opens the lock file, and never creates it (rule 3).  If it is gone by *)
(* now, so is the instance.                                                *)
(*                                                                         *)
(* Go:     Root.Recover; OpenLock.                                         *)
(* Call:   openat(root, "lock-<i>", O_RDWR|O_NOFOLLOW|O_CLOEXEC).          *)
(* Grain:  one call; the look at the name's age comes before it in the     *)
(*         code and is joined to it, because what is old stays old.        *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
OpenLock(p) ==
  /\ Ours(p)
  /\ pc[p] \in {"sawLock", "sawBoth"}
  /\ pc[p] = "sawLock" => ~TooYoung(id[p])
  /\ IF lock[id[p]] # None /\ ~InTable(p, id[p])
     THEN fd' = [fd EXCEPT ![p] = lock[id[p]]] /\ Goto(p, "opened")
     ELSE UNCHANGED fd /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, holder, id, arg, history>>

(***************************************************************************)
(* Rule 13: p leaves a bare lock file, or data alone, while it is young.   *)
(* Go: Root.Recover; StatName.  Call: fstatat(root, name).  Grain: see     *)
(* OpenLock.  Crash: before and after, the disk is the same.               *)
(***************************************************************************)
SkipYoung(p) ==
  /\ pc[p] \in {"sawLock", "sawData"} /\ TooYoung(id[p])
  /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, locks, id, arg, history>>
=============================================================================
