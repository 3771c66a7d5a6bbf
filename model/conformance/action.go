//go:build linux

package conformance

import (
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// A step is an action of the model, with its arguments as numbers.
type step struct {
	model.Action
	proc model.Proc
	id   model.ID
	item model.Item
}

// steps resolves the actions of a model. It is an error if there is one that nobody
// takes here.
func steps(c *model.Config, actions []model.Action) ([]step, error) {
	procs, items := procNames(c), itemNames(c)
	table := make([]step, len(actions))
	for i, a := range actions {
		if a.Slot == "TakesLockFile" {
			return nil, fmt.Errorf("no conformance for the action %s", a.Slot)
		}
		s := step{Action: a}
		for _, arg := range a.Args {
			if at := slices.Index(procs, arg); at >= 0 {
				s.proc = model.Proc(at + 1)
			} else if at := slices.Index(c.ID, arg); at >= 0 {
				s.id = model.ID(at + 1)
			} else if at := slices.Index(items, arg); at >= 0 {
				s.item = model.Item(at + 1)
			}
		}
		table[i] = s
	}
	return table, nil
}

// methods are the system calls by their names, which those of actions are.
var methods = func() map[string]kernel.Method {
	named := map[string]kernel.Method{}
	for m := range kernel.Method(kernel.Methods) {
		named[m.String()] = m
	}
	return named
}()

// procNames and itemNames are in the order of the numbers of package model.
func procNames(c *model.Config) []string { return slices.Concat(c.Creator, c.Recoverer) }
func itemNames(c *model.Config) []string { return slices.Concat(c.Addition, c.Mounted, c.Victim) }
