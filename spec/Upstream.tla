------------------------------ MODULE Upstream ------------------------------
(***************************************************************************)
(* The same life as released upstream, so that mixed fleets are models     *)
(* too, and so that the race this project began with can be seen.  Where   *)
(* upstream makes the same system call as we do it takes the same action;  *)
(* here is what differs:                                                   *)
(*                                                                         *)
(* - the lock file has its name before it has its lock, and is opened a    *)
(*   second time, by name and with O_CREAT, to be locked;                  *)
(* - nobody compares the locked file with the name afterwards;             *)
(* - recovery opens with O_CREAT, and unlinks by name without a look;      *)
(* - a failed cleanup keeps the lock, a failed recovery unlinks the lock   *)
(*   file all the same.                                                    *)
(*                                                                         *)
(* Locks are POSIX locks with a table of paths for each process.  The code *)
(* is not in this project; where a label below says "none", that is why.   *)
(*                                                                         *)
(* Where to find what is used here: NewInode, CanLock, IsNamed, disk and   *)
(* locks are in Kernel.tla; Fresh, Goto and the sets of places (...PCs) in *)
(* Create.tla, RemovePCs in Remove.tla, InTable in Recover.tla.            *)
(***************************************************************************)
EXTENDS LockThenData

\* The upstream processes that got a recheck after locking: none as shipped;
\* the half repairs that were proposed give it to one side.
CONSTANT Repaired

UpstreamPCs == {"upstreamNamed", "upstreamOpened", "upstreamTaken", "stuck"}

MixedTypeOK ==
  /\ KernelTypeOK
  /\ pc \in [Proc -> {"idle", "sawLock", "sawData", "sawBoth", "opened",
                      "claimed"} \cup CreatePCs \cup OpenPCs \cup RemovePCs
                     \cup UpstreamPCs]

\* p creates lock-<i> and closes it again.
\* Go: none.  Call: openat(O_CREAT|O_EXCL), close.  Grain: two calls; between
\* them p only holds the file open.  Crash: after, a stale lock file.
UpstreamCreateLock(p, i) ==
  /\ p \in Upstream \cap Creator /\ pc[p] = "idle"
  /\ Fresh(i) /\ lock[i] = None
  /\ lock' = [lock EXCEPT ![i] = NewInode]
  /\ id'   = [id   EXCEPT ![p] = i]
  /\ used' = used \cup {i}
  /\ Goto(p, "upstreamNamed")
  /\ UNCHANGED <<data, place, tree, locks, arg, crashes, failures>>

\* p opens lock-<i> by name, and makes it if it is gone, unless the table of
\* its process has the path.
\* Go: none.  Call: openat(O_CREAT).  Grain: one call.  Crash: after, a lock
\* file, perhaps of an instance that was gone already.
UpstreamOpenLock(p) ==
  /\ p \in Upstream
  /\ pc[p] \in {"upstreamNamed", "sawLock", "sawData", "sawBoth"}
  /\ IF InTable(p, id[p])
     THEN Goto(p, "closing") /\ UNCHANGED <<lock, fd>>
     ELSE LET n == IF lock[id[p]] = None THEN NewInode ELSE lock[id[p]]
          IN /\ lock' = [lock EXCEPT ![id[p]] = n]
             /\ fd'   = [fd   EXCEPT ![p] = n]
             /\ Goto(p, "upstreamOpened")
  /\ UNCHANGED <<data, place, tree, holder, parked, id, arg, history>>

Owns(p) == IF p \in Creator THEN "named" ELSE "claimed"

\* p tries the lock.  A creator that finds it busy leaves the file behind.
\* Go: none.  Call: fcntl(F_SETLK).  Grain: one call.  Crash: as before it.
UpstreamTakeLock(p) ==
  /\ pc[p] = "upstreamOpened"
  /\ IF CanLock(p)
     THEN /\ holder' = [holder EXCEPT ![fd[p]] = p]
          /\ Goto(p, IF p \in Repaired THEN "upstreamTaken" ELSE Owns(p))
     ELSE UNCHANGED holder /\ Goto(p, "closing")
  /\ UNCHANGED <<disk, fd, parked, id, arg, history>>

\* The recheck that upstream lacks.
\* Go: none.  Call: fstat, stat.  Grain: as StatName.  Crash: no change.
UpstreamStatName(p) ==
  /\ pc[p] = "upstreamTaken"
  /\ Goto(p, IF IsNamed(p, id[p]) THEN Owns(p) ELSE "closing")
  /\ UNCHANGED <<disk, locks, id, arg, history>>

\* p removes the lock file by name, whatever the name leads to by now.
\* Go: none.  Call: unlinkat.  Grain: one call.  Crash: as for RemoveLock.
UpstreamRemoveLock(p) ==
  /\ p \in Upstream /\ pc[p] = "emptied"
  /\ lock' = [lock EXCEPT ![id[p]] = None]
  /\ Goto(p, "closing")
  /\ UNCHANGED <<data, place, tree, locks, id, arg, history>>

\* A failing call.  A creator keeps its lock for as long as it lives.
\* Go: none.  Call: any.  Grain: as CallFails.  Crash: no change.
UpstreamCallFails(p) ==
  /\ p \in Upstream /\ failures < MaxFailures
  /\ \/ pc[p] = "calling"        /\ Goto(p, "failed")
     \/ pc[p] = "upstreamOpened" /\ Goto(p, "closing")
     \/ pc[p] \in {"named", "emptying", "inside"}
        /\ Goto(p, IF p \in Creator THEN "stuck" ELSE "emptied")
  /\ failures' = failures + 1
  /\ UNCHANGED <<disk, locks, id, arg, used, crashes>>

UpstreamStep(p) ==
  \/ \E i \in Id : UpstreamCreateLock(p, i)
  \/ UpstreamOpenLock(p) \/ UpstreamTakeLock(p) \/ UpstreamStatName(p)
  \/ UpstreamRemoveLock(p)

MixedNext == Next \/ \E p \in Proc : UpstreamStep(p) \/ UpstreamCallFails(p)
MixedSpec == Init /\ [][MixedNext]_vars

MixedLiveSpec ==
  /\ MixedSpec
  /\ \A p \in Proc : WF_vars(Step(p) \/ UpstreamStep(p))
  /\ \A p \in Recoverer, i \in Id : SF_vars(WholeList(p, i))

\* Our owners beside any recoverers, and any owners beside our recoverers with
\* rules 13 and 15.  Proved for any number of everything (README.md: beside
\* upstream), but for TempDirSpec, which is checked within the models' bounds;
\* the proof of the first asks more where there are no unnamed files.
THEOREM LockKind = "ofd" /\ Upstream \cap Creator = {} /\ MixedSpec =>
  []LiveKept /\ []LiveIsLocked /\ []ReachableWhole /\ TempDirSpec
THEOREM LockKind = "ofd" /\ Upstream \cap Recoverer = {} /\ MixedFleet
        /\ MixedSpec =>
  []LiveKept /\ []LockKept /\ []LiveIsLocked /\ []ReachableWhole
=============================================================================
