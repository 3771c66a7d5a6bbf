//go:build linux

package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/kernel"
)

func TestLibraryAndUpstreamGetOnWhereverUpstreamIs(t *testing.T) {
	for _, name := range Fleets() {
		for _, where := range Wheres {
			t.Run(fmt.Sprintf("%s %s", name, where), func(t *testing.T) {
				if where != Together && name != "GateTogether" {
					t.Skip("skipped, because it takes processes of its own: afterlock verify --run conformance")
				}
				n := 40
				if where != Together || testing.Short() {
					n = 400
				}
				r, err := Fleet(t.Context(), Options{Model: name, Dir: scratch(t)}, where, n)
				require.NoError(t, err)
				if r.Skipped != "" {
					t.Skip("skipped, because " + r.Skipped)
				}
				require.Empty(t, r.Lost, r.Schedule)
				t.Logf("%d walks, %d of %d steps followed, %v", r.Walks, r.Followed, r.Steps, r.Elapsed)
				var out strings.Builder
				assert.NoError(t, Replay(context.Background(), "conformance:"+name+"@"+string(where)+"/0.0.0", scratch(t), &out))
			})
		}
	}
}

// A lockLiar is the kernel of a mutant of rule 15: it does not tell our own
// process's locks, or says that they are gone.
type lockLiar struct {
	kernel.Kernel
	nobody, free bool
}

func (k lockLiar) LockHolder(fd int) (kernel.Holder, error) {
	if k.nobody {
		return kernel.Holder{}, nil
	}
	return k.Kernel.LockHolder(fd)
}

func (k lockLiar) ShareLock(fd int) error {
	if k.free {
		return nil
	}
	return k.Kernel.ShareLock(fd)
}

// Whoever shares a process with upstream drops its locks by closing their files;
// whoever does not, does not. A grace period is needed beside upstream anywhere.
func TestMutantsBesideUpstreamLoseDataWhereTheyCan(t *testing.T) {
	for name, mutate := range map[string]struct {
		change   func(p *process)
		model    string
		anywhere bool
	}{
		"rule 15, nobody holds it": {func(p *process) {
			p.mutant = func(k kernel.Kernel) kernel.Kernel { return lockLiar{Kernel: k, nobody: true} }
		}, "Rule15ClosesAnyway", false},
		"rule 15, what is parked is free": {func(p *process) {
			p.mutant = func(k kernel.Kernel) kernel.Kernel { return lockLiar{Kernel: k, free: true} }
		}, "Rule15ClosesParked", false},
		"rule 13, no grace": {func(p *process) { p.grace = 0 }, "Rule13Off", true},
	} {
		for _, where := range Wheres {
			t.Run(fmt.Sprintf("%s %s", name, where), func(t *testing.T) {
				f, err := newFleet(t.Context(), mutate.model, scratch(t), where)
				require.NoError(t, err)
				if f.skipped != "" {
					t.Skip("skipped, because " + f.skipped)
				}
				for _, p := range f.procs[1:] {
					if !p.upstream {
						mutate.change(p)
					}
				}
				r, err := f.sail(t.Context(), 1)
				require.NoError(t, err)
				if where == Together || mutate.anywhere {
					assert.Contains(t, r.Lost, "the live instance of c1")
				} else {
					assert.Empty(t, r.Lost)
				}
				t.Logf("%d walks: %s; %s", r.Walks, r.Lost, r.Schedule)
			})
		}
	}
}
