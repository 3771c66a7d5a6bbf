------------------------------- MODULE Probes -------------------------------
(***************************************************************************)
(* Reachability.  Each of these says that something interesting never      *)
(* happens, and TLC must refute it; otherwise the models that hold would   *)
(* hold for want of trying.                                                *)
(***************************************************************************)
EXTENDS MC

\* A recoverer has the lock of a file that has no name any more.
NoGhostLock == \A p \in Proc :
  ~(pc[p] = "taken" /\ holder[fd[p]] = p /\ \A i \in Id : lock[i] # fd[p])

\* A creator without unnamed files meets one too, and backs off.
NoCreatorGhostLock == \A p \in Creator :
  ~(pc[p] = "taken" /\ holder[fd[p]] = p /\ ~IsNamed(p, id[p]))

\* A creator without unnamed files finds its new lock file already locked.
NoStolenBirth == \A p \in Creator :
  ~(pc[p] = "created" /\ holder[fd[p]] # None)

\* Data without a lock file is adopted.
NoAdoption == \A p \in Recoverer :
  ~(pc[p] = "claimed" /\ id[p] \in Orphan)

\* Two adopters race and one finds the name taken.
NoAdoptionRace == \A p \in Recoverer :
  ~(pc[p] = "locked" /\ lock[id[p]] # None)

\* A recoverer holds the lock file that an adopter made before it was killed,
\* and goes on with its work.
NoRecoveryOfRecovery == \A p \in Recoverer :
  ~(/\ crashes > 0 /\ id[p] \in Orphan /\ pc[p] = "taken"
    /\ holder[fd[p]] = p /\ IsNamed(p, id[p]))

\* A recoverer has a live instance's lock file open during a commit.
NoCommitWatched == \A p \in Creator, q \in Recoverer :
  ~(/\ pc[p] = "ok" /\ arg[p] \in Addition
    /\ pc[q] = "opened" /\ fd[q] = fd[p])

\* The disk is full when the data directory is to be made.
NoFullDisk == \A p \in Creator :
  ~(failures > 0 /\ pc[p] = "emptied" /\ used # {} /\ data = {}
    /\ \A x \in Item : place[x] = "home")

\* An instance whose removal failed is on disk, complete with its names,
\* while the process that failed lives on.
NoFailedRemoval == \A p \in Creator :
  ~(/\ crashes = 0 /\ failures > 0 /\ pc[p] = "idle"
    /\ \E i \in data : lock[i] # None /\ holder[lock[i]] = None
                       /\ \E x \in Entries(i) : tree[x] < Files)

\* Two callers want the same victim; one is told that it is missing.
NoMissingVictim == \A p \in Creator : pc[p] # "missing"

\* A recoverer finds a live instance's lock busy.
NoBusyLock == \A p, q \in Proc :
  ~(pc[p] = "opened" /\ p # q /\ holder[fd[p]] = q /\ Live(q))

\* A recoverer meets a mount and leaves it.
NoMountMet == \A p \in Recoverer :
  ~(pc[p] = "emptying" /\ Entries(id[p]) \cap Mounted # {})

\* A descriptor is parked, and its lock is held by our own process (rule 15).
NoParked == \A n \in parked[1] \cup parked[2] : holder[n] = None

\* A parked descriptor is of a lock that is gone by now, and can be closed.
NoParkedInVain == \A n \in parked[1] \cup parked[2] : holder[n] # None

\* What an owner that lives on has released is recovered.
NoReleasedRecovery == \A p \in Recoverer :
  ~(pc[p] = "emptying" /\ crashes = 0 /\ failures = 0 /\ fd[p] # None)

\* Data without a lock file is left alone because it is young.
NoYoungOrphan == \A p \in Recoverer :
  ~(pc[p] = "sawData" /\ lock[id[p]] = None /\ YoungData(id[p]))

\* Rule 13 makes a recoverer leave a young name alone.
NoYoungName == \A p \in Recoverer :
  ~(pc[p] \in {"sawLock", "sawData"} /\ TooYoung(id[p]))

\* An upstream recoverer holds the ghost lock of one of our instances.
NoUpstreamGhost == \A p \in Upstream \cap Recoverer :
  ~(pc[p] = "claimed" /\ ~IsNamed(p, id[p]))
=============================================================================
