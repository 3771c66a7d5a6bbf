package subjects

import (
	"context"
	"fmt"
)

// spinning is how many milliseconds of processor time in a second are no garbage
// collection.
const spinning = 300

// closedArchive is what it costs to close the archive of a layer before its reader
// has seen its end, as a push that is cancelled does: Diff closes the decompressor
// of the archive's metadata first, whose reader then gets nothing, without an error,
// for ever. It is the store's own, and the same with compat.
func (a *adoption) closedArchive(ctx context.Context) error {
	said, spins := make(map[string]string), "nothing spins"
	for _, variant := range []string{"released", "compat"} {
		driver, err := a.Driver(ctx, variant)
		if err != nil {
			return err
		}
		if err := onTmpfs(ctx, a.dir, storeSize, func(dir string) error {
			put, err := start(ctx, driver, dir, "put", "layer", "-", "8", "100")
			if err == nil {
				err = put.cmd.Wait()
			}
			most := 0
			for n := 0; n < a.runs && err == nil; n++ {
				var p *process
				if p, err = start(ctx, driver, dir, "unread", "layer"); err != nil {
					return err
				}
				var spent []int
				if spent, err = p.numbers(1); err == nil {
					most = max(most, spent[0])
				}
			}
			said[variant] = fmt.Sprintf("%s ms", Number(most))
			if most >= spinning {
				spins = "a goroutine of the store spins"
			}
			return err
		}); err != nil {
			return err
		}
	}
	a.table.Row("processor time of the second after an archive was closed early", said["released"], said["compat"], fmt.Sprintf("at most, of %d; %s", a.runs, spins))
	return nil
}
