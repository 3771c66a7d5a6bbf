-------------------------- MODULE InductiveBeside ---------------------------
(***************************************************************************)
(* The invariants of the theories beside upstream, and with other locks,   *)
(* as package model/proof has them, which makes this text.  A clause that  *)
(* is not here is in Inductive.tla; what ends in Beside says something     *)
(* else than the clause of that name there.  README.md has the hypotheses. *)
(***************************************************************************)
EXTENDS Inductive

\* Who has not opened a file yet has no descriptor.
NoFileBefore ==
  \A p \in Proc : (pc[p] \in {"idle", "sawLock", "sawData", "sawBoth"}) =>
  (~(fd[p] # None))

\* Who has a file open that has a name works on that id.
OpenedByName ==
  \A p \in Proc : \A i \in Id : ((fd[p] # None) /\ ((lock[i] # None) /\
  (lock[i] = fd[p]))) => ((id[p] # None) /\ (id[p] = i))

\* A file is open once in a process whose locks are POSIX locks.
EachOwnFile ==
  \A p \in Proc : \A q \in Proc : ((fd[p] # None) /\ ((fd[q] # None) /\
  (fd[q] = fd[p])) /\ (((p \in Upstream) \/ (LockKind # "ofd")) /\ ((q \in
  Upstream) \/ (LockKind # "ofd")) /\ (Pid[p] = Pid[q]))) => (p = q)

\* Who holds a lock is past taking it, and not yet past Close.
HolderPlacesBeside ==
  \A p \in Proc : (Holds(p)) => (pc[p] \in {"closing", "stuck",
  "upstreamTaken"} \cup Holding)

\* A creator never lists, opens or claims.
CreatorPlacesBeside ==
  \A p \in Proc : (pc[p] \in {"sawLock", "sawData", "sawBoth", "opened",
  "claimed"}) => (~(p \in Creator))

\* Whoever of ours is past TakeLock holds the lock.
PastLockHoldsBeside ==
  \A p \in Proc : (pc[p] \in Holding) => ((~(p \in Upstream)) => (Holds(p)))

\* Whoever of our creators acts on an id has the file open that the id's
\* lock file is.
ActingIsNamedBeside ==
  \A p \in Proc : (pc[p] \in Acts) => ((~(p \in Upstream)) => ((p \in
  Creator) => ((lock[id[p]] # None) /\ (lock[id[p]] = fd[p]))))

\* An open directory of ours is there.
OpenHasDataBeside ==
  \A p \in Proc : (pc[p] \in OpenPCs) => ((~(p \in Upstream)) => (id[p] \in
  data))

\* A tree is worked on in a call and in a removal only, or was by
\* upstream's, whose call failed.
ArgIsUsedBeside ==
  \A p \in Proc : (arg[p] # None) => ((pc[p] \in {"calling", "inside",
  "stuck"} \cup ReplyPCs) \/ ((p \in Upstream) /\ (pc[p] \in {"emptied",
  "closing"})))

\* A call to us is about a victim, or about an addition inside one's own
\* instance.
CallIsOnOwnBeside ==
  \A p \in Proc : (pc[p] \in {"calling"}) => ((~(p \in Upstream)) =>
  ((arg[p] \in Victim) \/ ((arg[p] \in Addition) /\ ((place[arg[p]] \in Id)
  /\ (place[arg[p]] = id[p])))))

\* What somebody removes is in its own instance, or gone, or was committed
\* by an upstream owner.
RemovalStaysInsideBeside ==
  (\A p \in Proc : (pc[p] \in {"inside"}) => ((~(arg[p] \in Mounted)) /\
  (((place[arg[p]] \in Id) /\ (place[arg[p]] = id[p])) \/ (place[arg[p]] =
  "gone") \/ ((arg[p] \in Addition) /\ (place[arg[p]] = "home"))))) /\ ((\E
  p \in Proc : (p \in Upstream) /\ (p \in Creator)) \/ (\A p \in Proc :
  (pc[p] \in {"inside"}) => (~(place[arg[p]] = "home"))))

\* A victim that can be reached by its path, and what is mounted, is whole;
\* so is what was committed, if upstream has no owners.
ReachableWholeEverywhereBeside ==
  (\A x \in Item : (((place[x] = "home") /\ (x \in Victim)) \/ (x \in
  Mounted)) => (tree[x] = Files)) /\ ((\E p \in Proc : (p \in Upstream) /\
  (p \in Creator)) \/ (\A x \in Item : (place[x] = "home") => (tree[x] =
  Files)))

\* What is inside an open directory of ours is whole.
OpenIsWholeBeside ==
  \A p \in Proc : (pc[p] \in OpenPCs) => ((~(p \in Upstream)) => (\A x \in
  Item : ((place[x] \in Id) /\ (place[x] = id[p])) => (tree[x] = Files)))

\* Nobody of ours loses its own directory.
NeverLostEverywhereBeside ==
  \A p \in Proc : (~(p \in Upstream)) => (~(pc[p] \in {"lost"}))

\* Who is at upstream's places is upstream's, has an id and, past opening, a
\* descriptor; only a creator makes a lock file.
TheirPlaces ==
  (\A p \in Proc : (pc[p] \in {"upstreamNamed", "stuck", "upstreamOpened",
  "upstreamTaken"}) => ((p \in Upstream) /\ (id[p] # None))) /\ (\A p \in
  Proc : (pc[p] \in {"stuck", "upstreamOpened", "upstreamTaken"}) => (fd[p]
  # None)) /\ (\A p \in Proc : (pc[p] \in {"upstreamNamed"}) => (p \in
  Creator))

\* Whatever id somebody works on is used.
IdIsUsed ==
  \A p \in Proc : (id[p] # None) => (id[p] \in used)

\* An upstream creator's id has no data before it makes it.
TheirNoDataBefore ==
  \A p \in Proc : (pc[p] \in {"upstreamNamed", "upstreamOpened",
  "upstreamTaken"}) => ((p \in Creator) => (~(id[p] \in data)))

\* Whoever else has opened the lock file of our creator, while it has its
\* name, has that file.
OneFile ==
  \A p \in Proc : \A q \in Proc : ((((~(p \in Upstream)) /\ (p \in Creator))
  /\ (id[p] # None) /\ ((fd[p] # None) /\ ((lock[id[p]] # None) /\
  (lock[id[p]] = fd[p])))) /\ ((id[p] # None) /\ (id[q] # None) /\ (id[p] =
  id[q])) /\ (pc[q] \in {"created", "opened", "looking", "taken",
  "upstreamOpened", "upstreamTaken"} \cup Acts)) => ((fd[q] # None) /\
  (fd[q] = fd[p]))

\* Nobody else acts on an id on which our creator acts.
OursAlone ==
  \A p \in Proc : \A q \in Proc : ((((~(p \in Upstream)) /\ (p \in Creator))
  /\ (id[p] # None) /\ ((fd[p] # None) /\ ((lock[id[p]] # None) /\
  (lock[id[p]] = fd[p])))) /\ (pc[p] \in Acts) /\ ((id[p] # None) /\ (id[q]
  # None) /\ (id[p] = id[q])) /\ (pc[q] \in {"upstreamTaken"} \cup Acts)) =>
  (p = q)

\* Without unnamed files, a process of upstream has a file open once.
TheirOwnFile ==
  (TmpFile) \/ (\A p \in Proc : \A q \in Proc : ((fd[p] # None) /\ ((fd[q] #
  None) /\ (fd[q] = fd[p])) /\ (((p \in Upstream) \/ (LockKind # "ofd")) /\
  ((q \in Upstream) \/ (LockKind # "ofd")) /\ (Pid[p] = Pid[q]))) => (p =
  q))

\* Whoever is past taking the lock of a file that our creator made by its
\* name holds it, while that creator is still to look.
TheyHoldBeside ==
  \A p \in Proc : \A q \in Proc : ((((~(p \in Upstream)) /\ (p \in Creator))
  /\ (id[p] # None) /\ ((fd[p] # None) /\ ((lock[id[p]] # None) /\
  (lock[id[p]] = fd[p])))) /\ (pc[p] \in {"created", "taken"}) /\ ((id[p] #
  None) /\ (id[q] # None) /\ (id[p] = id[q])) /\ (pc[q] \in
  {"upstreamTaken"} \cup Acts)) => (Holds(q))

\* Nobody else of ours opens a file that our creator made by its name, while
\* that creator is still to look, if rule 13 is followed.
OurYoungUntouched ==
  (MixedFleet) => (\A p \in Proc : \A q \in Proc : (((~(p \in Upstream)) /\
  (p \in Creator)) /\ (pc[p] \in {"created", "taken"}) /\ (~(q \in
  Upstream)) /\ ((id[p] # None) /\ (id[q] # None) /\ (id[p] = id[q]))) =>
  ((p = q) \/ (pc[q] \in {"sawLock"}) \/ ((pc[q] \in {"closing"}) /\
  (~(fd[q] # None)))))

\* Our creators make lock files by name only where they have to.
Fallback ==
  \A p \in Proc : (pc[p] \in {"created", "taken"}) => ((p \in Creator) =>
  (~(TmpFile)))

\* Whoever is past taking it in upstream's code holds the lock.
TheyHold ==
  \A p \in Proc : (pc[p] \in {"upstreamTaken"}) => (Holds(p))

\* An upstream creator's lock file keeps its name until its owner removes
\* it.
TheirNameStays ==
  (\A p \in Proc : (pc[p] \in {"upstreamNamed"}) => (lock[id[p]] # None)) /\
  (\A p \in Proc : (pc[p] \in {"upstreamOpened", "upstreamTaken"}) =>
  ((lock[id[p]] # None) /\ (lock[id[p]] = fd[p])))

\* Nobody opens the lock file of an upstream creator that has no data yet
\* (rule 13).
YoungUntouched ==
  \A p \in Proc : \A q \in Proc : (((p \in Upstream) /\ (pc[p] \in {"named",
  "upstreamNamed", "upstreamOpened", "upstreamTaken"})) /\ (id[q] # None) /\
  (id[p] = id[q])) => ((p = q) \/ (pc[q] \in {"sawLock"}) \/ ((pc[q] \in
  {"closing"}) /\ (~(fd[q] # None))))

\* Nobody is about to close a file on which another goroutine of its process
\* has a POSIX lock (rule 15).
ClosesNoLock ==
  \A p \in Proc : \A q \in Proc : ((pc[p] \in {"closing"}) /\ (fd[p] # None)
  /\ ((Holds(q)) /\ ((fd[q] # None) /\ (fd[q] = fd[p]))) /\ ((q \in
  Upstream) \/ (LockKind # "ofd")) /\ (Pid[p] = Pid[q])) => (p = q)

InductivePosix ==
  HolderOpens /\ WorksOnId /\ HasFile /\ HolderHasFile /\ HolderPlaces /\
  CreatorPlaces /\ RecovererPlaces /\ OneHolder /\ PastLockHolds /\
  InodeHasOneName /\ UnnamedHasNoName /\ UnnamedIsPrivate /\ ActingIsNamed
  /\ OpenHasData /\ CreatorUsedId /\ CreatorsApart /\ SeenIsUsed /\
  NoDataBefore /\ EmptiedHasNone /\ DataHasLockOrOrphan /\ EntryHasData /\
  ArgIsUsed /\ ArgIsSet /\ CallIsOnOwn /\ RemovalStaysInside /\
  ReachableWholeEverywhere /\ OpenIsWhole /\ RepliesTrueEverywhere /\
  NeverLostEverywhere /\ NoFileBefore /\ OpenedByName /\ EachOwnFile

InductiveOurOwners ==
  HolderOpens /\ WorksOnId /\ HasFile /\ HolderHasFile /\ HolderPlacesBeside
  /\ CreatorPlacesBeside /\ RecovererPlaces /\ OneHolder /\
  PastLockHoldsBeside /\ InodeHasOneName /\ UnnamedHasNoName /\
  UnnamedIsPrivate /\ ActingIsNamedBeside /\ OpenHasDataBeside /\
  CreatorsApart /\ SeenIsUsed /\ NoDataBefore /\ EntryHasData /\
  ArgIsUsedBeside /\ ArgIsSet /\ CallIsOnOwnBeside /\
  RemovalStaysInsideBeside /\ ReachableWholeEverywhereBeside /\
  OpenIsWholeBeside /\ RepliesTrueEverywhere /\ NeverLostEverywhereBeside /\
  TheirPlaces /\ NoFileBefore /\ OpenedByName /\ IdIsUsed /\
  TheirNoDataBefore /\ OneFile /\ OursAlone /\ TheirOwnFile /\
  TheyHoldBeside /\ OurYoungUntouched /\ Fallback

InductiveUpstreamOwners ==
  HolderOpens /\ WorksOnId /\ HasFile /\ HolderHasFile /\ HolderPlacesBeside
  /\ CreatorPlacesBeside /\ RecovererPlaces /\ InspectorPlaces /\ OneHolder
  /\ PastLockHolds /\ InodeHasOneName /\ UnnamedHasNoName /\
  UnnamedIsPrivate /\ ActingIsNamed /\ OpenHasData /\ CreatorsApart /\
  SeenIsUsed /\ NoDataBefore /\ EmptiedHasNone /\ DataHasLockOrOrphan /\
  EntryHasData /\ ArgIsUsed /\ ArgIsSet /\ CallIsOnOwn /\ RemovalStaysInside
  /\ ReachableWholeEverywhere /\ OpenIsWhole /\ RepliesTrueEverywhere /\
  NeverLostEverywhere /\ TheirPlaces /\ NoFileBefore /\ OpenedByName /\
  IdIsUsed /\ TheyHold /\ TheirNoDataBefore /\ TheirNameStays /\
  YoungUntouched /\ ClosesNoLock

InductiveRepaired ==
  HolderOpens /\ WorksOnId /\ HasFile /\ HolderHasFile /\ HolderPlacesBeside
  /\ CreatorPlacesBeside /\ RecovererPlaces /\ InspectorPlaces /\ OneHolder
  /\ PastLockHolds /\ InodeHasOneName /\ UnnamedHasNoName /\
  UnnamedIsPrivate /\ ActingIsNamed /\ OpenHasData /\ CreatorsApart /\
  SeenIsUsed /\ NoDataBefore /\ EntryHasData /\ ArgIsUsedBeside /\ ArgIsSet
  /\ CallIsOnOwn /\ RemovalStaysInside /\ ReachableWholeEverywhere /\
  OpenIsWhole /\ RepliesTrueEverywhere /\ NeverLostEverywhere /\ TheirPlaces
  /\ NoFileBefore /\ OpenedByName /\ IdIsUsed /\ TheyHold /\ EachOwnFile /\
  TheirNoDataBefore
=============================================================================
