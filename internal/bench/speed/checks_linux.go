package speed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/afterlock/afterlock/linearizability"
)

// mostHistories bounds those that are recorded, of each kind.
const mostHistories = 60

// checks measures what the checks of the gate are made of, once, where the first file
// system is.
func (b *bench) checks(ctx context.Context) error {
	explored, histories := "Large", min(b.Files, mostHistories)
	if b.Files < mostHistories {
		explored = "Gate"
	}
	first := *b
	first.places = b.places[:1]
	return first.each(ctx, "checks", func(_ *place, dir string, row func(Row)) error {
		if err := b.apart(row, Row{What: "a process that explores nothing"}, "nothing", ""); err != nil {
			return err
		}
		if err := b.apart(row, Row{What: "states explored of " + explored}, "explore", explored); err != nil {
			return err
		}
		began := time.Now()
		questions, err := Prove(ctx)
		if err != nil {
			return err
		}
		row(Row{What: "questions of the proof", N: questions, Took: time.Since(began)})
		began = time.Now()
		r, err := linearizability.Run(ctx, linearizability.Config{Dir: dir, Seed: 1, Goroutines: histories, Processes: histories})
		if err == nil && len(r.Problems)+len(r.Because) > 0 {
			err = fmt.Errorf("histories: %q %q", r.Problems, r.Because)
		}
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		row(Row{What: "histories recorded and judged", N: 2 * histories, Took: time.Since(began)})
		row(Row{What: "of these, judged", N: 2 * histories, Took: r.Judging, Count: int(r.Operations)})
		return nil
	})
}
