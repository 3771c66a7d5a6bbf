----------------------------- MODULE Inductive -----------------------------
(***************************************************************************)
(* The inductive invariant of the protocol, as package model/proof has it, *)
(* which makes this text: a step of our processes from any state in which  *)
(* Inductive holds, reachable or not, leads to one in which it holds.  It  *)
(* implies the properties of LockThenData.tla.  That is proved by solvers  *)
(* for any number of everything (afterlock proof); TLC only sees that it   *)
(* holds in the states of the models.  README.md says why it is true.      *)
(***************************************************************************)
EXTENDS MC

Holds(p) == fd[p] # None /\ holder[fd[p]] = p

\* What the formulas say of holders with a flag of the process rests on this.
HolderOpens ==
  \A n \in Inode : holder[n] # None => fd[holder[n]] = n

Removing == {"emptying", "inside", "emptied", "verified"}
Acts     == {"named", "claimed"} \cup OpenPCs \cup Removing
Holding  == {"locked", "taken"} \cup Acts

\* Whoever has come past looking for an id has one.
WorksOnId ==
  (\A p \in Proc : (pc[p] \in {"sawLock", "sawData", "sawBoth", "opened",
  "looking", "created", "taken"} \cup Acts) => (id[p] # None)) /\ (\A p \in
  Proc : (pc[p] \in {"unnamed", "locked"}) => ((p \in Creator) \/ (id[p] #
  None)))

\* Whoever is past opening has a descriptor.
HasFile ==
  \A p \in Proc : (pc[p] \in {"opened", "unnamed", "created", "looking"}
  \cup Holding) => (fd[p] # None)

\* A holder has a descriptor.
HolderHasFile ==
  \A p \in Proc : (Holds(p)) => (fd[p] # None)

\* Who holds a lock is past TakeLock, and not yet past Close.
HolderPlaces ==
  \A p \in Proc : (Holds(p)) => (pc[p] \in {"closing", "stuck"} \cup
  Holding)

\* A creator never lists, opens or claims.
CreatorPlaces ==
  \A p \in Proc : (pc[p] \in {"sawLock", "sawData", "sawBoth", "opened",
  "looking", "claimed"}) => (~(p \in Creator))

\* A recoverer never has an open directory, nor is about to.
RecovererPlaces ==
  \A p \in Proc : (pc[p] \in {"named"} \cup OpenPCs) => (p \in Creator)

\* Who only looks never gets to a lock, and lets go after the look.
InspectorPlaces ==
  \A p \in Proc : (p \in Inspector) => ((~(p \in Creator)) /\ (~(Holds(p)))
  /\ (pc[p] \in {"idle", "sawLock", "sawBoth", "looking", "closing"}))

\* An inode has one holder.
OneHolder ==
  \A p \in Proc : \A q \in Proc : ((Holds(p)) /\ (Holds(q)) /\ (fd[p] =
  fd[q])) => (p = q)

\* Whoever is past TakeLock holds the lock.
PastLockHolds ==
  \A p \in Proc : (pc[p] \in Holding) => (Holds(p))

\* An inode has one name.
InodeHasOneName ==
  \A i \in Id : \A j \in Id : ((lock[i] # None) /\ (lock[j] # None) /\
  (lock[i] = lock[j])) => (i = j)

\* A file that was not linked yet has no name.
UnnamedHasNoName ==
  \A p \in Proc : (pc[p] \in {"unnamed", "locked"}) => (\A i \in Id :
  ~((lock[i] # None) /\ (lock[i] = fd[p])))

\* Nobody else has a file open that was not linked yet.
UnnamedIsPrivate ==
  \A p \in Proc : (pc[p] \in {"unnamed", "locked"}) => (\A q \in Proc :
  ((fd[q] # None) /\ (fd[q] = fd[p])) => (p = q))

\* Whoever acts on an id has the file open that the id's lock file is.
ActingIsNamed ==
  \A p \in Proc : (pc[p] \in Acts) => ((lock[id[p]] # None) /\ (lock[id[p]]
  = fd[p]))

\* An open directory is there.
OpenHasData ==
  \A p \in Proc : (pc[p] \in OpenPCs) => (id[p] \in data)

\* A creator's id is used.
CreatorUsedId ==
  \A p \in Proc : ((p \in Creator) /\ (id[p] # None)) => (id[p] \in used)

\* Two creators never have one id.
CreatorsApart ==
  \A p \in Proc : \A q \in Proc : ((p \in Creator) /\ (q \in Creator) /\
  (id[p] # None) /\ (id[q] # None) /\ (id[p] = id[q])) => (p = q)

\* An id that has a lock file or data is used.
SeenIsUsed ==
  \A i \in Id : ((lock[i] # None) \/ (i \in data) \/ (i \in Orphan)) => (i
  \in used)

\* An id has no data before its creator makes it.
NoDataBefore ==
  \A p \in Proc : (pc[p] \in {"created", "taken", "named"}) => ((p \in
  Creator) => (~(id[p] \in data)))

\* Who has removed the data looks at an id without data.
EmptiedHasNone ==
  \A p \in Proc : (pc[p] \in {"emptied", "verified"}) => (~(id[p] \in data))

\* Data has a lock file, or was an orphan from the start.
DataHasLockOrOrphan ==
  \A i \in Id : (i \in data) => ((lock[i] # None) \/ (i \in Orphan))

\* An entry lies in data that is there.
EntryHasData ==
  \A x \in Item : (place[x] \in Id) => (place[x] \in data)

\* A tree is worked on in a call and in a removal only.
ArgIsUsed ==
  \A p \in Proc : (arg[p] # None) => (pc[p] \in {"calling", "inside",
  "stuck"} \cup ReplyPCs)

\* In a call about a tree and in a removal there is a tree.
ArgIsSet ==
  \A p \in Proc : (pc[p] \in {"calling", "inside"}) => (arg[p] # None)

\* A call is about a victim, or about an addition inside one's own instance.
CallIsOnOwn ==
  \A p \in Proc : (pc[p] \in {"calling"}) => ((arg[p] \in Victim) \/
  ((arg[p] \in Addition) /\ ((place[arg[p]] \in Id) /\ (place[arg[p]] =
  id[p]))))

\* Who removes a tree is in its own instance, and in no mount.
RemovalStaysInside ==
  \A p \in Proc : (pc[p] \in {"inside"}) => (((place[arg[p]] \in Id) /\
  (place[arg[p]] = id[p])) /\ (~(arg[p] \in Mounted)))

\* What can be reached by its path, and what is mounted, is whole.
ReachableWholeEverywhere ==
  \A x \in Item : ((place[x] = "home") \/ (x \in Mounted)) => (tree[x] =
  Files)

\* What is inside an open directory is whole.
OpenIsWhole ==
  \A p \in Proc : (pc[p] \in OpenPCs) => (\A x \in Item : ((place[x] \in Id)
  /\ (place[x] = id[p])) => (tree[x] = Files))

\* What a caller is told about its victim is true.
RepliesTrueEverywhere ==
  \A p \in Proc : (pc[p] \in {"ok", "missing"}) => (((arg[p] # None) /\
  (arg[p] \in Victim)) => (~(place[arg[p]] = "home")))

\* Nobody loses its own directory.
NeverLostEverywhere ==
  \A p \in Proc : ~(pc[p] \in {"lost"})

\* A creator whose id has data holds the lock of its lock file.
OwnerHolds ==
  \A p \in Proc : ((p \in Creator) /\ (id[p] # None) /\ (id[p] \in data)) =>
  ((Holds(p)) /\ ((fd[p] # None) /\ ((lock[id[p]] # None) /\ (lock[id[p]] =
  fd[p]))))

Inductive ==
  /\ HolderOpens
  /\ WorksOnId
  /\ HasFile
  /\ HolderHasFile
  /\ HolderPlaces
  /\ CreatorPlaces
  /\ RecovererPlaces
  /\ InspectorPlaces
  /\ OneHolder
  /\ PastLockHolds
  /\ InodeHasOneName
  /\ UnnamedHasNoName
  /\ UnnamedIsPrivate
  /\ ActingIsNamed
  /\ OpenHasData
  /\ CreatorUsedId
  /\ CreatorsApart
  /\ SeenIsUsed
  /\ NoDataBefore
  /\ EmptiedHasNone
  /\ DataHasLockOrOrphan
  /\ EntryHasData
  /\ ArgIsUsed
  /\ ArgIsSet
  /\ CallIsOnOwn
  /\ RemovalStaysInside
  /\ ReachableWholeEverywhere
  /\ OpenIsWhole
  /\ RepliesTrueEverywhere
  /\ NeverLostEverywhere
  /\ OwnerHolds

\* The same, for TLC to begin in: a clause once all that it is about is known.
InductiveInit ==
  /\ parked = NoneParked /\ crashes = 0 /\ failures = 0
  /\ pc \in [Proc -> {"idle", "sawLock", "sawData", "sawBoth", "opened",
       "claimed"} \cup CreatePCs \cup OpenPCs \cup RemovePCs]
  /\ CreatorPlaces
  /\ RecovererPlaces
  /\ NeverLostEverywhere
  /\ id \in [Proc -> Id \cup {None}]
  /\ WorksOnId
  /\ CreatorsApart
  /\ arg \in [Proc -> Item \cup {None}]
  /\ ArgIsUsed
  /\ ArgIsSet
  /\ fd \in [Proc -> Inode \cup {None}]
  /\ HasFile
  /\ UnnamedIsPrivate
  /\ holder \in [Inode -> Proc \cup {None}]
  /\ HolderHasFile
  /\ HolderPlaces
  /\ InspectorPlaces
  /\ OneHolder
  /\ PastLockHolds
  /\ HolderOpens
  /\ lock \in [Id -> Inode \cup {None}]
  /\ InodeHasOneName
  /\ UnnamedHasNoName
  /\ ActingIsNamed
  /\ \E n \in Inode : Free(n)
  /\ data \in SUBSET Id
  /\ OpenHasData
  /\ NoDataBefore
  /\ EmptiedHasNone
  /\ DataHasLockOrOrphan
  /\ OwnerHolds
  /\ used \in SUBSET Id
  /\ CreatorUsedId
  /\ SeenIsUsed
  /\ place \in [Item -> {"absent", "home", "gone"} \cup Id]
  /\ EntryHasData
  /\ CallIsOnOwn
  /\ RemovalStaysInside
  /\ RepliesTrueEverywhere
  /\ tree \in [Item -> 0 .. Files]
  /\ ReachableWholeEverywhere
  /\ OpenIsWhole

OneStep == TLCGet("level") < 2
=============================================================================
