---------------------------- MODULE LockThenData ----------------------------
(***************************************************************************)
(* How: the lock-then-data protocol, whole.  The steps are in Create.tla,  *)
(* Remove.tla and Recover.tla; this module adds failing calls and crashes, *)
(* puts them together, says what must hold, and maps the protocol to what  *)
(* callers rely on (TempDir.tla).                                          *)
(*                                                                         *)
(* One action is one system call that another process can observe.         *)
(* Anything coarser hides the race that this protocol is about.            *)
(*                                                                         *)
(* Bounded in the models: processes, ids, trees, crashes, failing calls.   *)
(* Where to find what is used here: Ours, Pid, HolderWithout, IsNamed,     *)
(* Entries, Gone, disk and locks are in Kernel.tla; Goto, Looks, LetGo and *)
(* the sets of places (...PCs) in Create.tla, but for RemovePCs, which is  *)
(* in Remove.tla with StatName and Close.                                  *)
(*                                                                         *)
(* Left out: calls that nobody can observe (Stat, WriteOwner), and calls   *)
(* that change how a tree is removed but not what is removed (see the      *)
(* table of calls in README.md).                                           *)
(***************************************************************************)
EXTENDS Recover

CONSTANTS MaxCrashes, MaxFailures    \* Bounds for TLC; the protocol has none.

vars == <<disk, locks, pc, id, arg, history>>

TypeOK ==
  /\ KernelTypeOK
  /\ pc \in [Proc -> {"idle", "sawLock", "sawData", "sawBoth", "opened",
                      "claimed"} \cup CreatePCs \cup OpenPCs \cup RemovePCs]
  /\ id   \in [Proc -> Id \cup {None}]
  /\ arg  \in [Proc -> Item \cup {None}]
  /\ used \in SUBSET Id
  /\ crashes  \in 0 .. MaxCrashes
  /\ failures \in 0 .. MaxFailures

Init ==
  /\ KernelInit
  /\ pc   = [p \in Proc |-> "idle"]
  /\ id   = [p \in Proc |-> None]
  /\ arg  = [p \in Proc |-> None]
  /\ used = Orphan
  /\ crashes = 0 /\ failures = 0
-----------------------------------------------------------------------------
(***************************************************************************)
(* p's next call fails: ENOSPC, EIO, EACCES, whatever.  Nothing on disk    *)
(* changes.  A rename reports it; a create that has a name by now removes  *)
(* it; a failed removal leaves both names and lets go (rule 5).            *)
(*                                                                         *)
(* Go:     Root.Create, Dir.StageDeletion, Addition.Commit, Dir.Close,     *)
(*         Root.Recover: the error paths.                                  *)
(* Call:   any.                                                            *)
(* Grain:  a failing first call (OpenUnnamed, CreateLock, OpenLock) leaves *)
(*         nothing behind and is no step.                                  *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
AfterFailure(l) ==
  CASE l = "calling" -> "failed"
    [] l = "named"   -> "emptied"
    [] OTHER         -> "closing"

CallFails(p) ==
  /\ Ours(p) /\ failures < MaxFailures
  /\ \/ pc[p] \in {"unnamed", "locked", "created", "taken", "named", "opened",
                   "calling", "emptying", "inside", "emptied", "verified",
                   "looking"}
     \/ p \in Recoverer /\ pc[p] = "claimed"
     \/ p \in Creator   /\ pc[p] = "live"    \* Close cannot open the data
  /\ failures' = failures + 1
  /\ Goto(p, IF pc[p] \in {"created", "opened"} THEN LetGo(p)
             ELSE AfterFailure(pc[p]))
  /\ IF pc[p] = "looking" /\ MixedFleet    \* unknown is not no: park it
     THEN /\ parked' = [parked EXCEPT ![Package[p]] = @ \cup {fd[p]}]
          /\ fd' = [fd EXCEPT ![p] = None]
     ELSE UNCHANGED <<fd, parked>>
  /\ UNCHANGED <<disk, holder, id, used, crashes>>
  /\ arg' = [arg EXCEPT ![p] = IF pc[p] = "inside" THEN None ELSE @]

(***************************************************************************)
(* The operating system process of p is killed, with every goroutine in    *)
(* it.  Another one takes its place.  The kernel closes the descriptors    *)
(* and drops the locks; the disk keeps what it has.                        *)
(* Go: none.  Call: none.  Grain: the kernel's closing of descriptors is   *)
(* one step, because each process here has one.  Crash: this is it.        *)
(***************************************************************************)
Crash(p) ==
  LET S == {q \in Proc : Pid[q] = Pid[p]} IN
  /\ crashes < MaxCrashes
  /\ ~\A q \in S : pc[q] = "idle"
  /\ crashes' = crashes + 1
  /\ holder' = HolderWithout(S)
  /\ parked' = IF \E q \in S : Looks(q) THEN NoneParked ELSE parked
  /\ fd'  = [q \in Proc |-> IF q \in S THEN None ELSE fd[q]]
  /\ id'  = [q \in Proc |-> IF q \in S THEN None ELSE id[q]]
  /\ arg' = [q \in Proc |-> IF q \in S THEN None ELSE arg[q]]
  /\ pc'  = [q \in Proc |-> IF q \in S THEN "idle" ELSE pc[q]]
  /\ UNCHANGED <<disk, used, failures>>

\* Somebody mounts an outside tree inside an instance, or unmounts it.
\* Go: none.  Call: mount, umount.  Grain: one call.  Crash: no change.
Mount(x) ==
  /\ \/ place[x] = "home" /\ \E i \in data : place' = [place EXCEPT ![x] = i]
     \/ place[x] \in Id   /\ place' = [place EXCEPT ![x] = "home"]
  /\ UNCHANGED <<lock, data, tree, locks, pc, id, arg, history>>

Step(p) ==
  \/ OpenUnnamed(p) \/ TakeLock(p) \/ MakeData(p)
  \/ \E i \in Id : LinkLock(p, i) \/ CreateLock(p, i) \/ List(p, i)
  \/ \E x \in Item : Invoke(p, x) \/ StageAddition(p, x) \/ OpenEntry(p, x)
  \/ StageDeletion(p) \/ Commit(p) \/ Return(p)
  \/ OpenDirectory(p) \/ RemoveEntry(p) \/ RemoveData(p)
  \/ StatName(p) \/ RemoveLock(p) \/ Close(p)
  \/ OpenLock(p) \/ SkipYoung(p)
  \/ Release(p) \/ OpenToInspect(p) \/ LockHolder(p)

Environment == \/ \E p \in Proc : CallFails(p) \/ Crash(p)
               \/ \E x \in Mounted : Mount(x)

Next == Environment \/ \E p \in Proc : Step(p)
Spec == Init /\ [][Next]_vars

\* A listing that misses nothing: a name that is there all the time is seen.
WholeList(p, i) == List(p, i) /\ pc'[p] =
  IF lock[i] = None THEN "sawData"
  ELSE IF i \in data /\ MixedFleet THEN "sawBoth" ELSE "sawLock"

\* Every process goes on, and a recoverer that lists again and again comes to
\* every id.  Callers close in the end.  Nobody has to crash or fail.
Fairness == /\ \A p \in Proc : WF_vars(Step(p))
            /\ \A p \in Recoverer, i \in Id : SF_vars(WholeList(p, i))
LiveSpec == Spec /\ Fairness
-----------------------------------------------------------------------------
Live(p)   == p \in Creator /\ pc[p] \in OpenPCs
Acting(p) == \/ Live(p) \/ pc[p] \in {"named", "claimed"}
             \/ pc[p] \in {"emptying", "inside", "emptied", "verified"}

\* A live instance keeps its data, and all of every tree in it.
LiveKept == \A p \in Creator : Live(p) =>
  id[p] \in data /\ \A x \in Entries(id[p]) : tree[x] = Files

\* Our live instance has its lock file, and its owner holds that lock.
LiveIsLocked == \A p \in Creator : Live(p) /\ Ours(p) =>
  IsNamed(p, id[p]) /\ holder[fd[p]] = p

\* A live owner keeps its lock, whoever else closes the file (rule 15).
LockKept == \A p \in Creator : Live(p) => holder[fd[p]] = p

\* At most one process acts on an id.
OneOwner == \A p, q \in Proc :
  p # q /\ Acting(p) /\ Acting(q) => id[p] # id[q]

\* Data is never without its lock file: recovery can tell whose it is.
DataHasLock == \A i \in data : lock[i] # None

\* What a caller can reach by its path is whole.
ReachableWhole == \A x \in Item :
  place[x] = "home" \/ x \in Mounted => tree[x] = Files

\* What a caller is told about its victim is true.
RepliesTrue == \A p \in Creator : arg[p] \in Victim =>
  (pc[p] \in {"ok", "missing"} => place[arg[p]] # "home")

\* Our own directory is never lost.
NeverLost == \A p \in Proc : pc[p] # "lost"

\* A lock file is unlinked only by the holder of its lock.
UnlinkedByHolder == [][\A i \in Id :
  lock[i] # None /\ lock'[i] # lock[i] =>
    \E p \in Proc : /\ fd[p] = lock[i] /\ holder[fd[p]] = p
                    /\ pc'[p] # pc[p]]_vars

\* Who only looks changes nothing: neither the disk nor anybody's lock.
LookingChangesNothing == [][\A p \in Inspector :
  pc'[p] # pc[p] /\ crashes' = crashes => UNCHANGED <<disk, holder>>]_vars

\* Every instance is gone in the end, whoever died or failed to remove it,
\* and also while the process that failed lives on.
GoneInTheEnd == \A i \in Id : <>[]Gone(i)
-----------------------------------------------------------------------------
(***************************************************************************)
(* The refinement: how this protocol looks to its callers.  A staged tree  *)
(* is gone from the moment its first file is.                              *)
(***************************************************************************)
ItemOf(x) ==
  CASE place[x] = "home" -> IF tree[x] = Files THEN "live" ELSE "torn"
    [] place[x] \in Id   -> IF tree[x] = Files THEN "staged" ELSE "gone"
    [] OTHER             -> place[x]

OwnerOf(x) ==
  IF ItemOf(x) = "staged" /\ \E p \in Creator : id[p] = place[x]
  THEN CHOOSE p \in Creator : id[p] = place[x] ELSE None

InCall(p) == p \in Creator /\ pc[p] \in {"calling"} \cup ReplyPCs

DoesOf(p) ==
  CASE p \in Recoverer       -> IF pc[p] = "idle" THEN None ELSE "recover"
    [] pc[p] \in CreatePCs   -> "create"
    [] pc[p] \in RemovePCs   -> "close"
    [] InCall(p)             -> IF arg[p] = None THEN "create"
                                ELSE IF arg[p] \in Victim THEN "delete"
                                ELSE "commit"
    [] OTHER                 -> None

TD == INSTANCE TempDir WITH
  item  <- [x \in Victim \cup Addition |-> ItemOf(x)],
  owner <- [x \in Victim \cup Addition |-> OwnerOf(x)],
  does  <- [p \in Proc |-> DoesOf(p)],
  arg   <- [p \in Proc |-> IF InCall(p) THEN arg[p] ELSE None],
  reply <- [p \in Proc |-> IF pc[p] \in ReplyPCs THEN pc[p] ELSE None],
  open  <- {p \in Creator : pc[p] \in OpenPCs}

TempDirSpec == TD!Spec

\* The first two are proved for any number of everything, but for TypeOK, by an
\* inductive invariant (Inductive.tla, and README.md: why it is true); the last
\* is checked within the bounds of the models.  With other kinds of locks they
\* are false (Rule8NoTable); beside upstream see Upstream.tla; what is mounted
\* inside an instance keeps it from being removed.
Ofd == LockKind = "ofd" /\ Upstream = {}

THEOREM Ofd /\ Spec =>
  /\ []TypeOK /\ []LiveKept /\ []LiveIsLocked /\ []LockKept /\ []OneOwner
  /\ []ReachableWhole /\ []RepliesTrue /\ []NeverLost
  /\ UnlinkedByHolder /\ LookingChangesNothing
  /\ TempDirSpec
THEOREM Ofd /\ Orphan = {} /\ Spec => []DataHasLock
THEOREM Ofd /\ Mounted = {} /\ LiveSpec => GoneInTheEnd
=============================================================================
