----------------------------- MODULE MCReports ------------------------------
(***************************************************************************)
(* A mutant of what the layer store reports.                               *)
(***************************************************************************)
EXTENDS LayerStore

\* For Remove: a deletion is reported although its record was not forgotten.
ReportsUnforgotten(p) ==
  /\ pc[p] = "remove"
  /\ LET x    == at[p]
         mine == x # None /\ owner[x] = p
     IN IF mine /\ x \in whole
        THEN /\ whole' = whole \ {x}
             /\ UNCHANGED <<place, owner, claim, pc, asked, at, tried,
                            deleted>>
        ELSE /\ place' = IF mine THEN [place EXCEPT ![x] = "gone"] ELSE place
             /\ owner' = IF mine THEN [owner EXCEPT ![x] = None] ELSE owner
             /\ deleted' = IF /\ op[p] = "delete" /\ x = arg[p]
                              /\ place[x] # "home"
                           THEN deleted \cup {x} ELSE deleted
             /\ End(p)
             /\ UNCHANGED whole
  /\ UNCHANGED <<record, storeLock, crashes, failures>>
=============================================================================
