package subjects

// A SteeredReport is how often a variant loses data when the counterexamples of the
// models are played on it, call by call.
type SteeredReport struct {
	Model   string // whose counterexamples were played, in the spec
	Moments []SteeredMoment
}

// A SteeredMoment is what became of the runs in which the live data of a put is
// removed, if it is, at one moment of the put.
type SteeredMoment struct {
	Name       string // of the moment, see moments
	Runs       int
	Played     int    // of Runs: the variant made every call of the counterexample; in the rest the schedule does not exist
	Met        int    // of Runs: a recovery tried to take the lock of the put's instance at the moment
	Failed     int    // of Runs: the put failed, though nothing was wrong
	Incomplete int    // of Runs: the put succeeded, and its layer is not whole, or not there
	Example    string // what was lost in the last such run, one line
	Repeat     string // the command that repeats it
}

// Lost is how many runs lost data.
func (m SteeredMoment) Lost() int { return m.Failed + m.Incomplete }
