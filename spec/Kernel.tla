------------------------------- MODULE Kernel -------------------------------
(***************************************************************************)
(* What several processes share: the root directory, the trees that move   *)
(* in and out of it, open descriptors, and locks.  No protocol here; this  *)
(* module says how the kernel behaves, the others say what we ask of it.   *)
(*                                                                         *)
(* A name and the file it names are two things.  lock[i] is the *inode*    *)
(* that the name lock-<i> leads to, a descriptor leads to an inode too,    *)
(* and a lock belongs to an inode.  A lock on an inode that lost its name  *)
(* is a ghost lock: it can be taken, and it protects nothing.              *)
(*                                                                         *)
(* TLC counts a guard that is true in two ways as two steps, so guards say *)
(* ~\A where \E would do: a step is counted once.                          *)
(*                                                                         *)
(* Left out: file contents, permissions, sizes and times (rule 13 says     *)
(* how it does without a clock); foreign names in the root, which no step  *)
(* ever reads; link counts above one, so that a link count is 0 exactly    *)
(* when no name leads to the inode; power loss (PowerLoss.tla).            *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Creator,     \* Processes that create, stage, commit and close.
  Recoverer,   \* Processes that recover.  A process may be a goroutine.
  Inspector,   \* Those of them that only look (ours), and change nothing.
  Upstream,    \* Those of them that run upstream's code; the rest run ours.
  Id,          \* Ids.  Finite here, 128 random bits in the code.
  Victim,      \* Trees that exist outside, for staged deletions.
  Addition,    \* Trees that do not exist yet, for staged additions.
  Mounted,     \* Trees outside that can be mounted inside an instance.
  Files,       \* How many files a tree has; 2 make half a tree possible.
  Orphan,      \* Ids that have data and no lock file at the start.
  TmpFile,     \* Does the file system have unnamed files (O_TMPFILE)?
  LockKind,    \* Our locks: "ofd", or "posix" or "table" in mutants.
  Pid,         \* Pid[p]: the operating system process that p runs in.
  Package,     \* Package[p]: which copy of our package p runs, 1 or 2.
  RootName,    \* RootName[p]: the path by which p knows the root.
  MixedFleet,  \* Are rules 13 and 15 on, for life beside upstream?
  None         \* Not a process, an id or a tree.

Proc  == Creator \cup Recoverer
Item  == Victim \cup Addition \cup Mounted
Inode == 1 .. Cardinality(Proc) + Cardinality(Id)    \* one is always free

ASSUME Assumptions ==
  /\ Creator \cap Recoverer = {}  /\ Upstream \subseteq Proc
  /\ Inspector \subseteq Recoverer \ Upstream
  /\ Victim \cap Addition = {}    /\ Mounted \cap (Victim \cup Addition) = {}
  /\ Files \in Nat \ {0}          /\ Orphan \subseteq Id
  /\ TmpFile \in BOOLEAN /\ MixedFleet \in BOOLEAN
  /\ LockKind \in {"ofd", "posix", "table"}
  /\ Package \in [Proc -> 1 .. 2]
  /\ None \notin Proc \cup Id \cup Item \cup Inode

VARIABLES
  lock,     \* Durable.  lock[i] is the inode named lock-<i>, or None.
  data,     \* Durable.  The ids whose directory temp-dir-<i> exists.
  place,    \* Durable.  place[x] is where tree x is: "absent", "home" (the
            \*           path its caller knows), an id (inside), or "gone".
  tree,     \* Durable.  tree[x] is how many of its files tree x has left.
  holder,   \* Volatile. holder[n] has the lock on inode n, or None.
  fd,       \* Volatile. fd[p] is the inode of p's lock descriptor, or None.
  parked    \* Volatile. parked[k]: the inodes on which copy k of our package
            \*           keeps a descriptor that it must not close (rule 15).

disk  == <<lock, data, place, tree>>
locks == <<holder, fd, parked>>

NoneParked == <<{}, {}>>

KernelTypeOK ==
  /\ lock   \in [Id -> Inode \cup {None}]
  /\ data   \in SUBSET Id
  /\ place  \in [Item -> {"absent", "home", "gone"} \cup Id]
  /\ tree   \in [Item -> 0 .. Files]
  /\ holder \in [Inode -> Proc \cup {None}]
  /\ fd     \in [Proc -> Inode \cup {None}]
  /\ parked \in [1 .. 2 -> SUBSET Inode]

KernelInit ==
  /\ lock   = [i \in Id |-> None]
  /\ data   = Orphan
  /\ place  = [x \in Item |-> IF x \in Addition THEN "absent" ELSE "home"]
  /\ tree   = [x \in Item |-> IF x \in Addition THEN 0 ELSE Files]
  /\ holder = [n \in Inode |-> None]
  /\ fd     = [p \in Proc |-> None]
  /\ parked = NoneParked
-----------------------------------------------------------------------------
Ours(p) == p \notin Upstream

(***************************************************************************)
(* Inode numbers.  A number is free once neither a name nor a descriptor   *)
(* refers to it, and then the next file gets it: the lowest free number,   *)
(* so that reuse comes as early as it can.  A program that compares only   *)
(* inodes it holds open cannot tell this choice from any other.            *)
(***************************************************************************)
Free(n)  == /\ (\A i \in Id : lock[i] # n) /\ (\A p \in Proc : fd[p] # n)
            /\ n \notin parked[1] \cup parked[2]
NewInode == CHOOSE n \in Inode : Free(n) /\ \A m \in 1 .. n - 1 : ~Free(m)

\* Does the name lock-<i> lead to the file that p holds open?  This is the
\* recheck of rule 2: same device and inode, hence a link count above 0.
IsNamed(p, i) == fd[p] # None /\ lock[i] = fd[p]

(***************************************************************************)
(* Locks.  An open-file-description lock belongs to one descriptor: two    *)
(* goroutines exclude each other as two processes do.  A POSIX lock        *)
(* belongs to the process: within one it never conflicts, and *any* close  *)
(* of the file by that process drops it, whoever closes and whichever kind *)
(* of lock the closer uses.  The two kinds exclude each other.             *)
(***************************************************************************)
Posix(p)   == ~Ours(p) \/ LockKind # "ofd"
Shares(p, q) == Posix(p) /\ Posix(q) /\ Pid[p] = Pid[q]
CanLock(p) == holder[fd[p]] = None \/ Shares(p, holder[fd[p]])

\* Is the lock on inode n a POSIX lock of the process that p runs in?
HeldByUs(p, n) == /\ holder[n] # None /\ Posix(holder[n])
                  /\ Pid[holder[n]] = Pid[p]

\* The locks that are left when the processes in S close their descriptors.
HolderWithout(S) ==
  [n \in Inode |->
     IF \E p \in S : fd[p] = n /\ (p = holder[n] \/ HeldByUs(p, n))
     THEN None ELSE holder[n]]

\* The trees that a listing of instance i's data shows.
Entries(i) == {x \in Item : place[x] = i}

\* Nothing in the root shows id i.
Gone(i) == i \notin data /\ lock[i] = None
=============================================================================
