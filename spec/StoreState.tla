----------------------------- MODULE StoreState -----------------------------
(***************************************************************************)
(* The ground of the layer store: what is on disk, what dies with its      *)
(* process, and the words that StoreSteps, StoreInPlace and LayerStore     *)
(* are written in.                                                         *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Proc, Old, New,   \* Processes; layers that exist, and layers to be made.
  OneId,            \* TRUE: all layers have one id, one after the other.
  MaxCrashes, MaxFailures, None

Layer == Old \cup New

VARIABLES
  record,     \* Durable.  record[x]: "none", "incomplete" or "complete".
  place,      \* Durable.  place[x]:  "absent", "home", "staged" or "gone".
  whole,      \* Durable.  The layers of which no file is missing.
  storeLock,  \* Volatile. The process that holds the store lock, or None.
  owner,      \* Volatile. owner[x] has x in an open directory, or None.
  claim,      \* Volatile. claim[x] removes x where it is, or None.
  pc,         \* Volatile. pc[p] is p's place.
  op,         \* Volatile. op[p] is what p was asked to do, or None.
  arg,        \* Volatile. arg[p] is the layer it was asked about, or None.
  at,         \* Volatile. at[p] is the layer that p has in hand, or None.
  tried,      \* Volatile. tried[p] are the flagged layers that p leaves.
  deleted,    \* History.  The layers whose deletion reported success.
  crashes, failures    \* History.

disk    == <<record, place, whole>>
locks   == <<storeLock, owner, claim>>
asked   == <<op, arg>>
history == <<deleted, crashes, failures>>
vars    == <<disk, locks, pc, asked, at, tried, history>>

TypeOK ==
  /\ record \in [Layer -> {"none", "incomplete", "complete"}]
  /\ place  \in [Layer -> {"absent", "home", "staged", "gone"}]
  /\ whole \subseteq Layer /\ deleted \subseteq Layer
  /\ storeLock \in Proc \cup {None}
  /\ owner \in [Layer -> Proc \cup {None}]
  /\ claim \in [Layer -> Proc \cup {None}]
  /\ pc \in [Proc -> {"idle", "waiting", "loading", "flag", "stage",
                      "unflag", "forget", "release", "commit", "complete",
                      "unlock", "remove", "claim", "removeHere", "again",
                      "forgetHere"}]
  /\ op \in [Proc -> {None, "delete", "create", "update", "load", "recover"}]
  /\ arg \in [Proc -> Layer \cup {None}]
  /\ at  \in [Proc -> Layer \cup {None}]
  /\ tried \in [Proc -> SUBSET Layer]
  /\ crashes \in 0 .. MaxCrashes /\ failures \in 0 .. MaxFailures

Init ==
  /\ record = [x \in Layer |-> IF x \in Old THEN "complete" ELSE "none"]
  /\ place  = [x \in Layer |-> IF x \in Old THEN "home" ELSE "absent"]
  /\ whole  = Layer
  /\ storeLock = None
  /\ owner = [x \in Layer |-> None] /\ claim = owner
  /\ pc    = [p \in Proc |-> "idle"]
  /\ op    = [p \in Proc |-> None]
  /\ arg   = op /\ at = op
  /\ tried = [p \in Proc |-> {}]
  /\ deleted = {} /\ crashes = 0 /\ failures = 0

Goto(p, l)     == pc' = [pc EXCEPT ![p] = l]
Leave(p, x)    == tried' = [tried EXCEPT ![p] = @ \cup {x}]
Record(x, r)   == record' = [record EXCEPT ![x] = r]
Without(f, p)  == [x \in Layer |-> IF f[x] = p THEN None ELSE f[x]]
Incomplete     == {x \in Layer : record[x] = "incomplete"}
Twins(x)       == IF OneId THEN Layer ELSE {x}

\* What is at the path of x: paths are made of ids.
There(x)       == {y \in Twins(x) : place[y] = "home"}
Put(S, where)  ==
  place' = [y \in Layer |-> IF y \in S THEN where ELSE place[y]]
Hold(f, S, p)  == [y \in Layer |-> IF y \in S THEN p ELSE f[y]]

\* Is the layer that p has in hand p's own business?  Load is asked to finish
\* what is flagged, whoever left it.
Own(p)         == at[p] = arg[p] \/ op[p] = "load"

\* p may make x: nothing has its id, flagged or not, and nothing is there.
Free(x) == There(x) = {} /\ \A y \in Twins(x) : record[y] = "none"

\* p has the store lock: first what others left flagged, but for those in t;
\* then what it was asked.
Begin(p) ==
  /\ at' = [at EXCEPT ![p] = arg[p]]
  /\ Goto(p, IF \/ op[p] = "delete" /\ record[arg[p]] = "complete"
                \/ op[p] = "create" /\ Free(arg[p])
             THEN "flag" ELSE "unlock")

GoOn(p, t) == IF Incomplete \ t = {} THEN Begin(p)
              ELSE Goto(p, "loading") /\ UNCHANGED at

\* p is done with the layer in hand, and holds nothing of it any more.
End(p) ==
  /\ at' = [at EXCEPT ![p] = None]
  /\ claim' = Without(claim, p)
  /\ IF at[p] = arg[p]
     THEN /\ op'    = [op    EXCEPT ![p] = None]
          /\ arg'   = [arg   EXCEPT ![p] = None]
          /\ tried' = [tried EXCEPT ![p] = {}]
          /\ Goto(p, "idle")
     ELSE Goto(p, "waiting") /\ UNCHANGED <<asked, tried>>
=============================================================================
