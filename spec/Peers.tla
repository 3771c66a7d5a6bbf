-------------------------------- MODULE Peers -------------------------------
(***************************************************************************)
(* How others delete aside, at the same grain.  Where they make the same   *)
(* call as we do they take the same action, so that the properties of      *)
(* LockThenData.tla mean the same; what they do differently is here.       *)
(*                                                                         *)
(*   "ostree"   its staging-<boot>-XXXXXX: the directory first, then the   *)
(*              lock file beside it; link count and directory are checked  *)
(*              after locking; reused within a boot, and stray lock files  *)
(*              age out                                                    *)
(*   "inside"   staging/ of upstream, older than the tempdirs: the lock    *)
(*              file is in the directory, and nothing is checked           *)
(*   "flock"    a lock on the directory itself, as umoci takes it, and     *)
(*              systemd's tmpfiles; nothing is checked                     *)
(*   "checked"  the same, and the name is checked after locking            *)
(*   "rename"   containerd's native snapshotter: renamed to rm-<id> in a   *)
(*              transaction of its database, removed after it; no lock     *)
(*                                                                         *)
(* For "flock" and "checked" lock[i] is the inode of the directory; for    *)
(* "rename" data is the rm-<id>, and an id is used up when its record is   *)
(* gone from the database.  Sources are in README.md.                      *)
(*                                                                         *)
(* Fresh and Goto are in Create.tla, InTable in Recover.tla, Live in       *)
(* LockThenData.tla, the rest that is used here in Kernel.tla.             *)
(***************************************************************************)
EXTENDS MC

CONSTANT Scheme
Flocks == Scheme \in {"flock", "checked"}
Owned(p) == IF p \in Creator THEN "ok" ELSE "claimed"

Earlier(i) == i \in Orphan    \* an earlier boot left the directory (ostree)

\* A lock file ages out.  That stands for an assumption about time: nobody has
\* one open that is so old.  For TooOld, without it: it says nothing of that.
TooOld(p) == \A q \in Proc : fd[q] = None \/ fd[q] # lock[id[p]]
AnyAge(p) == TRUE
InTransaction(p) == Scheme = "rename" /\ pc[p] \in {"calling", "verified"}
-----------------------------------------------------------------------------
\* p makes a directory; it has no lock yet.
\* Go: none.  Call: mkdirat.  Grain: one call; "inside" makes the directory for
\* the data in it, too.  Crash: after, a directory without a lock.
PeerMakeData(p, i) ==
  /\ p \in Creator /\ pc[p] = "idle" /\ Scheme # "rename" /\ Fresh(i)
  /\ data' = data \cup {i}
  /\ lock' = IF Flocks THEN [lock EXCEPT ![i] = NewInode] ELSE lock
  /\ used' = used \cup {i}
  /\ id'   = [id EXCEPT ![p] = i]
  /\ Goto(p, "sawData")
  /\ UNCHANGED <<place, tree, locks, arg, crashes, failures>>

\* p would rather have a directory that is there, of this boot.
\* Go: none.  Call: getdents64, openat.  Grain: one step an id, as List.
\* Crash: no change.
PeerReuse(p, i) ==
  /\ Scheme = "ostree" /\ p \in Creator /\ pc[p] = "idle"
  /\ i \in data /\ ~Earlier(i)
  /\ id' = [id EXCEPT ![p] = i]
  /\ Goto(p, "sawData")
  /\ UNCHANGED <<disk, locks, arg, history>>

\* p finds what others left: a directory, or a lock file beside it.  Who cleans
\* up after "rename" lists within a transaction.  Go: none.  Call: getdents64.
\* Grain: one step an id, as List.  Crash: no change.
PeerList(p, i) ==
  /\ p \in Recoverer /\ pc[p] = "idle" /\ \A q \in Proc : ~InTransaction(q)
  /\ \/ i \in data /\ Goto(p, IF Scheme = "rename" THEN "claimed"
                              ELSE "sawData")
     \/ Scheme = "ostree" /\ lock[i] # None /\ Goto(p, "sawLock")
  /\ id' = [id EXCEPT ![p] = i]
  /\ UNCHANGED <<disk, locks, arg, history>>

\* p removes a lock file that looks old, and does not try its lock.
\* Go: none.  Call: fstatat, unlinkat.  Grain: two calls; what is old stays
\* old.  Crash: before and after, as any other.
PeerAgeOut(p) ==
  /\ pc[p] = "sawLock"
  /\ lock' = IF TooOld(p) THEN [lock EXCEPT ![id[p]] = None] ELSE lock
  /\ Goto(p, "closing")
  /\ UNCHANGED <<data, place, tree, locks, id, arg, history>>

\* p opens what is to be locked.  A lock file is created if it is not there,
\* inside of a directory only if that is.  Who has the path in its table does
\* not open it.
\* Go: none.  Call: openat(O_CREAT), or of the directory.  Grain: one call.
\* Crash: after, perhaps one more lock file.
PeerOpen(p) ==
  /\ pc[p] = "sawData"
  /\ IF InTable(p, id[p]) \/ (Scheme # "ostree" /\ id[p] \notin data)
     THEN Goto(p, "closing") /\ UNCHANGED <<lock, fd>>
     ELSE LET n == IF lock[id[p]] = None THEN NewInode ELSE lock[id[p]]
          IN /\ lock' = [lock EXCEPT ![id[p]] = n]
             /\ fd'   = [fd   EXCEPT ![p] = n]
             /\ Goto(p, "opened")
  /\ UNCHANGED <<data, place, tree, holder, parked, id, arg, history>>

\* p tries the lock.  Who checks nothing has the directory now.  Go: none.
\* Call: fcntl or flock, without waiting.  Grain: one call.  Crash: no change.
PeerTakeLock(p) ==
  /\ pc[p] = "opened"
  /\ IF CanLock(p)
     THEN /\ holder' = [holder EXCEPT ![fd[p]] = p]
          /\ Goto(p, IF Scheme \in {"ostree", "checked"} THEN "taken"
                     ELSE Owned(p))
     ELSE UNCHANGED holder /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, fd, parked, id, arg, history>>

\* p asks whether what it locked has a name; if not, it begins again.
\* Go: none.  Call: fstat; close.  Grain: two calls: nobody can see a ghost
\* lock.  Crash: no change.
PeerStat(p) ==
  /\ pc[p] = "taken"
  /\ IF IsNamed(p, id[p])
     THEN /\ Goto(p, IF Scheme = "ostree" THEN "named" ELSE Owned(p))
          /\ UNCHANGED <<holder, fd>>
     ELSE /\ Goto(p, "sawData")
          /\ holder' = HolderWithout({p})
          /\ fd' = [fd EXCEPT ![p] = None]
  /\ UNCHANGED <<disk, parked, id, arg, history>>

\* p asks whether the directory is still there.  One of this boot is left to be
\* reused.  Go: none.  Call: fstatat.  Grain: one call.  Crash: no change.
PeerFind(p) ==
  /\ Scheme = "ostree" /\ pc[p] = "named"
  /\ Goto(p, IF id[p] \in data /\ (p \in Creator \/ Earlier(id[p]))
             THEN Owned(p) ELSE "verified")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* p's owner begins to remove, or a recoverer does.  Before that "flock" and
\* "inside" drop the lock of a live directory, "inside" with the lock file.
\* Go: none.  Call: openat; before it unlinkat, close.  Grain: up to three
\* calls: from the first on the lock keeps nobody away.  Crash: a directory
\* with data, and perhaps no lock file.
PeerOpenDirectory(p) ==
  IF p \in Creator /\ Scheme \in {"inside", "flock"}
  THEN /\ pc[p] = "live" /\ Goto(p, "emptying")
       /\ lock' = IF Scheme = "inside" /\ fd[p] # None
                  THEN [lock EXCEPT ![id[p]] = None] ELSE lock
       /\ holder' = HolderWithout({p})
       /\ fd' = [fd EXCEPT ![p] = None]
       /\ UNCHANGED <<data, place, tree, parked, id, arg, history>>
  ELSE OpenDirectory(p)

\* p removes the directory, once it is empty; if not, it lists it.  Go: none.
\* Call: unlinkat(AT_REMOVEDIR).  Grain: one call.  Crash: after, no directory.
PeerRemoveData(p) ==
  /\ pc[p] \in (CASE Scheme = "ostree" -> {"emptying"}
                  [] Scheme = "inside" -> {"emptied"}
                  [] OTHER             -> {"emptying", "emptied"})
  /\ IF Scheme = "inside" /\ (lock[id[p]] # None \/ Entries(id[p]) # {})
     THEN Goto(p, "emptying") /\ UNCHANGED <<data, lock>>
     ELSE /\ Entries(id[p]) = {}
          /\ data' = data \ {id[p]}
          /\ lock' = IF Flocks THEN [lock EXCEPT ![id[p]] = None] ELSE lock
          /\ Goto(p, IF Scheme = "ostree" THEN "emptied" ELSE "closing")
  /\ UNCHANGED <<place, tree, locks, id, arg, history>>

\* p removes the lock file by its name: beside the directory, after it or if p
\* leaves the directory; inside, as one more file of the directory.
\* Go: none.  Call: unlinkat.  Grain: one call.  Crash: after, no lock file.
PeerRemoveLock(p) ==
  /\ \/ Scheme = "ostree" /\ pc[p] \in {"emptied", "verified"}
     \/ Scheme = "ostree" /\ pc[p] = "live" /\ p \in Creator
     \/ Scheme = "inside" /\ pc[p] = "emptying" /\ Entries(id[p]) = {}
  /\ lock' = [lock EXCEPT ![id[p]] = None]
  /\ Goto(p, IF Scheme = "inside" THEN "emptied" ELSE "closing")
  /\ UNCHANGED <<data, place, tree, locks, id, arg, history>>

\* p cleans up when its process ends: it drops the lock of a directory that
\* another goroutine fills, with the lock file.
\* Go: none.  Call: unlinkat, close.  Grain: two, as PeerOpenDirectory.  Crash:
\* after, a directory without a lock file.
PeerDropsOwn(p) ==
  /\ Scheme = "inside" /\ p \in Recoverer /\ pc[p] = "idle"
  /\ \E q \in Creator :
       /\ Pid[q] = Pid[p] /\ Live(q) /\ fd[q] # None
       /\ lock' = [lock EXCEPT ![id[q]] = None]
       /\ holder' = HolderWithout({q})
       /\ fd' = [fd EXCEPT ![q] = None]
  /\ UNCHANGED <<data, place, tree, parked, pc, id, arg, history>>
-----------------------------------------------------------------------------
\* p removes the snapshot i, whose tree is x, in a transaction; one at a time.
\* Go: none.  Call: the database's lock.  Grain: one step.  Crash: no change.
PeerBegin(p, i) ==
  /\ Scheme = "rename" /\ p \in Creator /\ pc[p] = "idle" /\ Fresh(i)
  /\ \A q \in Proc : ~InTransaction(q)
  /\ id'  = [id  EXCEPT ![p] = i]
  /\ arg' = [arg EXCEPT ![p] = CHOOSE x \in Victim : TRUE]
  /\ Goto(p, "calling")
  /\ UNCHANGED <<disk, locks, history>>

\* Go: none.  Call: rename.  Grain: one call; ENOENT is no failure.  Crash:
\* before, the snapshot; after, its record, and the tree is aside.
PeerRename(p) ==
  /\ Scheme = "rename" /\ pc[p] = "calling"
  /\ IF place[arg[p]] = "home"
     THEN /\ place' = [place EXCEPT ![arg[p]] = id[p]]
          /\ data' = data \cup {id[p]} /\ UNCHANGED arg
     ELSE arg' = [arg EXCEPT ![p] = None] /\ UNCHANGED <<place, data>>
  /\ Goto(p, "verified")
  /\ UNCHANGED <<lock, tree, locks, id, history>>

\* The transaction is committed; what p renamed is removed.
\* Go: none.  Call: pwrite, fdatasync.  Grain: the moment of it.  Crash: after,
\* a tree aside that has no record.
PeerCommit(p) ==
  /\ Scheme = "rename" /\ pc[p] = "verified"
  /\ used' = used \cup {id[p]}
  /\ Goto(p, IF arg[p] = None THEN "closing" ELSE "emptying")
  /\ arg' = [arg EXCEPT ![p] = None]
  /\ UNCHANGED <<disk, locks, id, crashes, failures>>

\* It cannot be committed, and the tree that p renamed goes back.
\* Go: none.  Call: pwrite = EIO; rename.  Grain: one step: nobody else has a
\* transaction.  Crash: before and after, the record, and the tree or not.
PeerCommitFails(p) ==
  /\ Scheme = "rename" /\ pc[p] = "verified" /\ failures < MaxFailures
  /\ arg[p] # None
  /\ place' = [place EXCEPT ![arg[p]] = "home"]
  /\ data' = data \ {id[p]}
  /\ failures' = failures + 1
  /\ Goto(p, "closing")
  /\ UNCHANGED <<lock, tree, locks, id, arg, used, crashes>>
-----------------------------------------------------------------------------
PeerStep(p) ==
  \/ \E i \in Id : PeerMakeData(p, i) \/ PeerReuse(p, i) \/ PeerList(p, i)
                   \/ PeerBegin(p, i)
  \/ PeerAgeOut(p) \/ PeerOpen(p) \/ PeerTakeLock(p) \/ PeerStat(p)
  \/ PeerFind(p) \/ PeerOpenDirectory(p) \/ PeerRemoveData(p)
  \/ PeerRemoveLock(p) \/ PeerDropsOwn(p) \/ PeerRename(p) \/ PeerCommit(p)
  \/ \E x \in Addition : Invoke(p, x) \/ StageAddition(p, x)
  \/ \E x \in Item : OpenEntry(p, x)
  \/ Commit(p) \/ Return(p) \/ RemoveEntry(p) \/ Close(p)

PeerNext == \E p \in Proc : PeerStep(p) \/ PeerCommitFails(p) \/ Crash(p)
PeerSpec == Init /\ [][PeerNext]_vars

\* A listing that misses nothing, as WholeList.
PeerWholeList(p, i) ==
  PeerList(p, i) /\ (i \in data => pc'[p] # "sawLock")

PeerLiveSpec == /\ PeerSpec
                /\ \A p \in Proc : WF_vars(PeerStep(p))
                /\ \A p \in Recoverer, i \in Id : SF_vars(PeerWholeList(p, i))

\* What the database has a record of is there, and whole.
RecordedKept ==
  (\A p \in Proc : ~InTransaction(p)) /\ (\E i \in Id : i \notin used) =>
    \A x \in Victim : place[x] = "home" /\ tree[x] = Files
=============================================================================
