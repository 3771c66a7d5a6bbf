package linearizability

import (
	"context"
	"fmt"
	"io"
)

// A recorder writes down what one client does: the invocation before the call,
// the response after it, each with a ticket that was drawn on the call's side of
// the writing. So the interval between the tickets has the call in it, and a kill
// can only cut off the response.
type recorder struct {
	client  Client
	tickets *tickets
	out     io.Writer // gets one write a line
	do      do
	made    int // trees
}

// A do makes the call of an operation, and returns its result and a note.
type do func(ctx context.Context, op *Operation) (Result, string)

// perform makes one operation. The error is the writer's: then nothing can be
// recorded, and the client has to stop.
func (r *recorder) perform(ctx context.Context, a Action) (*Operation, error) {
	op := &Operation{Client: r.client, Kind: a.Kind, Layers: a.Layers, Parent: a.Parent, Image: a.Image}
	if a.Kind == Create {
		r.made++
		op.Tree = fmt.Sprintf("%s.%d.%d.%d", a.Layers[0], r.client.Process, r.client.Goroutine, r.made)
	}
	op.Call = r.tickets.next()
	if _, err := fmt.Fprintf(r.out, "%d %v %s\n", op.Call, op.Client, op.invocation()); err != nil {
		return nil, err
	}
	op.Result, op.Note = r.do(ctx, op)
	op.Return = r.tickets.next()
	_, err := fmt.Fprintf(r.out, "%d %v : %s%s\n", op.Return, op.Client, op.response(), noted(op.Note))
	return op, err
}

// performAll makes the operations one after the other.
func (r *recorder) performAll(ctx context.Context, actions []Action) error {
	for _, a := range actions {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := r.perform(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
