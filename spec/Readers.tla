------------------------------ MODULE Readers -------------------------------
(***************************************************************************)
(* Readers in other processes that hold descriptors into a layer, or make  *)
(* reflinks from it, while the layer is deleted.                           *)
(*                                                                         *)
(* A reader takes the store lock for reading, opens the layer, notes what  *)
(* files it has, drops the lock, and reads on: a lister.  Or it takes no   *)
(* lock, notes what it finds, reads it, and asks under the lock whether    *)
(* the layer is still the one it was: a checker.                           *)
(*                                                                         *)
(* A deletion takes the lock, flags, moves the layer aside or leaves it,   *)
(* drops the lock, and unlinks file by file.  Then a layer of the same id  *)
(* is made.  The steps are those of StoreSteps.tla, and one process takes  *)
(* them, for here it does not matter which; a crash is a stop.             *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS Lister, Checker, File, None

Reader == Lister \cup Checker
Life   == 1 .. 2       \* The layers that have the id, one after the other.

VARIABLES
  record,   \* Durable.  The life whose record is complete, or 0.
  home,     \* Durable.  The life that is at the path of the id, or 0.
  names,    \* Durable.  names[l]: the files that have a name in l.
  whole,    \* Durable.  whole[l]: the files of l with all of their text.
  writer,   \* Volatile. The deleter holds the store lock.
  shared,   \* Volatile. The readers that hold the store lock.
  step,     \* Volatile. The deleter's place.
  pc,       \* Volatile. pc[r] is r's place.
  knows,    \* Volatile. knows[r]: the life whose record r has read, or 0.
  of,       \* Volatile. of[r]: the life whose directory r has open, or 0.
  todo,     \* Volatile. todo[r]: the files r still has to read.
  fd,       \* Volatile. fd[r]: the file r has open, or None.
  half,     \* History.  The readers that missed a part of their layer.
  told      \* History.  told[r]: what r reported.

disk  == <<record, home, names, whole>>
files == <<todo, fd, half>>
vars  == <<disk, writer, shared, step, pc, knows, of, files, told>>

TypeOK ==
  /\ record \in 0 .. 2 /\ home \in 0 .. 2
  /\ names \in [Life -> SUBSET File] /\ whole \in [Life -> SUBSET File]
  /\ writer \in BOOLEAN /\ shared \subseteq Reader
  /\ step \in {"begin", "flag", "stage", "unlock", "remove", "made"}
  /\ pc \in [Reader -> {"idle", "locked", "unlock", "open", "list", "read",
                        "ask", "done"}]
  /\ knows \in [Reader -> 0 .. 2] /\ of \in [Reader -> 0 .. 2]
  /\ todo \in [Reader -> SUBSET File] /\ fd \in [Reader -> File \cup {None}]
  /\ half \subseteq Reader
  /\ told \in [Reader -> {"nothing", "layer", "error"}]

Init ==
  /\ record = 1 /\ home = 1
  /\ names = [l \in Life |-> File] /\ whole = names
  /\ writer = FALSE /\ shared = {} /\ step = "begin"
  /\ pc = [r \in Reader |-> "idle"]
  /\ knows = [r \in Reader |-> 0] /\ of = knows
  /\ todo = [r \in Reader |-> {}] /\ fd = [r \in Reader |-> None]
  /\ half = {} /\ told = [r \in Reader |-> "nothing"]

Then(l) == step' = l /\ UNCHANGED <<shared, pc, knows, of, files, told>>
Goto(r, l) == pc' = [pc EXCEPT ![r] = l]
-----------------------------------------------------------------------------
\* The deleter takes the store lock, flags the record, moves the layer aside
\* or cannot, and drops the store lock.
\* Go: Store.Delete.  Call: those of StoreSteps.tla.  Grain: one call each.
\* Crash: somebody else goes on from there.
LockToDelete ==
  /\ step = "begin" /\ shared = {} /\ writer' = TRUE /\ Then("flag")
  /\ UNCHANGED disk

FlagLayer ==
  /\ step = "flag" /\ record' = 0 /\ Then("stage")
  /\ UNCHANGED <<home, names, whole, writer>>

StageLayer ==
  /\ step = "stage" /\ home' \in {0, home} /\ Then("unlock")
  /\ UNCHANGED <<record, names, whole, writer>>

UnlockToRemove ==
  /\ step = "unlock" /\ writer' = FALSE /\ Then("remove")
  /\ UNCHANGED disk

\* A file goes.
\* Go: Dir.Close, Root.Recover; Store.Delete.  Call: unlinkat.  Grain: one
\* call.  Crash: the others are still there.
Unlink(f) ==
  /\ step = "remove" /\ f \in names[1]
  /\ names' = [names EXCEPT ![1] = @ \ {f}]
  /\ Then("remove")
  /\ UNCHANGED <<record, home, whole, writer>>

\* Another layer gets the id.
\* Go: Store.Create.  Call: those of StoreSteps.tla.  Grain: one step, since it
\* is seen when its record is.  Crash: none.
MakeAgain ==
  /\ step = "remove" /\ names[1] = {} /\ shared = {}
  /\ record' = 2 /\ home' = 2 /\ Then("made")
  /\ UNCHANGED <<names, whole, writer>>
-----------------------------------------------------------------------------
\* A lister finds the layer under the lock, and notes what it has.
\* Go: Store.Read, Store.Path.  Call: fcntl(F_OFD_SETLKW), openat, getdents or
\* a list of the files that is kept elsewhere.  Grain: one step each: the lock,
\* the list.  Crash: none.
LockToRead(r) ==
  /\ pc[r] = "idle" /\ r \in Lister /\ ~writer /\ record # 0
  /\ knows' = [knows EXCEPT ![r] = record]
  /\ shared' = shared \cup {r} /\ Goto(r, "locked")
  /\ UNCHANGED <<disk, writer, step, of, files, told>>

ListLocked(r) ==
  /\ pc[r] = "locked"
  /\ of' = [of EXCEPT ![r] = home] /\ todo' = [todo EXCEPT ![r] = names[home]]
  /\ Goto(r, "unlock")
  /\ UNCHANGED <<disk, writer, shared, step, knows, fd, half, told>>

UnlockToRead(r) ==
  /\ pc[r] = "unlock"
  /\ shared' = shared \ {r} /\ Goto(r, "read")
  /\ UNCHANGED <<disk, writer, step, knows, of, files, told>>

\* A checker looks the layer up, opens what is at the path later, and notes
\* what it finds there.
\* Go: Store.Create, for the files of the parent.  Call: fcntl(F_OFD_SETLKW);
\* openat; getdents.  Grain: one step each.  Crash: a stale instance.
LookUp(r) ==
  /\ pc[r] = "idle" /\ r \in Checker /\ ~writer /\ record # 0
  /\ knows' = [knows EXCEPT ![r] = record] /\ Goto(r, "open")
  /\ UNCHANGED <<disk, writer, shared, step, of, files, told>>

OpenUnlocked(r) ==
  /\ pc[r] = "open"
  /\ of' = [of EXCEPT ![r] = home]
  /\ half' = IF home = knows[r] THEN half ELSE half \cup {r}
  /\ told' = IF home = 0 THEN [told EXCEPT ![r] = "error"] ELSE told
  /\ Goto(r, IF home = 0 THEN "done" ELSE "list")
  /\ UNCHANGED <<disk, writer, shared, step, knows, todo, fd>>

ListUnlocked(r) ==
  /\ pc[r] = "list"
  /\ todo' = [todo EXCEPT ![r] = names[of[r]]]
  /\ half' = IF names[of[r]] = File THEN half ELSE half \cup {r}
  /\ Goto(r, "read")
  /\ UNCHANGED <<disk, writer, shared, step, knows, of, fd, told>>

\* r opens the next file.  If it is gone, r reports that.
\* Go: Store.Read, Store.Path; Store.Create.  Call: openat.  Grain: one call.
\* Crash: none.
OpenFile(r, f) ==
  /\ pc[r] = "read" /\ fd[r] = None /\ f \in todo[r] /\ f \in names[of[r]]
  /\ fd' = [fd EXCEPT ![r] = f]
  /\ UNCHANGED <<disk, writer, shared, step, pc, knows, of, todo, half, told>>

FileMissing(r, f) ==
  /\ pc[r] = "read" /\ fd[r] = None /\ f \in todo[r] /\ f \notin names[of[r]]
  /\ told' = [told EXCEPT ![r] = "error"] /\ Goto(r, "done")
  /\ UNCHANGED <<disk, writer, shared, step, knows, of, files>>

\* r reads what it has open, or makes a reflink of it.
\* Go: Store.Read, Store.Path; Store.Create.  Call: read, ioctl(FICLONE).
\* Grain: one step: the text of a file without a name does not change.  Crash:
\* none.
ReadFile(r) ==
  /\ fd[r] # None
  /\ todo' = [todo EXCEPT ![r] = @ \ {fd[r]}]
  /\ half' = IF fd[r] \in whole[of[r]] THEN half ELSE half \cup {r}
  /\ fd' = [fd EXCEPT ![r] = None]
  /\ UNCHANGED <<disk, writer, shared, step, pc, knows, of, told>>

\* r has read all that it noted.  A checker asks, under the lock, whether the
\* record is still that of the layer it began with.
\* Go: Store.Create.  Call: fcntl(F_OFD_SETLKW), and a read of the metadata.
\* Grain: one step.  Crash: a stale instance.
EndRead(r) ==
  /\ pc[r] = "read" /\ fd[r] = None /\ todo[r] = {}
  /\ Goto(r, IF r \in Lister THEN "done" ELSE "ask")
  /\ told' = IF r \in Lister THEN [told EXCEPT ![r] = "layer"] ELSE told
  /\ UNCHANGED <<disk, writer, shared, step, knows, of, files>>

Ask(r) ==
  /\ pc[r] = "ask" /\ ~writer
  /\ told' = [told EXCEPT ![r] = IF record = knows[r] THEN "layer"
                                 ELSE "error"]
  /\ Goto(r, "done")
  /\ UNCHANGED <<disk, writer, shared, step, knows, of, files>>

Next ==
  \/ LockToDelete \/ FlagLayer \/ StageLayer \/ UnlockToRemove \/ MakeAgain
  \/ \E f \in File : Unlink(f)
  \/ \E r \in Reader : \/ LockToRead(r) \/ ListLocked(r) \/ UnlockToRead(r)
                       \/ LookUp(r) \/ OpenUnlocked(r) \/ ListUnlocked(r)
                       \/ ReadFile(r) \/ EndRead(r) \/ Ask(r)
                       \/ \E f \in File : OpenFile(r, f) \/ FileMissing(r, f)
Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
\* What a reader holds stays whole: removal unlinks, and never truncates.
HeldWhole == \A r \in Reader : fd[r] # None => fd[r] \in whole[of[r]]

\* Half a layer is never reported as the layer.
ToldWhole == \A r \in Reader : told[r] = "layer" => r \notin half

\* Checked by TLC within the bounds of the models; not proved.
THEOREM Spec => []TypeOK /\ []HeldWhole /\ []ToldWhole
=============================================================================
