----------------------------- MODULE PowerLoss ------------------------------
(***************************************************************************)
(* Power loss.  What is on disk afterwards need not be what processes saw  *)
(* before: of the operations that were not yet durable, some survive and   *)
(* some do not.  Which sets can survive is the *durability model* of the   *)
(* file system; there are three, by name.                                  *)
(*                                                                         *)
(* The program is one store that deletes one layer: flag the record, make  *)
(* an instance, move the layer in, forget the record, drop the store lock, *)
(* remove.  After power loss it recovers and then reads its metadata.      *)
(* Where the layer cannot be moved (InPlace) the store flags it, removes   *)
(* it where it is, and forgets the record.  A layer is a directory, or one *)
(* file (Loose): btrfs was seen to leave a moved file under both names.    *)
(*                                                                         *)
(* Left out: other processes, which power loss ends; LockThenData.tla has  *)
(* many recoverers, from any of the disks that are left here (its Orphan). *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Durability,  \* "ordered", "perDirectory" or "weak".
  Syncs,       \* The fsyncs made: "flag", "source", "record", "data", "here".
  InPlace,     \* The layer is removed where it is.
  Kills,       \* The program can be killed: then others see what it did.
  Loose,       \* The layer is a file, and Files is 0.
  Files,       \* How many files the layer has.
  MaxLosses    \* Bound for TLC, of power losses and kills.

VARIABLES
  cache,    \* Volatile. The tree of names as running processes see it.
  disk,     \* Durable.  The tree of names without what is in the log.
  log,      \* Volatile. The operations since, in order.
  pc,       \* Volatile. The program's place.
  losses    \* History.

vars == <<cache, disk, log, pc, losses>>

Trees == [lock : BOOLEAN,      \* the name lock-<id>, in the root
          data : BOOLEAN,      \* the name temp-dir-<id>, in the root
          layer : {"home", "entry", "both", "gone"},  \* its name, where
          files : 0 .. Files,                   \* what the layer contains
          record : {"complete", "incomplete", "none"}]

TypeOK ==
  /\ cache \in Trees /\ disk \in Trees
  /\ log \in Seq({"LinkLock", "MakeData", "StageDeletion", "Arrive", "Leave",
                  "RemoveEntry", "RemoveLayer", "RemoveHome", "RemoveData",
                  "RemoveLock", "Flag", "Forget"})
  /\ losses \in 0 .. MaxLosses

Init ==
  /\ cache = [lock |-> FALSE, data |-> FALSE, layer |-> "home",
              files |-> Files, record |-> "complete"]
  /\ disk = cache /\ log = <<>> /\ pc = "begin" /\ losses = 0

AtHome(t)  == t.layer \in {"home", "both"}
AtEntry(t) == t.layer \in {"entry", "both"}

\* What an operation does to a tree of names.
Apply(t, op) ==
  CASE op = "LinkLock"      -> [t EXCEPT !.lock = TRUE]
    [] op = "MakeData"      -> [t EXCEPT !.data = TRUE]
    [] op = "StageDeletion" -> [t EXCEPT !.layer = "entry"]
    [] op = "Arrive"        -> [t EXCEPT !.layer = "both"]
    [] op \in {"Leave", "RemoveHome"} ->
         [t EXCEPT !.layer = IF @ = "both" THEN "entry" ELSE "gone"]
    [] op = "RemoveEntry"   -> [t EXCEPT !.files = @ - 1]
    [] op = "RemoveLayer"   ->
         [t EXCEPT !.layer = IF @ = "both" THEN "home" ELSE "gone"]
    [] op = "RemoveData"    -> [t EXCEPT !.data = FALSE]
    [] op = "RemoveLock"    -> [t EXCEPT !.lock = FALSE]
    [] op = "Flag"          -> [t EXCEPT !.record = "incomplete"]
    [] op = "Forget"        -> [t EXCEPT !.record = "none"]

\* The directories whose entries an operation changes.
Dirs(op) ==
  CASE op \in {"LinkLock", "MakeData", "RemoveData", "RemoveLock"} -> {"root"}
    [] op = "StageDeletion" -> {"layers", "data"}
    [] op = "RemoveEntry"   -> {"layer"}
    [] op \in {"RemoveLayer", "Arrive"} -> {"data"}
    [] op \in {"RemoveHome", "Leave"}   -> {"layers"}
    [] OTHER                -> {"metadata"}

\* The names that an operation makes, removes, or needs to be there or empty.
Names(op) ==
  CASE op \in {"LinkLock", "RemoveLock"} -> {"lock"}
    [] op = "MakeData"      -> {"data"}
    [] op = "RemoveData"    -> {"data", "layer"}
    [] op = "StageDeletion" -> {"data", "layer"}
    [] op = "Arrive"        -> {"data", "layer", "moved"}
    [] op = "Leave"         -> {"moved"}
    [] op \in {"RemoveLayer", "RemoveHome"} -> {"layer", "files"}
    [] op = "RemoveEntry"   -> {"files"}
    [] OTHER                -> {"record"}

\* The halves of an operation, of which the first may survive alone: those of a
\* rename of a file.  After one of a directory nothing like it was seen.
Parts(op) == IF op = "StageDeletion" /\ Loose /\ Durability = "weak"
             THEN <<"Arrive", "Leave">> ELSE <<op>>

\* Does the later operation b survive only together with the earlier one a?
Carries(a, b) ==
  \/ Durability = "ordered"
  \/ Durability = "perDirectory" /\ Dirs(a) \cap Dirs(b) # {}
  \/ Names(a) \cap Names(b) # {}

\* Every set of operations in the log that may be durable together.
Surviving ==
  {S \in SUBSET DOMAIN log : \A j \in S : \A i \in 1 .. j - 1 :
     Carries(log[i], log[j]) => i \in S}

RECURSIVE ApplyAll(_, _, _)
ApplyAll(t, S, i) ==
  IF i > Len(log) THEN t
  ELSE ApplyAll(IF i \in S THEN Apply(t, log[i]) ELSE t, S, i + 1)

RECURSIVE Without(_, _)
Without(S, i) ==
  IF i > Len(log) THEN <<>>
  ELSE (IF i \in S THEN <<>> ELSE <<log[i]>>) \o Without(S, i + 1)

\* The smallest surviving set with every operation on directory d.
SyncSet(d) ==
  LET all == {S \in Surviving : \A i \in DOMAIN log :
                d \in Dirs(log[i]) => i \in S}
  IN CHOOSE S \in all : \A T \in all : S \subseteq T
-----------------------------------------------------------------------------
Do(op, l) ==   \* One system call; seen at once, durable later.
  /\ cache' = Apply(cache, op)
  /\ log' = log \o Parts(op)
  /\ pc' = l
  /\ UNCHANGED <<disk, losses>>

Sync(d, l) ==  \* Call: fsync.  Go: SyncData for the data directory.
  /\ disk' = ApplyAll(disk, SyncSet(d), 1)
  /\ log'  = Without(SyncSet(d), 1)
  /\ pc' = l
  /\ UNCHANGED <<cache, losses>>

SyncIf(what, d, l) ==
  IF what \in Syncs THEN Sync(d, l)
  ELSE pc' = l /\ UNCHANGED <<cache, disk, log, losses>>

\* Under the store lock.  Go: Store.Delete.  Call: a save of the metadata,
\* linkat, mkdirat, renameat2, fsync.  Grain: one call; a save is the rename of
\* the new metadata file.  Crash: power loss, PowerLoss below.
Flag          == pc = "begin"    /\ Do("Flag", "flagged")
Then          == CASE ~AtHome(cache) -> "gone"
                   [] InPlace        -> "here"
                   [] OTHER          -> "link"
SyncFlag      == pc = "flagged"  /\ SyncIf("flag", "metadata", Then)
LinkLock      == pc = "link"     /\ Do("LinkLock", "make")
MakeData      == pc = "make"     /\ Do("MakeData", "stage")
StageDeletion == /\ pc = "stage"
                 /\ Do("StageDeletion", IF Loose THEN "loose" ELSE "staged")
SyncSource    == pc = "loose"    /\ SyncIf("source", "layers", "staged")
SyncRecord    == pc = "staged"   /\ SyncIf("record", "data", "forget")
Forget        == pc = "forget"   /\ Do("Forget", "unlocked")

\* After the store lock is dropped (rule 11).  Go: Dir.Close, Root.Recover.
\* Call: fsync, unlinkat.  Grain: one call.  Crash: power loss.
SyncData      == pc = "unlocked" /\ SyncIf("data", "data", "remove")
RemoveEntry   == /\ pc = "remove" /\ AtEntry(cache) /\ cache.files > 0
                 /\ Do("RemoveEntry", "remove")
RemoveLayer   == /\ pc = "remove" /\ AtEntry(cache) /\ cache.files = 0
                 /\ Do("RemoveLayer", "remove")
RemoveData    == /\ pc = "remove" /\ cache.data /\ ~AtEntry(cache)
                 /\ Do("RemoveData", "remove")
RemoveLock    == /\ pc = "remove" /\ cache.lock /\ ~cache.data
                 /\ Do("RemoveLock", "load")

\* Where the layer is, without the store lock, until that is taken again to
\* forget the record.  Go: Store.Delete, Store.Load.  Call: unlinkat, fsync, a
\* save of the metadata.  Grain: one call.  Crash: power loss.
RemoveEntryHere == pc = "here" /\ cache.files > 0 /\ Do("RemoveEntry", "here")
RemoveHome      == pc = "here" /\ cache.files = 0 /\ Do("RemoveHome", "gone")
SyncHere        == pc = "gone" /\ SyncIf("here", "layers", "forgetHere")
ForgetHere      == pc = "forgetHere" /\ Do("Forget", "load")

\* All four combinations of lock file and data occur; an orphan is adopted.
\* Go: Root.Recover.  Call: those up to the claim.  Grain: one step, for there
\* is nobody else.  Crash: power loss.
Recover ==
  /\ pc = "recover"
  /\ IF cache.data /\ ~cache.lock THEN Do("LinkLock", "unlocked")
     ELSE /\ pc' = IF cache.lock THEN "unlocked" ELSE "load"
          /\ UNCHANGED <<cache, disk, log, losses>>

\* An incomplete record is a deletion to be done again.  Whoever flagged it may
\* have died before that was durable, and whoever moved or removed what is not
\* at home any more likewise: SyncFlag and SyncHere come first. Go: Store.Load.
\* Call: a read of the metadata.  Grain: one step.  Crash: power loss.
Load ==
  /\ pc = "load"
  /\ pc' = CASE cache.record = "incomplete" /\ ~AtHome(cache)
                  -> "flagged"
             [] cache.lock \/ cache.data      -> "recover"
             [] cache.record = "incomplete"   -> "flagged"
             [] OTHER                         -> "done"
  /\ UNCHANGED <<cache, disk, log, losses>>

Step == \/ Flag \/ SyncFlag \/ LinkLock \/ MakeData \/ StageDeletion
        \/ SyncSource \/ SyncRecord \/ Forget \/ SyncData \/ RemoveEntry
        \/ RemoveLayer \/ RemoveData \/ RemoveLock \/ RemoveEntryHere
        \/ RemoveHome \/ SyncHere \/ ForgetHere \/ Recover \/ Load

\* Everything dies; a set of operations that may survive together survives.
\* Go: none.  Call: none.  Grain: one step.  Crash: this is it.
PowerLoss ==
  /\ losses < MaxLosses
  /\ disk' \in {ApplyAll(disk, S, 1) : S \in Surviving}
  /\ cache' = disk' /\ log' = <<>> /\ pc' = "recover"
  /\ losses' = losses + 1

\* The program is killed, and the next one loads.
\* Go: none.  Call: none.  Grain: one step.  Crash: this is it.
Kill ==
  /\ Kills /\ losses < MaxLosses /\ losses' = losses + 1
  /\ pc \notin {"load", "done"} /\ pc' = "load"
  /\ UNCHANGED <<cache, disk, log>>

Next == Step \/ PowerLoss \/ Kill
Spec == Init /\ [][Next]_vars
LiveSpec == Spec /\ WF_vars(Step)
-----------------------------------------------------------------------------
\* Rule 11: what is reachable by its path is whole.
ReachableWhole == AtHome(cache) => cache.files = Files

\* A layer whose record is not flagged is there, and whole.
WholeOrFlagged ==
  cache.record = "complete" => AtHome(cache) /\ cache.files = Files

\* A layer that is there has a record.  Checked when nobody is at work.
NoLeak == pc \in {"recover", "done"} =>
  (AtHome(cache) => cache.record # "none")

\* Everything moved aside is gone in the end, and no deletion is left half.
GoneInTheEnd == <>[](/\ ~cache.lock /\ ~cache.data /\ ~AtEntry(cache)
                     /\ cache.record # "incomplete")

\* Checked by TLC within the bounds of the models; not proved.
THEOREM Durability = "ordered" /\ Spec => []WholeOrFlagged /\ []NoLeak
THEOREM Durability = "ordered" /\ ~InPlace /\ Spec => []ReachableWhole
THEOREM {"flag", "data"} \subseteq Syncs /\ Spec => []WholeOrFlagged
THEOREM {"flag", "data"} \subseteq Syncs /\ ~InPlace /\ Spec =>
  []ReachableWhole
THEOREM {"flag", "source", "record", "data", "here"} \subseteq Syncs /\ Spec =>
  []NoLeak
THEOREM LiveSpec => GoneInTheEnd
=============================================================================
