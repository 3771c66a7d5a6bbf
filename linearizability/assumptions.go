package linearizability

import (
	"fmt"
	"slices"
)

// Assumptions returns what is wrong with the record itself, before anybody asks
// whether the store did right. A history with such a fault says nothing about
// the store: it is an error of whoever recorded it.
//
// Tickets are unique, and a client has one operation at a time ([Parse] tells
// those faults as well); the dead do nothing; a tree is made once; who responds
// had a time to do it in.
func (h *History) Assumptions() error {
	type moment struct {
		ticket int64
		op     *Operation
		kill   *Kill
	}
	var moments []moment
	for i := range h.Operations {
		op := &h.Operations[i]
		moments = append(moments, moment{ticket: op.Call, op: op})
		switch {
		case op.Return > 0:
			moments = append(moments, moment{ticket: op.Return, op: op})
		case op.Result.Outcome != Pending:
			return fmt.Errorf("%v: a result without a response", op)
		}
		if op.Return > 0 && op.Result.Outcome == Pending {
			return fmt.Errorf("%v: a response without a result", op)
		}
		if op.Return > 0 && op.Return <= op.Call {
			return fmt.Errorf("%v: response %d is not after the invocation", op, op.Return)
		}
	}
	for i := range h.Kills {
		moments = append(moments, moment{ticket: h.Kills[i].Ticket, kill: &h.Kills[i]})
	}
	slices.SortFunc(moments, func(a, b moment) int { return int(a.ticket - b.ticket) })
	last := int64(0)
	busy, dead, made := map[Client]*Operation{}, map[int]bool{}, map[string]bool{}
	for _, m := range moments {
		switch {
		case m.ticket <= 0 || m.ticket > h.End:
			return fmt.Errorf("ticket %d is not in the history, which ends with %d", m.ticket, h.End)
		case m.ticket == last:
			return fmt.Errorf("ticket %d occurs twice", m.ticket)
		}
		last = m.ticket
		if m.kill != nil {
			if dead[m.kill.Process] {
				return fmt.Errorf("ticket %d: process %d is killed twice", m.ticket, m.kill.Process)
			}
			dead[m.kill.Process] = true
			continue
		}
		client := m.op.Client
		switch other := busy[client]; {
		case dead[client.Process]:
			return fmt.Errorf("%v: at ticket %d its process is dead", m.op, m.ticket)
		case m.ticket == m.op.Return:
			busy[client] = nil
		case other != nil:
			return fmt.Errorf("%v: client %v still has %v", m.op, client, other)
		case m.op.Kind == Create && made[m.op.Tree]:
			return fmt.Errorf("%v: there was a tree %s before", m.op, m.op.Tree)
		default:
			busy[client] = m.op
			made[m.op.Tree] = true
		}
	}
	return nil
}

// complete returns what is missing in a history of clients that were to make these
// operations, and drew tickets up to last. A client that was not killed has made
// all of its operations, and they have responses. One that was has made the first
// of them, and may have drawn one ticket that it did not write down.
func (h *History) complete(programs map[Client][]Action, last int64) error {
	made := map[Client][]*Operation{}
	missing := last - int64(len(h.Kills))
	for i := range h.Operations {
		op := &h.Operations[i]
		made[op.Client] = append(made[op.Client], op)
		missing--
		if op.Return > 0 {
			missing--
		}
	}
	for client, operations := range made {
		if _, known := programs[client]; !known {
			return fmt.Errorf("%v: nobody started client %v", operations[0], client)
		}
	}
	killed := int64(0)
	for client, program := range programs {
		dead, operations := h.killOf(client.Process) != nil, made[client]
		if dead {
			killed++
		}
		if n := len(operations); n > len(program) || n < len(program) && !dead {
			return fmt.Errorf("client %v: %d operations are recorded, of %d", client, n, len(program))
		}
		for i, op := range operations {
			if op.action().String() != program[i].String() {
				return fmt.Errorf("%v: operation %d of the client was to be %v", op, i+1, program[i])
			}
			if op.Result.Outcome == Pending && !dead {
				return fmt.Errorf("%v: no response, and nobody killed the process", op)
			}
		}
	}
	if missing > killed {
		return fmt.Errorf("%d of %d tickets are not recorded, and only %d clients were killed", missing, last, killed)
	}
	return nil
}

// action is what the client was to do.
func (op *Operation) action() Action { return Action{op.Kind, op.Layers, op.Parent, op.Image} }

// String is the operation with its invocation's ticket.
func (op *Operation) String() string {
	return fmt.Sprintf("%d %v %s", op.Call, op.Client, op.invocation())
}
