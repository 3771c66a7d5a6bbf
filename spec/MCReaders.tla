----------------------------- MODULE MCReaders ------------------------------
(***************************************************************************)
(* Mutants and probes of Readers.tla.                                      *)
(***************************************************************************)
EXTENDS Readers

\* For Unlink: the file is truncated first, to free its space by and by.
Truncates(f) ==
  /\ step = "remove" /\ f \in names[1]
  /\ IF f \in whole[1]
     THEN whole' = [whole EXCEPT ![1] = @ \ {f}] /\ UNCHANGED names
     ELSE names' = [names EXCEPT ![1] = @ \ {f}] /\ UNCHANGED whole
  /\ Then("remove")
  /\ UNCHANGED <<record, home, writer>>

\* For FileMissing: a file that is gone is left out.
SkipsMissing(r, f) ==
  /\ pc[r] = "read" /\ fd[r] = None /\ f \in todo[r] /\ f \notin names[of[r]]
  /\ todo' = [todo EXCEPT ![r] = @ \ {f}] /\ half' = half \cup {r}
  /\ UNCHANGED <<disk, writer, shared, step, pc, knows, of, fd, told>>

\* For ListLocked: the list is made after the lock was dropped.
ListsLater(r) ==
  /\ pc[r] = "locked"
  /\ of' = [of EXCEPT ![r] = home] /\ shared' = shared \ {r}
  /\ Goto(r, "list")
  /\ UNCHANGED <<disk, writer, step, knows, files, told>>

\* For Ask: nobody asks; it is asked for the id alone.
DoesNotAsk(r) ==
  /\ pc[r] = "ask"
  /\ told' = [told EXCEPT ![r] = "layer"] /\ Goto(r, "done")
  /\ UNCHANGED <<disk, writer, shared, step, knows, of, files>>

AsksForId(r) ==
  /\ pc[r] = "ask" /\ ~writer
  /\ told' = [told EXCEPT ![r] = IF record # 0 THEN "layer" ELSE "error"]
  /\ Goto(r, "done")
  /\ UNCHANGED <<disk, writer, shared, step, knows, of, files>>

\* Probes: a reader holds a file without a name; meets a file that is gone;
\* has read all of a layer that is gone; has noted half a layer.
NoHeldUnnamed  == \A r \in Reader : fd[r] # None => fd[r] \in names[of[r]]
NoMissingFile  == \A r \in Lister : told[r] # "error"
NoReadOfGone   == \A r \in Lister : ~(told[r] = "layer" /\ names[1] # File
                                      /\ of[r] = 1)
NoHalfNoted    == \A r \in Reader : r \in half => told[r] = "nothing"
NoCheckedLayer == \A r \in Checker : told[r] # "layer"
=============================================================================
