--------------------------- MODULE MutantsRecover ---------------------------
(***************************************************************************)
(* Deliberate faults in removal and in recovery.  See MutantsOwner.tla.    *)
(***************************************************************************)
EXTENDS MC

\* For StatName, without rule 2 in the recoverer: the lock it got is taken
\* for the lock of the name.
RecovererTrustsLock(p) ==
  /\ pc[p] \in {"taken", "emptied"}
  /\ Goto(p, IF pc[p] = "taken" /\ p \in Recoverer THEN "claimed"
             ELSE IF ~IsNamed(p, id[p])            THEN "closing"
             ELSE IF pc[p] = "emptied"             THEN "verified"
             ELSE "named")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* For StatName: no second look before the lock file is unlinked.
NoLastRecheck(p) ==
  /\ pc[p] \in {"taken", "emptied"}
  /\ Goto(p, IF pc[p] = "emptied"       THEN "verified"
             ELSE IF ~IsNamed(p, id[p]) THEN "closing"
             ELSE IF p \in Creator      THEN "named" ELSE "claimed")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* For OpenLock, without rule 7: p looks at the name, remembers the number (in
\* arg), opens, locks, and compares the name with the number it remembers, not
\* with the file it holds.
RemembersNumber(p) ==
  /\ \/ /\ pc[p] = "sawLock" /\ arg[p] = None /\ lock[id[p]] # None
        /\ arg' = [arg EXCEPT ![p] = lock[id[p]]]
        /\ UNCHANGED <<fd, pc>>
     \/ /\ pc[p] = "sawLock" /\ arg[p] # None /\ lock[id[p]] # None
        /\ fd' = [fd EXCEPT ![p] = lock[id[p]]]
        /\ Goto(p, "opened") /\ UNCHANGED arg
     \/ /\ pc[p] = "sawLock" /\ lock[id[p]] = None
        /\ Goto(p, "closing") /\ UNCHANGED <<fd, arg>>
     \/ /\ pc[p] = "taken" /\ arg[p] # None
        /\ Goto(p, IF lock[id[p]] = arg[p] THEN "claimed" ELSE "closing")
        /\ UNCHANGED <<fd, arg>>
  /\ UNCHANGED <<disk, holder, parked, id, history>>

\* For StatName beside it: the recheck that it has instead.
NoRecheckAfterLock(p) ==
  /\ pc[p] = "emptied"
  /\ Goto(p, IF IsNamed(p, id[p]) THEN "verified" ELSE "closing")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* For Free, to show that reuse is what breaks it: a number that somebody
\* remembers is not given to another file.  For Inode: enough numbers.
Forgotten(n) == /\ \A i \in Id : lock[i] # n
                /\ \A p \in Proc : fd[p] # n /\ arg[p] # n
ManyInodes == 1 .. 8

\* For OpenLock, without rule 3: O_CREAT.
OpenLockCreates(p) ==
  /\ pc[p] = "sawLock"
  /\ LET n == IF lock[id[p]] = None THEN NewInode ELSE lock[id[p]]
     IN /\ lock' = [lock EXCEPT ![id[p]] = n]
        /\ fd'   = [fd   EXCEPT ![p] = n]
  /\ Goto(p, "opened")
  /\ UNCHANGED <<data, place, tree, holder, parked, id, arg, history>>

\* For LinkLock, without rule 3's EEXIST: an adopter puts its own file in the
\* place of whatever has the name (rename instead of link).
LinkReplaces(p, i) ==
  /\ pc[p] = "locked"
  /\ IF p \in Creator THEN Fresh(i) ELSE i = id[p]
  /\ lock' = [lock EXCEPT ![i] = fd[p]]
  /\ Goto(p, IF p \in Creator THEN "named" ELSE "claimed")
  /\ id' = [id EXCEPT ![p] = i]
  /\ used' = used \cup {i}
  /\ UNCHANGED <<data, place, tree, locks, arg, crashes, failures>>

\* For OpenUnnamed, without adoption: data without a lock file is removed at
\* once, without any lock.
AdoptsUnlocked(p) ==
  /\ IF p \in Creator THEN /\ pc[p] = "idle" /\ ~\A i \in Id : ~Fresh(i)
                           /\ fd' = [fd EXCEPT ![p] = NewInode]
                           /\ Goto(p, "unnamed")
                      ELSE /\ pc[p] = "sawData"
                           /\ UNCHANGED fd /\ Goto(p, "claimed")
  /\ UNCHANGED <<disk, holder, parked, id, arg, history>>

\* For OpenDirectory, without rule 4: the lock file goes first.
LockFileFirst(p) ==
  /\ \/ p \in Creator   /\ pc[p] = "live"
     \/ p \in Recoverer /\ pc[p] = "claimed"
  /\ lock' = [lock EXCEPT ![id[p]] = None]
  /\ Goto(p, IF id[p] \in data THEN "emptying" ELSE "emptied")
  /\ UNCHANGED <<data, place, tree, locks, id, arg, history>>

\* For RemoveEntry: the lock file is inside the data directory, and goes when
\* its turn comes.
LockInsideData(p) ==
  /\ pc[p] = "inside"
  /\ IF lock[id[p]] # None
     THEN /\ lock' = [lock EXCEPT ![id[p]] = None]
          /\ UNCHANGED <<place, tree, pc, arg>>
     ELSE /\ IF tree[arg[p]] > 0
             THEN /\ tree' = [tree EXCEPT ![arg[p]] = @ - 1]
                  /\ UNCHANGED <<place, pc, arg>>
             ELSE /\ place' = [place EXCEPT ![arg[p]] = "gone"]
                  /\ arg' = [arg EXCEPT ![p] = None]
                  /\ UNCHANGED tree /\ Goto(p, "emptying")
          /\ UNCHANGED lock
  /\ UNCHANGED <<data, locks, id, history>>

\* For RemoveLock: unlock (close), then unlink.
UnlockThenUnlink(p) ==
  /\ pc[p] = "verified"
  /\ IF fd[p] # None
     THEN /\ holder' = HolderWithout({p})
          /\ fd' = [fd EXCEPT ![p] = None]
          /\ UNCHANGED <<lock, pc>>
     ELSE /\ lock' = [lock EXCEPT ![id[p]] = None]
          /\ Goto(p, "closing")
          /\ UNCHANGED locks
  /\ UNCHANGED <<data, place, tree, parked, id, arg, history>>

\* For OpenEntry, without rule 9: a mount is entered like any directory.
CrossesMounts(p, x) ==
  /\ pc[p] = "emptying" /\ x \in Entries(id[p])
  /\ arg' = [arg EXCEPT ![p] = x]
  /\ Goto(p, "inside")
  /\ UNCHANGED <<disk, locks, id, history>>

\* For CallFails: a recoverer that cannot remove the data unlinks the lock
\* file all the same, as upstream does.
FailureUnlinks(p) ==
  /\ p \in Recoverer /\ failures < MaxFailures
  /\ pc[p] \in {"emptying", "inside"}
  /\ failures' = failures + 1
  /\ Goto(p, "emptied")
  /\ UNCHANGED <<disk, locks, id, arg, used, crashes>>

\* For CallFails, without rule 14: whose lock it is cannot be told, and that
\* is taken for "not ours": p closes the file.
UnknownIsNo(p) ==
  /\ Ours(p) /\ failures < MaxFailures
  /\ pc[p] = "looking"
  /\ failures' = failures + 1
  /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, locks, id, arg, used, crashes>>

\* For OpenDirectory, without rule 12: data that is gone is a failure.
MissingDataFails(p) ==
  /\ \/ p \in Creator   /\ pc[p] = "live"
     \/ p \in Recoverer /\ pc[p] = "claimed"
  /\ Goto(p, IF id[p] \in data THEN "emptying" ELSE "closing")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* For List: recovery runs only when metadata has changed, that is, while
\* some creator is at work.
ListsOnChange(p, i) ==
  /\ p \in Recoverer /\ pc[p] = "idle"
  /\ ~\A c \in Creator : pc[c] = "idle"
  /\ ~Gone(i)
  /\ Goto(p, IF lock[i] # None THEN "sawLock" ELSE "sawData")
  /\ id' = [id EXCEPT ![p] = i]
  /\ UNCHANGED <<disk, locks, arg, history>>

\* For List: recovery looks for lock files only.
ListsLocksOnly(p, i) ==
  /\ p \in Recoverer /\ pc[p] = "idle" /\ lock[i] # None
  /\ Goto(p, "sawLock")
  /\ id' = [id EXCEPT ![p] = i]
  /\ UNCHANGED <<disk, locks, arg, history>>

\* For LockHolder, without rule 15: p closes what it does not hold, whoever has
\* the lock.
ClosesAnyway(p) ==
  /\ pc[p] = "looking"
  /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* For LockHolder, without rule 15 in the listing alone: "it takes no lock".
InspectorCloses(p) ==
  /\ pc[p] = "looking"
  /\ IF p \notin Inspector /\ MixedFleet /\ HeldByUs(p, fd[p])
     THEN /\ parked' = [parked EXCEPT ![Package[p]] = @ \cup {fd[p]}]
          /\ fd' = [fd EXCEPT ![p] = None]
     ELSE UNCHANGED <<fd, parked>>
  /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, holder, id, arg, history>>

\* For OpenToInspect, where only recovery has rule 13: the listing opens a bare
\* lock file that its owner, in the same process, is about to lock.
InspectsYoung(p) ==
  /\ p \in Inspector
  /\ pc[p] \in {"sawLock", "sawBoth"}
  /\ IF lock[id[p]] # None /\ ~IsParked(p, id[p])
     THEN fd' = [fd EXCEPT ![p] = lock[id[p]]] /\ Goto(p, "looking")
     ELSE UNCHANGED fd /\ Goto(p, "closing")
  /\ parked' = StillParked(p)
  /\ UNCHANGED <<disk, holder, id, arg, history>>

\* For OpenLock: what is parked is closed at the next look, held or not.
ClosesParked(p) ==
  /\ Ours(p) /\ p \notin Inspector
  /\ pc[p] \in {"sawLock", "sawBoth"}
  /\ pc[p] = "sawLock" => ~TooYoung(id[p])
  /\ holder' = [n \in Inode |->
       IF n \in parked[Package[p]] /\ HeldByUs(p, n) THEN None ELSE holder[n]]
  /\ parked' = [parked EXCEPT ![Package[p]] = {}]
  /\ IF lock[id[p]] # None /\ ~InTable(p, id[p])
     THEN fd' = [fd EXCEPT ![p] = lock[id[p]]] /\ Goto(p, "opened")
     ELSE UNCHANGED fd /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, id, arg, history>>

\* For CanLock: the lock is a lease, and leases run out.
LeaseRunsOut(p) == TRUE

\* For OpenEntry: a recoverer finishes the addition that a dead owner left,
\* instead of removing it.  Every invariant holds; callers did not ask for it.
FinishesCommit(p, x) ==
  /\ pc[p] = "emptying" /\ x \in Entries(id[p])
  /\ IF p \in Recoverer /\ x \in Addition /\ tree[x] = Files
     THEN /\ place' = [place EXCEPT ![x] = "home"]
          /\ UNCHANGED <<pc, arg>>
     ELSE /\ arg' = [arg EXCEPT ![p] = x]
          /\ Goto(p, "inside") /\ UNCHANGED place
  /\ UNCHANGED <<lock, data, tree, locks, id, history>>

\* For OpenEntry: a recoverer puts a victim back that a dead owner staged.
PutsVictimBack(p, x) ==
  /\ pc[p] = "emptying" /\ x \in Entries(id[p])
  /\ IF p \in Recoverer /\ x \in Victim /\ tree[x] = Files
     THEN /\ place' = [place EXCEPT ![x] = "home"]
          /\ UNCHANGED <<pc, arg>>
     ELSE /\ arg' = [arg EXCEPT ![p] = x]
          /\ Goto(p, "inside") /\ UNCHANGED place
  /\ UNCHANGED <<lock, data, tree, locks, id, history>>
=============================================================================
