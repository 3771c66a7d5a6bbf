package proof

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is looked up in a set is one function at one argument.
func TestOneOfIsOfOneTerm(t *testing.T) {
	q := &term{op: opVariable, sort: proc}
	e := &evaluation{s: newStructure()}
	e.variables = [16]uint8{1, 2, 1}
	e.s.set(pc, to("live").value, 1)
	e.s.set(pc, to("ok").value, 2)
	e.s.set(at, where.value("gone").value, 1)
	for _, c := range []struct {
		formula *term
		holds   uint8
	}{
		{in(p, "idle live"), 1},
		{in(p, "idle ok"), 0},
		{in(p, "live"), 1},
		{or(in(p, "ok"), in(q, "ok")), 1},
		{or(equal(pc.of(p), to("ok")), equal(pc.of(q), to("ok"))), 1},
		{or(equal(pc.of(p), to("live")), equal(pc.of(q), to("live"))), 1},
		{or(equal(pc.of(p), to("ok")), equal(pc.of(q), to("live"))), 0},
		{or(equal(at.of(x), where.value("home")), equal(durableAt.of(x), where.value("gone"))), 0},
		{or(equal(durableAt.of(x), where.value("home")), equal(at.of(x), where.value("gone"))), 1},
		{or(equal(pc.of(p), pc.of(q)), equal(pc.of(q), to("ok"))), 1},
		{and(equal(pc.of(p), to("live")), equal(pc.of(p), to("ok"))), 0},
		{or(equal(pc.of(p), pc.of(p))), 1},
		{or(), 0},
	} {
		assert.Equal(t, c.holds, compile(c.formula, scope{p, q, x})(e))
	}
}
