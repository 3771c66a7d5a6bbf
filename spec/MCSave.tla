------------------------------- MODULE MCSave -------------------------------
(***************************************************************************)
(* Mutants and probes of Save.tla.                                         *)
(***************************************************************************)
EXTENDS Save

Skip(next) == Goto(next) /\ UNCHANGED <<seen, may>>

\* For ExchangeFails: the metadata is written over without the mark.
OverwritesUnmarked == pc = "replace" /\ Skip("over")

\* For SyncSpare, SyncMark, SyncOver, SyncNames, SyncNamesFirst and
\* SyncMarkFirst: no fsync.
SpareNotDurable == pc = "syncSpare" /\ Skip("replace")
MarkNotDurable  == pc = "syncMark"  /\ Skip("over")
OverNotDurable  == pc = "syncOver"  /\ Skip("clear")
NamesNotDurable == pc = "syncNames" /\ Skip("done")
NoNamesFirst    == pc = "names"     /\ Skip("spare")
ClearNotDurable == /\ pc = "mark"
                   /\ Skip(IF seen.mark THEN "over" ELSE "names")

\* For SyncMarkFirst: what another process began is not finished.
DoesNotFinish ==
  /\ pc = "mark" /\ Goto("names")
  /\ may' = [may EXCEPT !.mark = {seen.mark}] /\ UNCHANGED seen

\* For Read: a reader does not look at the mark.
ReadsByName(s) == s.file[s.name]

\* For SyncMark: the mark goes before the metadata was written over.
ClearsFirst == pc = "syncMark" /\ SetMark(FALSE) /\ Goto("over")

\* Probes, of steps: a writer dies and leaves the mark, so that readers read
\* the spare; its save is finished by the next one; the mark comes back after
\* power loss, and the metadata torn.
NoSpareRead   == [][~(Die /\ seen.mark)]_vars
NoFinishing   == [][~(ClearMark /\ pc' = "mark")]_vars
NoMarkAtLoss  == [][~(PowerLoss /\ seen'.mark
                      /\ seen'.file[seen'.name] = Torn)]_vars
NoThirdSave   == [][~(Report /\ reported = 2)]_vars
=============================================================================
