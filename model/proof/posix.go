package proof

import "slices"

// Posix is the theory of our processes with POSIX locks, which a process has: each is
// alone in its process, or the process has a table of what is open in it, and one name
// of the root. Nobody looks at locks, since a look ends with a close, and a close drops
// the lock of another goroutine.
func Posix() *Theory {
	return &Theory{
		Name: "posix", Says: "our processes, with POSIX locks and a table in each",
		Hypotheses: append(slices.Clone(assumptions), posixLocks, forall(proc, ours),
			forall(proc, func(p *term) *term { return not(inspector.of(p)) }),
			eachTwo(proc, func(p, q *term) *term {
				return implies(sameProcess(p, q), or(equal(p, q), and(hasTable, equal(rootName.of(p), rootName.of(q)))))
			})),
		Init: initial(), Actions: Actions(), Properties: properties, Steps: stepProperties,
		Clauses: without(with(noFileBefore, openedByName, eachOwnFile), "InspectorPlaces"),
		Never:   []string{"MakeData/exists", "Commit/lost", "OpenToInspect"},
	}
}
