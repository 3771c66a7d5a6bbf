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

\* Probes, of steps: a reader reads a file without a name; meets a file that is
\* gone; has read all of a layer that is going; has read half a layer, and says
\* so; has read a layer, and found that it is still there.
NoHeldUnnamed  == [][\A r \in Reader :
  ~(ReadFile(r) /\ fd[r] \notin names[of[r]])]_vars
NoMissingFile  == [][\A r \in Lister, f \in File : ~FileMissing(r, f)]_vars
NoReadOfGone   == [][\A r \in Lister :
  ~(EndRead(r) /\ of[r] = 1 /\ names[1] # File)]_vars
NoHalfNoted    == [][\A r \in Checker :
  ~(Ask(r) /\ r \in half /\ told'[r] = "error")]_vars
NoCheckedLayer == [][\A r \in Checker :
  ~(Ask(r) /\ told'[r] = "layer")]_vars
=============================================================================
