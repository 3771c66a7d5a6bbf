-------------------------------- MODULE Save --------------------------------
(***************************************************************************)
(* One save of the layer store's metadata, write by write.                 *)
(*                                                                         *)
(* There are two files: one is called layers.json, the other is the spare. *)
(* A save writes the spare, makes it durable, and exchanges the names.     *)
(* Where the exchange is refused, as on a full btrfs, a mark in the lock   *)
(* file says that the spare is what counts; then layers.json is written    *)
(* over, made durable, and the mark goes.  Whoever saves next finishes     *)
(* that first.                                                             *)
(*                                                                         *)
(* Processes see what was written (seen).  What is on disk is not known    *)
(* until it was synced: may has all that can be there after power loss.    *)
(*                                                                         *)
(* Left out: other writers at the same time, for the store lock is held;   *)
(* disks that lose what was synced.  The mark is one byte.                 *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS MaxSaves, MaxLosses

Torn    == MaxSaves + 1          \* The text of no save.
Text    == 0 .. Torn
File    == 1 .. 2

VARIABLES
  seen,      \* Volatile. file[f]: its text; name: which one is layers.json.
  may,       \* Durable.  The same, as sets of what may be on disk.
  pc,        \* Volatile. The writer's place.
  version,   \* History.  The save that was begun last.
  reported,  \* History.  The last save that reported success.
  losses     \* History.

vars == <<seen, may, pc, version, reported, losses>>

TypeOK ==
  /\ seen \in [file : [File -> Text], name : File, mark : BOOLEAN]
  /\ may  \in [file : [File -> SUBSET Text], name : SUBSET File,
               mark : SUBSET BOOLEAN]
  /\ pc \in {"idle", "mark", "names", "spare", "half", "syncSpare", "replace",
             "syncNames", "setMark", "syncMark", "over", "halfOver",
             "syncOver", "clear", "done"}
  /\ version \in 0 .. MaxSaves /\ reported \in 0 .. MaxSaves
  /\ losses \in 0 .. MaxLosses

Init ==
  /\ seen = [file |-> <<0, 0>>, name |-> 1, mark |-> FALSE]
  /\ may  = [file |-> <<{0}, {0}>>, name |-> {1}, mark |-> {FALSE}]
  /\ pc = "idle" /\ version = 0 /\ reported = 0 /\ losses = 0

Other(f) == 3 - f

\* What a reader takes for the metadata, under the store lock.
Read(s) == s.file[IF s.mark THEN Other(s.name) ELSE s.name]

Goto(l) == pc' = l /\ UNCHANGED <<version, reported, losses>>

Write(f, text) ==   \* It may be on disk at any time from now on.
  /\ seen' = [seen EXCEPT !.file[f] = text]
  /\ may'  = [may  EXCEPT !.file[f] = @ \cup {text}]

Sync(f) == may' = [may EXCEPT !.file[f] = {seen.file[f]}] /\ UNCHANGED seen

SetMark(m) ==
  /\ seen' = [seen EXCEPT !.mark = m]
  /\ may'  = [may  EXCEPT !.mark = @ \cup {m}]
-----------------------------------------------------------------------------
\* A process begins to save, and knows nothing of those before it.
\* Go: Store.save.  Call: none.  Grain: the invocation.  Crash: no change.
Begin ==
  /\ pc = "idle" /\ version < MaxSaves
  /\ version' = version + 1 /\ pc' = "mark"
  /\ UNCHANGED <<seen, may, reported, losses>>

\* Who saved last may have died before the mark was gone for good, or before
\* its exchange was durable.  A process that knows better leaves these out.
\* Go: Store.settle, Store.save.  Call: fsync of the lock file, of the
\* directory.  Grain: one call each.  Crash: no change.
SyncMarkFirst ==
  /\ pc = "mark" /\ Goto(IF seen.mark THEN "over" ELSE "names")
  /\ may' = [may EXCEPT !.mark = {seen.mark}] /\ UNCHANGED seen

SyncNamesFirst ==
  /\ pc = "names" /\ Goto("spare")
  /\ may' = [may EXCEPT !.name = {seen.name}] /\ UNCHANGED seen

\* The new text goes over the spare, which nobody reads.
\* Go: Store.save.  Call: pwrite.  Grain: two steps, so that half a text can be
\* seen.  Crash: before and after, the old metadata.
WriteSpare ==
  \/ pc = "spare" /\ Write(Other(seen.name), Torn)    /\ Goto("half")
  \/ pc = "half"  /\ Write(Other(seen.name), version) /\ Goto("syncSpare")

\* Go: Store.save.  Call: fsync.  Grain: one call.  Crash: the old metadata.
SyncSpare == pc = "syncSpare" /\ Sync(Other(seen.name)) /\ Goto("replace")

\* The files exchange their names: the moment of a save.
\* Go: Store.save.  Call: renameat2(RENAME_EXCHANGE).  Grain: one call.  Crash:
\* before, the old metadata; after, the new, or the old after power loss.
Exchange ==
  /\ pc = "replace" /\ Goto("syncNames")
  /\ seen' = [seen EXCEPT !.name = Other(@)]
  /\ may'  = [may  EXCEPT !.name = @ \cup {Other(seen.name)}]

\* Go: Store.save.  Call: renameat2 = ENOSPC.  Grain: one call.  Crash: the old
\* metadata.
ExchangeFails == pc = "replace" /\ Goto("setMark") /\ UNCHANGED <<seen, may>>

\* Go: Store.save.  Call: fsync of the directory.  Grain: one call.  Crash:
\* before, the new metadata, or the old after power loss; after, the new.
SyncNames ==
  /\ pc = "syncNames" /\ Goto("done")
  /\ may' = [may EXCEPT !.name = {seen.name}] /\ UNCHANGED seen

\* The mark says that the spare counts: the moment of a save without exchange.
\* Go: Store.saveByMark.  Call: pwrite.  Grain: one call.  Crash: before, the
\* old metadata; after, the new, or the old after power loss.
Mark == pc = "setMark" /\ SetMark(TRUE) /\ Goto("syncMark")

\* Go: Store.saveByMark.  Call: fsync of the lock file.  Grain: one call.
\* Crash: after it, the new metadata.
SyncMark ==
  /\ pc = "syncMark" /\ Goto("over")
  /\ may' = [may EXCEPT !.mark = {seen.mark}] /\ UNCHANGED seen

\* The metadata is written over, with the text of the spare.
\* Go: Store.overwrite.  Call: pwrite.  Grain: two steps, as for WriteSpare.
\* Crash: the new metadata, in the spare.
Overwrite ==
  \/ pc = "over" /\ Write(seen.name, Torn) /\ Goto("halfOver")
  \/ /\ pc = "halfOver" /\ Goto("syncOver")
     /\ Write(seen.name, seen.file[Other(seen.name)])

\* Go: Store.overwrite.  Call: fsync.  Grain: one call.  Crash: as for
\* Overwrite.
SyncOver == pc = "syncOver" /\ Sync(seen.name) /\ Goto("clear")

\* The mark goes.  This was the save, or it was what had to be finished first.
\* Go: Store.overwrite.  Call: pwrite.  Grain: one call.  Crash: the new
\* metadata, in both files.
ClearMark ==
  /\ pc = "clear" /\ SetMark(FALSE)
  /\ Goto(IF seen.file[seen.name] = version THEN "done" ELSE "mark")

\* Go: Store.save.  Call: none.  Grain: the response.  Crash: no change.
Report ==
  /\ pc = "done" /\ pc' = "idle" /\ reported' = version
  /\ UNCHANGED <<seen, may, version, losses>>

\* The writer is killed, or gives up because a call failed.
\* Go: none.  Call: none.  Grain: one step.  Crash: this is it.
Die == pc # "idle" /\ Goto("idle") /\ UNCHANGED <<seen, may>>

\* Go: none.  Call: none.  Grain: one step.  Crash: this is it.
PowerLoss ==
  /\ losses < MaxLosses /\ losses' = losses + 1
  /\ \E a \in may.file[1], b \in may.file[2], n \in may.name, m \in may.mark :
       /\ seen' = [file |-> <<a, b>>, name |-> n, mark |-> m]
       /\ may'  = [file |-> <<{a}, {b}>>, name |-> {n}, mark |-> {m}]
  /\ pc' = "idle" /\ UNCHANGED <<version, reported>>

Next == \/ Begin \/ SyncMarkFirst \/ SyncNamesFirst \/ WriteSpare
        \/ SyncSpare \/ Exchange \/ ExchangeFails \/ SyncNames \/ Mark
        \/ SyncMark \/ Overwrite \/ SyncOver \/ ClearMark \/ Report \/ Die
        \/ PowerLoss

Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
\* A reader sees the whole text of one save, whenever the writer dies.
ReadsWhole == Read(seen) # Torn

\* What was reported stays, also after power loss.
ReportedStays == Read(seen) >= reported

\* Without power loss nobody reads old metadata after new.
NoWayBack == [][losses' = losses => Read(seen') >= Read(seen)]_vars

\* Checked by TLC within the bounds of the models; not proved.
THEOREM Spec => []TypeOK /\ []ReadsWhole /\ []ReportedStays /\ NoWayBack
=============================================================================
