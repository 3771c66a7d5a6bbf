package crashsim

// A frame is a state on the way to where the search is.
type frame struct {
	choices []byte
	next    int
	// sleep are choices that need not be tried: another order of the same steps
	// was tried before, and the order does not matter.
	sleep uint8
	step  [2 * maxActors]footprint // of each choice, by its bit
}

// bit is the bit of a choice in a set.
func bit(choice byte) int {
	if choice >= firstKill {
		return maxActors + int(choice-firstKill)
	}
	return int(choice - firstActor)
}

// frame describes the state that the search has come to, with the choices that
// are to be tried.
func (e *explorer) frame(try, sleep uint8) (f frame) {
	f.sleep = sleep
	for _, choice := range e.choices() {
		b := bit(choice)
		f.step[b] = e.footprint(e.actors[b%maxActors], b >= maxActors)
		if try>>b&1 != 0 {
			f.choices = append(f.choices, choice)
		}
	}
	return f
}

// below is the sleep set of the state that the choice leads to.
func (f *frame) below(choice byte) (sleep uint8) {
	b := bit(choice)
	for other := range 2 * maxActors {
		switch {
		case f.sleep>>other&1 == 0,
			other%maxActors == b%maxActors,       // one process
			other >= maxActors && b >= maxActors, // one budget of kills
			!f.step[other].apart(f.step[b]):
		default:
			sleep |= 1 << other
		}
	}
	return sleep
}
