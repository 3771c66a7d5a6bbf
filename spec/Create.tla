------------------------------- MODULE Create -------------------------------
(***************************************************************************)
(* The owner's half of the protocol, up to Close: create an instance,      *)
(* stage deletions and additions in it, commit additions.                  *)
(*                                                                         *)
(*   OpenUnnamed, TakeLock, LinkLock, MakeData        with O_TMPFILE       *)
(*   CreateLock, TakeLock, StatName, MakeData         without              *)
(*                                                                         *)
(* Adoption is the same start: a recoverer that finds data without a lock  *)
(* file takes it with OpenUnnamed, TakeLock, LinkLock, but on a given id.  *)
(*                                                                         *)
(* Every comment has four labels.  Go: the function that makes the call.   *)
(* Call: the system call.  Grain: what is coarser or finer than the code,  *)
(* and why that is sound.  Crash: what the disk holds if the process dies  *)
(* just before, and just after.  A Go method is written Type.Method.       *)
(*                                                                         *)
(* Where to find what is used here: Ours, CanLock, NewInode, disk and locks*)
(* are in Kernel.tla.                                                      *)
(***************************************************************************)
EXTENDS Kernel

CONSTANTS
  OrphanGrace, \* Is young data without a lock file left alone?
  MayRelease   \* May an owner give its instance up (Release)?

VARIABLES
  pc,      \* Volatile. pc[p] is p's place in the protocol.
  id,      \* Volatile. id[p] is the id that p works on, or None.
  arg,     \* Volatile. arg[p] is the tree p works on, or None.
  used,    \* History.  The ids that were ever taken.
  crashes, \* History.  How many crashes there were.
  failures \* History.  How many system calls failed.

history == <<used, crashes, failures>>    \* not in any program

\* A new instance gets an id that was never used (rule 6).
Fresh(i) == i \notin used

Goto(p, l) == pc' = [pc EXCEPT ![p] = l]

CreatePCs == {"unnamed", "locked", "created", "taken", "named"}
ReplyPCs  == {"ok", "missing", "lost", "failed"}
OpenPCs   == {"live", "calling"} \cup ReplyPCs    \* the caller has a Dir

(***************************************************************************)
(* Rule 13 asks whether a name is young, whoever made it.  There is no     *)
(* clock here: "young" is what a grace period stands for.  A lock file is  *)
(* young until its creator has come to the data, and data without one are  *)
(* for as long as an upstream owner lives in them.  These are assumptions  *)
(* about time, that no creator and no such owner takes longer than the     *)
(* grace for lock files, or for data, and not theorems.                    *)
(***************************************************************************)
BeforeData ==
  CreatePCs \cup {"upstreamNamed", "upstreamOpened", "upstreamTaken"}
MayBeYoung(q, i) ==
  IF lock[i] = None THEN ~Ours(q) ELSE pc[q] \in BeforeData
TooYoung(i) == MixedFleet /\ \E q \in Creator :
  id[q] = i /\ MayBeYoung(q, i)

\* Data without a lock file is left alone for longer, beside anybody: a cleaner
\* of temporary files may have taken the lock file of a live instance.
YoungData(i) == ~ /\ ~TooYoung(i)
                  /\ OrphanGrace => \A q \in Creator : id[q] # i

(***************************************************************************)
(* Rule 15: a close is a lock operation.  Where upstream's code runs in    *)
(* p's own process, p closes a lock file without holding its lock only     *)
(* after a look at whose the lock is (LockHolder in Remove.tla).  Elsewhere*)
(* the answer cannot be "ours", and the look is no step.                   *)
(***************************************************************************)
Looks(p) == /\ Ours(p) /\ MixedFleet
            /\ \E q \in Upstream : Pid[q] = Pid[p]
LetGo(p) == IF Looks(p) THEN "looking" ELSE "closing"

ASSUME OneMixedProcess ==
  \A p, q \in Proc : Looks(p) /\ Looks(q) => Pid[p] = Pid[q]
-----------------------------------------------------------------------------
(***************************************************************************)
(* p opens a file that has no name.                                        *)
(*                                                                         *)
(* Go:     Root.Create, and Root.Recover to adopt; OpenUnnamed.            *)
(* Call:   openat(root, ".", O_TMPFILE|O_RDWR|O_CLOEXEC, 0600).            *)
(* Grain:  one call.  Nobody else can see the file.                        *)
(* Crash:  before and after, no trace.                                     *)
(***************************************************************************)
OpenUnnamed(p) ==
  /\ Ours(p) /\ TmpFile
  /\ \/ p \in Creator   /\ pc[p] = "idle" /\ ~\A i \in Id : ~Fresh(i)
     \/ p \in Recoverer /\ pc[p] = "sawData" /\ ~YoungData(id[p])
  /\ fd' = [fd EXCEPT ![p] = NewInode]
  /\ Goto(p, "unnamed")
  /\ UNCHANGED <<disk, holder, parked, id, arg, history>>

(***************************************************************************)
(* p tries the lock of the file it holds open, and never waits for it.     *)
(* Busy means that somebody else is at work here: let go.                  *)
(*                                                                         *)
(* Go:     Root.Create, Root.Recover; TakeLock.                            *)
(* Call:   fcntl(fd, F_OFD_SETLK, F_WRLCK).                                *)
(* Grain:  one call.  WriteOwner, which follows it in the code, writes     *)
(*         into the file and nothing is decided from it.                   *)
(* Crash:  before and after, the disk is the same; the lock dies with p.   *)
(***************************************************************************)
TakeLock(p) ==
  /\ Ours(p) /\ pc[p] \in {"unnamed", "created", "opened"}
  /\ IF CanLock(p)
     THEN /\ holder' = [holder EXCEPT ![fd[p]] = p]
          /\ Goto(p, IF pc[p] = "unnamed" THEN "locked" ELSE "taken")
     ELSE UNCHANGED holder /\ Goto(p, LetGo(p))
  /\ UNCHANGED <<disk, fd, parked, id, arg, history>>

(***************************************************************************)
(* p gives its locked file the name lock-<i> (rule 1).  If the name is     *)
(* there already, somebody else has the id: an adopter lets go, a creator  *)
(* tries another id.                                                       *)
(*                                                                         *)
(* Go:     Root.Create, and Root.Recover to adopt; LinkLock.               *)
(* Call:   linkat("/proc/self/fd/N", root, "lock-<i>", AT_SYMLINK_FOLLOW). *)
(* Grain:  one call.  A creator's EEXIST changes nothing: no step.         *)
(* Crash:  before, no trace; after, a stale instance without data.         *)
(***************************************************************************)
LinkLock(p, i) ==
  /\ Ours(p) /\ pc[p] = "locked"
  /\ IF p \in Creator THEN Fresh(i) /\ lock[i] = None ELSE i = id[p]
  /\ IF lock[i] = None
     THEN /\ lock' = [lock EXCEPT ![i] = fd[p]]
          /\ Goto(p, IF p \in Creator THEN "named" ELSE "claimed")
     ELSE UNCHANGED lock /\ Goto(p, "closing")
  /\ id' = [id EXCEPT ![p] = i]
  /\ used' = used \cup {i} /\ UNCHANGED <<crashes, failures>>
  /\ UNCHANGED <<data, place, tree, locks, arg>>

(***************************************************************************)
(* Where there are no unnamed files, p creates lock-<i> before it can lock *)
(* it, and so has to recheck the name after that (StatName).               *)
(*                                                                         *)
(* Go:     Root.Create, and Root.Recover to adopt; CreateLock.             *)
(* Call:   openat(root, "lock-<i>", O_CREAT|O_EXCL|O_RDWR|O_NOFOLLOW).     *)
(* Grain:  one call.  EEXIST as in LinkLock.                               *)
(* Crash:  before, no trace; after, a stale instance without data.         *)
(***************************************************************************)
CreateLock(p, i) ==
  /\ Ours(p) /\ ~TmpFile
  /\ \/ p \in Creator   /\ pc[p] = "idle" /\ Fresh(i) /\ lock[i] = None
     \/ /\ p \in Recoverer /\ pc[p] = "sawData" /\ ~YoungData(id[p])
        /\ i = id[p]
  /\ IF lock[i] = None
     THEN /\ lock' = [lock EXCEPT ![i] = NewInode]
          /\ fd'   = [fd   EXCEPT ![p] = NewInode]
          /\ Goto(p, "created")
     ELSE UNCHANGED <<lock, fd>> /\ Goto(p, "closing")
  /\ id' = [id EXCEPT ![p] = i]
  /\ used' = used \cup {i} /\ UNCHANGED <<crashes, failures>>
  /\ UNCHANGED <<data, place, tree, holder, parked, arg>>

(***************************************************************************)
(* p makes the data directory.  From here on the instance is live; this is *)
(* where Create takes effect.                                              *)
(*                                                                         *)
(* Go:     Root.Create; MakeData.                                          *)
(* Call:   mkdirat(root, "temp-dir-<i>", 0700).                            *)
(* Grain:  one call.  EEXIST is an error: the name belongs to a stranger.  *)
(* Crash:  before, a stale instance without data; after, one with data.    *)
(***************************************************************************)
MakeData(p) ==
  /\ pc[p] = "named"
  /\ IF id[p] \in data /\ Ours(p)
     THEN UNCHANGED data /\ Goto(p, "emptied")
     ELSE data' = data \cup {id[p]} /\ Goto(p, "ok")
  /\ UNCHANGED <<lock, place, tree, locks, id, arg, history>>
-----------------------------------------------------------------------------
(***************************************************************************)
(* p's caller invokes StageDeletion, or Commit, on tree x.                 *)
(* Go: Dir.StageDeletion, Addition.Commit.  Call: none.  Grain: the        *)
(* invocation; a tree that is missing by then is met between this step and *)
(* the next.  Crash: before and after, the disk is the same.               *)
(***************************************************************************)
Invoke(p, x) ==
  /\ pc[p] = "live"
  /\ \/ x \in Victim   /\ place[x] = "home"
     \/ x \in Addition /\ place[x] = id[p]
  /\ arg' = [arg EXCEPT ![p] = x]
  /\ Goto(p, "calling")
  /\ UNCHANGED <<disk, locks, id, history>>

(***************************************************************************)
(* p moves victim x aside.  ENOENT has two meanings, told apart by looking *)
(* at the held data directory (rule 10): "missing", somebody else had the  *)
(* victim first, or "lost", our own directory is gone.                     *)
(*                                                                         *)
(* Go:     Dir.StageDeletion; StageDeletion.                               *)
(* Call:   renameat2(victim, data, "<n>-<hint>", RENAME_NOREPLACE).        *)
(* Grain:  one call; the look after an ENOENT is joined to it, because a   *)
(*         directory that is gone stays gone.                              *)
(* Crash:  before, the victim is in its place; after, a stale entry.       *)
(***************************************************************************)
StageDeletion(p) ==
  /\ pc[p] = "calling" /\ arg[p] \in Victim
  /\ IF id[p] \in data /\ place[arg[p]] = "home"
     THEN place' = [place EXCEPT ![arg[p]] = id[p]] /\ Goto(p, "ok")
     ELSE /\ Goto(p, IF id[p] \in data THEN "missing" ELSE "lost")
          /\ UNCHANGED place
  /\ UNCHANGED <<lock, data, tree, locks, id, arg, history>>

(***************************************************************************)
(* p's caller fills a reserved path with a tree.                           *)
(* Go: Dir.StageAddition, then the caller.  Call: many.  Grain: one        *)
(* step for all of them: they touch a live instance's data only, which     *)
(* nobody else touches while LiveKept holds.  Crash: a stale entry.        *)
(***************************************************************************)
StageAddition(p, x) ==
  /\ pc[p] = "live" /\ id[p] \in data /\ x \in Addition
  /\ place[x] = "absent"
  /\ place' = [place EXCEPT ![x] = id[p]]
  /\ tree'  = [tree  EXCEPT ![x] = Files]
  /\ UNCHANGED <<lock, data, locks, pc, id, arg, history>>

(***************************************************************************)
(* p moves the added tree to its destination, and never over another.      *)
(*                                                                         *)
(* Go:     Addition.Commit; Commit.                                        *)
(* Call:   renameat2(data, "<n>-<hint>", destination, RENAME_NOREPLACE).   *)
(* Grain:  one call.  The tree moves with all that is in it at the time,   *)
(*         and with every descriptor that somebody has open below it.      *)
(* Crash:  before, a stale entry; after, the tree in its place.            *)
(***************************************************************************)
Commit(p) ==
  /\ pc[p] = "calling" /\ arg[p] \in Addition
  /\ IF place[arg[p]] = id[p]
     THEN place' = [place EXCEPT ![arg[p]] = "home"] /\ Goto(p, "ok")
     ELSE UNCHANGED place /\ Goto(p, "lost")
  /\ UNCHANGED <<lock, data, tree, locks, id, arg, history>>

(***************************************************************************)
(* Create, StageDeletion or Commit responds.                               *)
(* Go: Root.Create, Dir.StageDeletion, Addition.Commit.                    *)
(* Call: none.  Grain: the response.  Crash: the disk is the same.         *)
(***************************************************************************)
Return(p) ==
  /\ pc[p] \in ReplyPCs
  /\ arg' = [arg EXCEPT ![p] = None]
  /\ Goto(p, "live")
  /\ UNCHANGED <<disk, locks, id, history>>
=============================================================================
