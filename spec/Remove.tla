------------------------------- MODULE Remove -------------------------------
(***************************************************************************)
(* Removal of one instance: by its owner in Close, or by a recoverer that  *)
(* claimed it.  Both take the same steps, and both hold the lock.          *)
(*                                                                         *)
(*   OpenDirectory, (OpenEntry, RemoveEntry ...) ..., RemoveData,          *)
(*   StatName, RemoveLock, Close                                           *)
(*                                                                         *)
(* Data first, lock file last (rule 4), and the lock until after both: so  *)
(* whatever is on disk has a lock file, and a crash at any place leaves a  *)
(* stale instance that the next recoverer removes.                         *)
(*                                                                         *)
(* Where to find what is used here: Entries, IsNamed, HeldByUs,            *)
(* HolderWithout, disk and locks are in Kernel.tla; Goto and history in    *)
(* Create.tla.                                                             *)
(***************************************************************************)
EXTENDS Create

RemovePCs == {"emptying", "inside", "emptied", "verified", "looking",
              "closing"}

(***************************************************************************)
(* p opens the data directory: the invocation of Close, or a recoverer's   *)
(* first step after its claim.  ENOENT means that the data is gone already.*)
(*                                                                         *)
(* Go:     Dir.Close, Root.Recover; OpenDirectory.                         *)
(* Call:   openat2(root, "temp-dir-<i>", RESOLVE_BENEATH|NO_XDEV|...).     *)
(* Grain:  one call.  SyncData follows it; it matters to power loss only   *)
(*         (PowerLoss.tla).  The descriptor is not modelled apart from the *)
(*         id: the lock's holder is alone with the directory.              *)
(* Crash:  before and after, a stale instance with data.                   *)
(***************************************************************************)
OpenDirectory(p) ==
  /\ \/ p \in Creator   /\ pc[p] = "live"
     \/ p \in Recoverer /\ pc[p] = "claimed"
  /\ Goto(p, IF id[p] \in data THEN "emptying" ELSE "emptied")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

(***************************************************************************)
(* p enters a tree that it saw in the data directory.  It refuses to cross *)
(* a mount (rule 9), and then the removal has failed.                      *)
(*                                                                         *)
(* Go:     Dir.Close, Root.Recover; List, OpenDirectory.                   *)
(* Call:   getdents64, openat2(data, "<n>-<hint>", ...).                   *)
(* Grain:  the listing is joined to the opening of one entry.  A listing   *)
(*         changes nothing, and a listed entry that has moved away gives   *)
(*         ENOENT, after which p goes on: no step.  The descriptor follows *)
(*         the tree, even when somebody renames it out of the instance.    *)
(* Crash:  before and after, a stale instance with data.                   *)
(***************************************************************************)
OpenEntry(p, x) ==
  /\ pc[p] = "emptying"
  /\ x \in Entries(id[p])
  /\ IF x \in Mounted
     THEN UNCHANGED arg /\ Goto(p, "closing")
     ELSE arg' = [arg EXCEPT ![p] = x] /\ Goto(p, "inside")
  /\ UNCHANGED <<disk, locks, id, history>>

(***************************************************************************)
(* p unlinks one file of the tree it is in; when none is left, the tree.   *)
(*                                                                         *)
(* Go:     Dir.Close, Root.Recover; RemoveEntry.                           *)
(* Call:   unlinkat(entry, file, 0); unlinkat(data, entry, AT_REMOVEDIR).  *)
(* Grain:  one call.  The files go through the descriptor, wherever the    *)
(*         tree is by now; the tree itself goes by its name.               *)
(* Crash:  before and after, a stale instance with half a tree.            *)
(***************************************************************************)
RemoveEntry(p) ==
  /\ pc[p] = "inside"
  /\ IF tree[arg[p]] > 0
     THEN /\ tree' = [tree EXCEPT ![arg[p]] = @ - 1]
          /\ UNCHANGED <<place, pc, arg>>
     ELSE /\ place' = [place EXCEPT ![arg[p]] =
                         IF @ = id[p] THEN "gone" ELSE @]
          /\ arg' = [arg EXCEPT ![p] = None]
          /\ Goto(p, "emptying")
          /\ UNCHANGED tree
  /\ UNCHANGED <<lock, data, locks, id, history>>

(***************************************************************************)
(* p removes the empty data directory.  An owner that staged nothing tries *)
(* this first, without opening it.                                         *)
(*                                                                         *)
(* Go:     Dir.Close, Root.Recover; RemoveData.                            *)
(* Call:   unlinkat(root, "temp-dir-<i>", AT_REMOVEDIR).                   *)
(* Grain:  one call.  ENOTEMPTY: list again, no step.  ENOENT: gone, the   *)
(*         same outcome (rule 12).                                         *)
(* Crash:  before, a stale instance with empty data; after, without data.  *)
(***************************************************************************)
RemoveData(p) ==
  /\ pc[p] = "emptying" \/ (p \in Creator /\ pc[p] = "live" /\ Ours(p))
  /\ Entries(id[p]) = {}
  /\ data' = data \ {id[p]}
  /\ Goto(p, "emptied")
  /\ UNCHANGED <<lock, place, tree, locks, id, arg, history>>

(***************************************************************************)
(* The recheck (rule 2): does lock-<i> lead to the file that p holds open? *)
(* A creator without unnamed files asks before it makes the data, a        *)
(* recoverer before it removes anything, and both before they unlink the   *)
(* lock file.  p compares with its descriptor, not with a number that it   *)
(* remembers (rule 7).                                                     *)
(*                                                                         *)
(* Go:     Root.Create, Dir.Close, Root.Recover; StatName.                 *)
(* Call:   fstatat(root, "lock-<i>", AT_SYMLINK_NOFOLLOW); the descriptor's*)
(*         own numbers were read before (Stat) and cannot change.          *)
(* Grain:  one call.                                                       *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
StatName(p) ==
  /\ Ours(p) /\ pc[p] \in {"taken", "emptied"}
  /\ Goto(p, IF ~IsNamed(p, id[p])   THEN "closing"
             ELSE IF pc[p] = "emptied" THEN "verified"
             ELSE IF p \in Creator     THEN "named" ELSE "claimed")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

(***************************************************************************)
(* p removes the lock file.                                                *)
(*                                                                         *)
(* Go:     Dir.Close, Root.Recover; RemoveLock.                            *)
(* Call:   unlinkat(root, "lock-<i>", 0).                                  *)
(* Grain:  one call.  It goes by name, so the name must not have changed   *)
(*         since StatName: only the lock's holder changes it.              *)
(* Crash:  before, a stale instance without data; after, no trace.         *)
(***************************************************************************)
RemoveLock(p) ==
  /\ Ours(p) /\ pc[p] = "verified"
  /\ lock' = [lock EXCEPT ![id[p]] = None]
  /\ Goto(p, "closing")
  /\ UNCHANGED <<data, place, tree, locks, id, arg, history>>

(***************************************************************************)
(* p's caller gives a live instance up: nothing is removed, both names     *)
(* stay, and whoever recovers next finishes it.                            *)
(*                                                                         *)
(* Go:     Dir.Release.                                                    *)
(* Call:   none.                                                           *)
(* Grain:  the invocation; the call is Close.                              *)
(* Crash:  before and after, a stale instance with data.                   *)
(***************************************************************************)
Release(p) ==
  /\ MayRelease /\ Ours(p) /\ p \in Creator /\ pc[p] = "live"
  /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

(***************************************************************************)
(* p has a lock file open whose lock it does not hold, and asks whose the  *)
(* lock is (rule 15).  If p's own process holds it, which can only be as a *)
(* POSIX lock of upstream's code, p parks the descriptor instead of closing*)
(* it.  If nobody can tell, p parks it too (CallFails).                    *)
(*                                                                         *)
(* Go:     Root.Recover, Root.Instances; LockHolder.                       *)
(* Call:   fcntl(fd, F_OFD_GETLK).                                         *)
(* Grain:  one call; parking makes none, and Close is then the response.   *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
LockHolder(p) ==
  /\ pc[p] = "looking"
  /\ IF MixedFleet /\ HeldByUs(p, fd[p])
     THEN /\ parked' = [parked EXCEPT ![Package[p]] = @ \cup {fd[p]}]
          /\ fd' = [fd EXCEPT ![p] = None]
     ELSE UNCHANGED <<fd, parked>>
  /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, holder, id, arg, history>>

(***************************************************************************)
(* p closes its descriptor, which drops the lock, and is done with the id. *)
(* After a failed removal this is the release of rule 5: both names stay   *)
(* on disk, and any process may try again.                                 *)
(*                                                                         *)
(* Go:     Root.Create, Dir.Close, Dir.Release, Root.Recover; Close.       *)
(* Call:   close(fd).                                                      *)
(* Grain:  one call, joined with the response of Close or Recover.         *)
(* Crash:  before and after, the disk is the same.                         *)
(***************************************************************************)
Close(p) ==
  /\ pc[p] = "closing"
  /\ holder' = HolderWithout({p})
  /\ fd'  = [fd  EXCEPT ![p] = None]
  /\ id'  = [id  EXCEPT ![p] = None]
  /\ arg' = [arg EXCEPT ![p] = None]
  /\ Goto(p, "idle")
  /\ UNCHANGED <<disk, parked, history>>
=============================================================================
