------------------------------- MODULE Probes -------------------------------
(***************************************************************************)
(* Reachability.  Each of these says that a branch of an action is never   *)
(* taken, and TLC must refute it; otherwise the models that hold would     *)
(* hold for want of trying.  They are about steps: a state that enables a  *)
(* branch would be reached all the same if the branch were deleted.        *)
(***************************************************************************)
EXTENDS MC

Goes(p, from, to) == pc[p] = from /\ pc'[p] = to

\* A recoverer has the lock of a file that has no name any more, and goes.
NoGhostLock == [][\A p \in Recoverer :
  ~(StatName(p) /\ Goes(p, "taken", "closing"))]_vars

\* A creator without unnamed files meets one too, and backs off.
NoCreatorGhostLock == [][\A p \in Creator :
  ~(StatName(p) /\ Goes(p, "taken", "closing"))]_vars

\* A creator without unnamed files finds its new lock file already locked.
NoStolenBirth == [][\A p \in Creator :
  ~(TakeLock(p) /\ Goes(p, "created", "closing"))]_vars

\* Data without a lock file is adopted.
NoAdoption == [][\A p \in Recoverer, i \in Id :
  ~(LinkLock(p, i) /\ Goes(p, "locked", "claimed"))]_vars

\* Two adopters race and one finds the name taken.
NoAdoptionRace == [][\A p \in Recoverer, i \in Id :
  ~(LinkLock(p, i) /\ Goes(p, "locked", "closing"))]_vars

\* A recoverer holds the lock file that an adopter made before it was killed,
\* and goes on with its work.
NoRecoveryOfRecovery == [][\A p \in Recoverer :
  ~(crashes > 0 /\ id[p] \in Orphan /\ StatName(p)
      /\ Goes(p, "taken", "claimed"))]_vars

\* A recoverer has a live instance's lock file open during a commit.
NoCommitWatched == [][\A p \in Creator, q \in Recoverer :
  ~(Commit(p) /\ Goes(p, "calling", "ok")
      /\ pc[q] = "opened" /\ fd[q] = fd[p])]_vars

\* The disk is full when the data directory is to be made.
NoFullDisk == [][\A p \in Creator :
  ~(CallFails(p) /\ Goes(p, "named", "emptied"))]_vars

\* An owner whose removal failed closes, lives on, and leaves half a tree with
\* both names.
NoFailedRemoval == [][\A p \in Creator :
  ~(Close(p) /\ id[p] \in data /\ IsNamed(p, id[p])
      /\ \E x \in Entries(id[p]) : tree[x] < Files)]_vars

\* Two callers want the same victim; one is told that it is missing.
NoMissingVictim == [][\A p \in Creator :
  ~(StageDeletion(p) /\ Goes(p, "calling", "missing"))]_vars

\* A recoverer finds a live instance's lock busy.
NoBusyLock == [][\A p \in Recoverer, q \in Creator :
  ~(TakeLock(p) /\ Goes(p, "opened", "closing")
      /\ holder[fd[p]] = q /\ Live(q))]_vars

\* A recoverer meets a mount and leaves it.
NoMountMet == [][\A p \in Recoverer, x \in Mounted :
  ~(OpenEntry(p, x) /\ Goes(p, "emptying", "closing"))]_vars

\* A descriptor is parked, since its lock is held by our own process (rule 15).
NoParked == [][\A p \in Proc : ~(LockHolder(p) /\ parked' # parked)]_vars

\* A parked descriptor is of a lock that is gone by now, and is closed.
NoParkedInVain == [][\A p \in Proc : ~(OpenLock(p) /\ parked' # parked)]_vars

\* What an owner that lives on has released is recovered.
NoReleasedRecovery == [][\A p \in Recoverer :
  ~(crashes = 0 /\ failures = 0 /\ OpenDirectory(p)
      /\ Goes(p, "claimed", "emptying"))]_vars

\* Data without a lock file is left alone because it is young.
NoYoungOrphan == [][\A p \in Recoverer :
  ~(SkipYoung(p) /\ pc[p] = "sawData")]_vars

\* Rule 13 makes a recoverer leave a young name alone.
NoYoungName == [][\A p \in Recoverer :
  ~(SkipYoung(p) /\ pc[p] = "sawLock")]_vars

\* An upstream recoverer claims one of our instances by a ghost lock.
NoUpstreamGhost == [][\A p \in Upstream \cap Recoverer :
  ~(UpstreamTakeLock(p) /\ Goes(p, "upstreamOpened", "claimed")
      /\ ~IsNamed(p, id[p]))]_vars
=============================================================================
