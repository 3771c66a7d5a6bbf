------------------------------ MODULE MCUpstream -----------------------------
(***************************************************************************)
(* Upstream with the recheck on both sides, where one process creates and  *)
(* recovers, as a server does, and other processes recover.  In            *)
(* Upstream.tla creating the lock file and closing it are one step, which  *)
(* is true if no goroutine of the process can open the file in between.    *)
(* As released, one can, and the close drops its lock.                     *)
(***************************************************************************)
EXTENDS MutantsOwner

\* For Pid: one of the recoverers is in the process of the creators.
Server == LET q == CHOOSE q \in Recoverer : TRUE
          IN [p \in Proc |-> IF p \in Creator \cup {q} THEN "one" ELSE p]

\* For UpstreamCreateLock: the first half of it.  p still has the file open.
CreatesLockOpen(p, i) ==
  /\ p \in Upstream \cap Creator /\ pc[p] = "idle"
  /\ Fresh(i) /\ lock[i] = None
  /\ lock' = [lock EXCEPT ![i] = NewInode]
  /\ fd'   = [fd   EXCEPT ![p] = NewInode]
  /\ id'   = [id   EXCEPT ![p] = i]
  /\ used' = used \cup {i}
  /\ Goto(p, "upstreamNamed")
  /\ UNCHANGED <<data, place, tree, holder, parked, arg, crashes, failures>>

\* A path is in the table once it is opened to be locked, and not before.
Tabled(p) == \E q \in Proc \ {p} :
  Shares(p, q) /\ id[q] = id[p] /\ fd[q] # None /\ pc[q] # "upstreamNamed"

\* Whose second open has O_CREAT: everybody's, or that of recoverers.
OpenCreates(p)     == TRUE
RecovererCreates(p) == p \notin Creator

\* For UpstreamOpenLock beside it: first a creator closes the file, and drops
\* the lock that another goroutine of its process has on it.
ClosesThenOpens(p) ==
  /\ p \in Upstream
  /\ \/ /\ pc[p] = "upstreamNamed" /\ fd[p] # None
        /\ holder' = HolderWithout({p})
        /\ fd'     = [fd EXCEPT ![p] = None]
        /\ UNCHANGED <<lock, pc>>
     \/ /\ pc[p] \in {"upstreamNamed", "sawLock", "sawData", "sawBoth"}
        /\ fd[p] = None
        /\ IF Tabled(p) \/ (lock[id[p]] = None /\ ~OpenCreates(p))
           THEN Goto(p, "closing") /\ UNCHANGED <<lock, fd>>
           ELSE LET n == IF lock[id[p]] = None THEN NewInode ELSE lock[id[p]]
                IN /\ lock' = [lock EXCEPT ![id[p]] = n]
                   /\ fd'   = [fd   EXCEPT ![p] = n]
                   /\ Goto(p, "upstreamOpened")
        /\ UNCHANGED holder
  /\ UNCHANGED <<data, place, tree, parked, id, arg, history>>
=============================================================================
