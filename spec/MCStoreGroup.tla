---------------------------- MODULE MCStoreGroup ----------------------------
(***************************************************************************)
(* Mutants and probes of StoreGroup.tla.                                   *)
(***************************************************************************)
EXTENDS StoreGroup, TLC

Symmetry == Permutations(Proc)

\* For Stage: one that was taken over is told as soon as its layer is moved.
TellsEarly(p) ==
  /\ pc[p] = "stage"
  /\ Put(There(at[p]), "staged")
  /\ owner' = Hold(owner, There(at[p]), p)
  /\ Goto(p, "forget")
  /\ deleted' = IF storeLock = p THEN deleted ELSE deleted \cup {at[p]}
  /\ UNCHANGED <<record, whole, storeLock, claim, asked, at, tried, crashes,
                 failures>>

\* For SettleAll: the save is for all, and does not wait until all are moved.
SettlesUnmoved(p) ==
  /\ storeLock = p /\ pc[p] = "forget" /\ Own(p)
  /\ record' = Records(Group(p), "none")
  /\ AllGoto(Group(p), "unlock")
  /\ UNCHANGED <<place, whole, locks, asked, at, tried, history>>

\* For Join: one joins whose flag the save did not have.
JoinsLate(p, q) ==
  /\ {p, q} \subseteq Handle
  /\ storeLock = p /\ pc[p] = "stage" /\ op[p] = "delete"
  /\ pc[q] = "waiting" /\ op[q] = "delete" /\ record[arg[q]] = "complete"
  /\ \A r \in Group(p) : arg[r] # arg[q]
  /\ at' = [at EXCEPT ![q] = arg[q]] /\ Goto(q, "stage")
  /\ UNCHANGED <<disk, locks, asked, tried, history>>

\* For DropAll: the leader goes on with its own, and tells nobody.
DropsAlone(p) ==
  /\ storeLock = p /\ \A q \in Group(p) : pc[q] = "unlock"
  /\ storeLock' = None /\ Goto(p, "remove")
  /\ UNCHANGED <<disk, owner, claim, asked, at, tried, history>>
-----------------------------------------------------------------------------
\* Probes, of steps (see Probes.tla).
NoSharedFlag == [][\A p \in Proc :
  ~(FlagAll(p) /\ Group(p) # {p})]_vars
NoSharedSettle == [][\A p \in Proc :
  ~(SettleAll(p) /\ In(p, "forget") # {} /\ In(p, "unflag") # {})]_vars
=============================================================================
