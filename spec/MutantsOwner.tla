---------------------------- MODULE MutantsOwner ----------------------------
(***************************************************************************)
(* Deliberate faults in what an owner does.  A model swaps one action for  *)
(* its mutant, from the .cfg, and must then be refuted by the property     *)
(* that its .cfg names.  Each mutant says which action it replaces.        *)
(***************************************************************************)
EXTENDS MC

\* For TakeLock, without rule 1: the unnamed file gets its name first, and
\* then its lock.  Nobody rechecks on this path.
NameThenLock(p) ==
  /\ p \in Creator /\ pc[p] \in {"unnamed", "created"}
  /\ IF pc[p] = "unnamed"
     THEN \E i \in Id :
            /\ Fresh(i) /\ lock[i] = None
            /\ lock' = [lock EXCEPT ![i] = fd[p]]
            /\ id'   = [id EXCEPT ![p] = i]
            /\ used' = used \cup {i}
            /\ Goto(p, "created")
            /\ UNCHANGED holder
     ELSE /\ IF CanLock(p)
             THEN holder' = [holder EXCEPT ![fd[p]] = p] /\ Goto(p, "named")
             ELSE UNCHANGED holder /\ Goto(p, "closing")
          /\ UNCHANGED <<lock, id, used>>
  /\ UNCHANGED <<data, place, tree, fd, parked, arg, crashes, failures>>

NameBeforeLock(p) ==
  IF p \in Creator THEN NameThenLock(p)
  ELSE /\ pc[p] \in {"unnamed", "opened"}
       /\ IF CanLock(p)
          THEN /\ holder' = [holder EXCEPT ![fd[p]] = p]
               /\ Goto(p, IF pc[p] = "unnamed" THEN "locked" ELSE "taken")
          ELSE UNCHANGED holder /\ Goto(p, "closing")
       /\ UNCHANGED <<disk, fd, parked, id, arg, history>>

\* For StatName, without rule 2 in the creator (where there are no unnamed
\* files): what it locked is taken for what it named.
CreatorTrustsLock(p) ==
  /\ pc[p] \in {"taken", "emptied"}
  /\ Goto(p, IF pc[p] = "taken" /\ p \in Creator THEN "named"
             ELSE IF ~IsNamed(p, id[p])          THEN "closing"
             ELSE IF pc[p] = "emptied"           THEN "verified"
             ELSE "claimed")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* For LinkLock: the data directory is made before the lock file is linked.
DataBeforeLock(p, i) ==
  /\ pc[p] = "locked" /\ p \in Creator
  /\ IF id[p] = None
     THEN /\ Fresh(i) /\ lock[i] = None
          /\ data' = data \cup {i}
          /\ used' = used \cup {i}
          /\ id'   = [id EXCEPT ![p] = i]
          /\ UNCHANGED <<lock, pc>>
     ELSE /\ i = id[p] /\ lock[i] = None
          /\ lock' = [lock EXCEPT ![i] = fd[p]]
          /\ Goto(p, "ok")
          /\ UNCHANGED <<data, used, id>>
  /\ UNCHANGED <<place, tree, locks, arg, crashes, failures>>

\* For Fresh, without rule 6: an id may come again once nothing shows it.
NotOnDisk(i) == lock[i] = None /\ i \notin data

\* For StageDeletion, without rule 10: any ENOENT is "the victim is gone".
OneNotFound(p) ==
  /\ pc[p] = "calling" /\ arg[p] \in Victim
  /\ IF id[p] \in data /\ place[arg[p]] = "home"
     THEN place' = [place EXCEPT ![arg[p]] = id[p]] /\ Goto(p, "ok")
     ELSE UNCHANGED place /\ Goto(p, "missing")
  /\ UNCHANGED <<lock, data, tree, locks, id, arg, history>>

\* For StageDeletion: across file systems, copy and unlink file by file.
MovesFileByFile(p) ==
  /\ pc[p] = "calling" /\ arg[p] \in Victim /\ id[p] \in data
  /\ IF tree[arg[p]] > 0
     THEN /\ tree' = [tree EXCEPT ![arg[p]] = @ - 1]
          /\ UNCHANGED <<place, pc>>
     ELSE /\ place' = [place EXCEPT ![arg[p]] = id[p]]
          /\ UNCHANGED tree /\ Goto(p, "ok")
  /\ UNCHANGED <<lock, data, locks, id, arg, history>>

\* For CallFails, without rule 5: after a failed removal p keeps its lock
\* for as long as it lives.
FailureKeepsLock(p) ==
  /\ failures < MaxFailures /\ p \in Creator
  /\ pc[p] \in {"emptying", "inside"}
  /\ failures' = failures + 1
  /\ Goto(p, "stuck")
  /\ UNCHANGED <<disk, locks, id, arg, used, crashes>>

\* For CallFails: a create whose data directory cannot be made keeps its
\* lock, as upstream does on a full disk.
FailedCreateKeepsLock(p) ==
  /\ failures < MaxFailures /\ pc[p] = "named"
  /\ failures' = failures + 1
  /\ Goto(p, "stuck")
  /\ UNCHANGED <<disk, locks, id, arg, used, crashes>>

\* For CallFails, without rule 14: an error is taken for the answer that the
\* victim is not there.
ErrorIsAnswer(p) ==
  /\ failures < MaxFailures
  /\ pc[p] = "calling" /\ arg[p] \in Victim
  /\ failures' = failures + 1
  /\ Goto(p, "missing")
  /\ UNCHANGED <<disk, locks, id, arg, used, crashes>>
=============================================================================
