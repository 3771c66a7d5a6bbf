------------------------------ MODULE TempDir -------------------------------
(***************************************************************************)
(* What callers rely on, and nothing about how it is done.                 *)
(*                                                                         *)
(* A tree is live (its caller can reach it), staged (moved aside, or not   *)
(* yet committed), or gone.  Every operation is an invocation, an effect   *)
(* and a response; a crash cuts an operation off before or after its       *)
(* effect.  A staged tree belongs to the process that staged it, until     *)
(* that process closes or dies; after that anyone may reap it.             *)
(*                                                                         *)
(* Left out: names, locks, disks.  LockThenData.tla refines this module.   *)
(***************************************************************************)
CONSTANTS Creator, Recoverer, Victim, Addition, None

Proc == Creator \cup Recoverer
Item == Victim \cup Addition

VARIABLES
  item,    \* item[x]:  "absent", "live", "staged" or "gone".
  owner,   \* owner[x]: the process whose open directory holds x, or None.
  does,    \* does[p]:  the operation p has invoked, or None.
  arg,     \* arg[p]:   the tree it is about, or None.
  reply,   \* reply[p]: its result, once it took effect, or None.
  open     \* The creators that have an open directory.

vars == <<item, owner, does, arg, reply, open>>

Init ==
  /\ item  = [x \in Item |-> IF x \in Victim THEN "live" ELSE "absent"]
  /\ owner = [x \in Item |-> None]
  /\ does  = [p \in Proc |-> None]
  /\ arg   = [p \in Proc |-> None]
  /\ reply = [p \in Proc |-> None]
  /\ open  = {}

Release(S) ==   \* What the processes in S owned belongs to nobody.
  owner' = [x \in Item |-> IF owner[x] \in S THEN None ELSE owner[x]]
-----------------------------------------------------------------------------
Invoke(p, op, x) ==
  /\ does[p] = None
  /\ \/ op = "create"  /\ p \in Creator \ open  /\ x = None
     \/ op = "delete"  /\ p \in open            /\ x \in Victim
     \/ op = "commit"  /\ p \in open            /\ x \in Addition
     \/ op = "close"   /\ p \in open            /\ x = None
     \/ op = "recover" /\ p \in Recoverer       /\ x = None
  /\ does' = [does EXCEPT ![p] = op]
  /\ arg'  = [arg  EXCEPT ![p] = x]
  /\ open' = IF op = "close" THEN open \ {p} ELSE open
  /\ UNCHANGED <<item, owner, reply>>

Done(p, result) ==
  /\ reply[p] = None
  /\ reply' = [reply EXCEPT ![p] = result]
  /\ UNCHANGED <<does, arg>>

Create(p) ==
  /\ does[p] = "create" /\ Done(p, "ok")
  /\ open' = open \cup {p}
  /\ UNCHANGED <<item, owner>>

Delete(p) ==    \* Somebody else may have had the victim first.
  /\ does[p] = "delete"
  /\ IF item[arg[p]] = "live"
     THEN /\ item'  = [item  EXCEPT ![arg[p]] = "staged"]
          /\ owner' = [owner EXCEPT ![arg[p]] = p]
          /\ Done(p, "ok")
     ELSE Done(p, "missing") /\ UNCHANGED <<item, owner>>
  /\ UNCHANGED open

Fill(p, x) ==   \* p's caller makes a tree inside its open directory.
  /\ p \in open /\ does[p] = None /\ x \in Addition /\ item[x] = "absent"
  /\ item'  = [item  EXCEPT ![x] = "staged"]
  /\ owner' = [owner EXCEPT ![x] = p]
  /\ UNCHANGED <<does, arg, reply, open>>

Commit(p) ==    \* All of the tree, or nothing of it.
  /\ does[p] = "commit" /\ Done(p, "ok")
  /\ item[arg[p]] = "staged" /\ owner[arg[p]] = p
  /\ item'  = [item  EXCEPT ![arg[p]] = "live"]
  /\ owner' = [owner EXCEPT ![arg[p]] = None]
  /\ UNCHANGED open

Fail(p) ==      \* A failed operation has no effect.
  \/ /\ does[p] \in {"delete", "commit"} /\ Done(p, "failed")
     /\ UNCHANGED <<item, owner, open>>
  \/ /\ does[p] = "create" /\ reply[p] = None    \* clean up, then respond
     /\ does' = [does EXCEPT ![p] = "close"]
     /\ UNCHANGED <<item, owner, arg, reply, open>>

Reap(p, x) ==   \* Only one's own, or what belongs to nobody.
  /\ item[x] = "staged"
  /\ \/ does[p] = "close"   /\ owner[x] = p
     \/ does[p] = "recover" /\ owner[x] = None
  /\ item'  = [item  EXCEPT ![x] = "gone"]
  /\ owner' = [owner EXCEPT ![x] = None]
  /\ UNCHANGED <<does, arg, reply, open>>

Respond(p) ==   \* Close and Recover do their best; they may leave some.
  /\ reply[p] # None \/ does[p] \in {"close", "recover"}
  /\ does'  = [does  EXCEPT ![p] = None]
  /\ arg'   = [arg   EXCEPT ![p] = None]
  /\ reply' = [reply EXCEPT ![p] = None]
  /\ IF does[p] = "close" THEN Release({p}) ELSE UNCHANGED owner
  /\ UNCHANGED <<item, open>>

CutOff(S) ==    \* The processes in S die.
  /\ S # {}
  /\ does'  = [p \in Proc |-> IF p \in S THEN None ELSE does[p]]
  /\ arg'   = [p \in Proc |-> IF p \in S THEN None ELSE arg[p]]
  /\ reply' = [p \in Proc |-> IF p \in S THEN None ELSE reply[p]]
  /\ open'  = open \ S
  /\ Release(S)
  /\ UNCHANGED item

Next ==
  \/ \E p \in Proc :
       \/ \E op \in {"create", "delete", "commit", "close", "recover"},
             x \in Item \cup {None} : Invoke(p, op, x)
       \/ Create(p) \/ Delete(p) \/ Commit(p) \/ Fail(p) \/ Respond(p)
       \/ \E x \in Item : Fill(p, x) \/ Reap(p, x)
  \/ \E S \in SUBSET Proc : CutOff(S)

Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
\* A tree that an open directory holds is still there.
OwnedIsStaged == \A x \in Item : owner[x] # None => item[x] = "staged"

THEOREM Spec => []OwnedIsStaged
=============================================================================
