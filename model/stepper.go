package model

// A Stepper takes single steps from states that somebody else keeps, such as
// the validator of traces. It neither packs states nor checks properties, and
// allocates nothing after its first steps. It belongs to one goroutine.
type Stepper struct{ step step }

// NewStepper returns a stepper of the protocol.
func (m *Protocol) NewStepper() *Stepper {
	return &Stepper{step{m: m, keeps: true}}
}

// Take returns the states that an action leads to from a state: none if one of
// its guards is false. The slice is good until the next call.
func (x *Stepper) Take(s *State, action uint16) []State {
	x.step.s = *s
	x.step.kept, x.step.guard = x.step.kept[:0], ""
	x.step.m.do[action](&x.step)
	return x.step.kept
}

// FalseGuard is the first guard that was false in the last Take, as the
// specification writes it, or "" if that led somewhere.
func (x *Stepper) FalseGuard() string {
	if len(x.step.kept) > 0 {
		return ""
	}
	return x.step.guard
}
