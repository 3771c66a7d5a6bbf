package linearizability

import "fmt"

// Assumptions returns what is wrong with the record itself, before anybody asks
// whether the store did right: the dead do nothing, nobody dies twice, and a tree is
// made once. A history with such a fault says nothing about the store: it is an error
// of whoever recorded it. That tickets are unique, and that a client has one operation
// at a time, is [Parse]'s to tell.
func (h *History) Assumptions() error {
	dead, made := map[int]int64{}, map[string]bool{}
	for _, kill := range h.Kills {
		if dead[kill.Process] > 0 {
			return fmt.Errorf("ticket %d: process %d is killed twice", kill.Ticket, kill.Process)
		}
		dead[kill.Process] = kill.Ticket
	}
	for i := range h.Operations {
		op := &h.Operations[i]
		switch at := dead[op.Client.Process]; {
		case at > 0 && op.Call > at:
			return fmt.Errorf("%v: at ticket %d its process is dead", op, op.Call)
		case at > 0 && op.Return > at:
			return fmt.Errorf("%v: at ticket %d its process is dead", op, op.Return)
		case op.Kind == Create && made[op.Tree]:
			return fmt.Errorf("%v: there was a tree %s before", op, op.Tree)
		}
		made[op.Tree] = true
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
