package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

var errNegative = errors.New("a grace must not be negative")

// Chapters are the arguments of ls and recover, and what could not be read of
// them: one failure keeps nobody else from being listed or recovered.
type chapters struct {
	places []place
	failed []unreadable
	titled bool // more than one thing is printed
	begun  bool
}

// An unreadable is a root or a store that could not be read.
type unreadable struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"path_bytes,omitempty"`
	Error     string `json:"error"`
	err       error
}

func newChapters(paths []string) *chapters {
	c := &chapters{titled: len(paths) > 1}
	for _, path := range paths {
		p, err := look(path)
		if err != nil {
			c.fail(path, err)
			if len(p.roots)+len(p.Pulls) == 0 {
				continue
			}
		}
		c.places = append(c.places, p)
		c.titled = c.titled || len(p.roots) > 1 || len(p.Pulls) > 0
	}
	return c
}

func (c *chapters) fail(path string, err error) {
	c.failed = append(c.failed, unreadable{path, bytesOf(path), errorText(err), err})
}

// each calls do with every root.
func (c *chapters) each(do func(root string) error) {
	for _, p := range c.places {
		for _, root := range p.roots {
			if err := do(root); err != nil {
				c.fail(root, err)
			}
		}
	}
}

// heading begins what is printed of one root.
func (c *chapters) heading(out io.Writer, path string) {
	if c.begun {
		fmt.Fprintln(out)
	}
	c.begun = true
	if c.titled {
		fmt.Fprintf(out, "%s:\n", printable(path))
	}
}

// end prints everything: as JSON, value and what is no root's; else what table
// prints of the roots, and then stores that have none, and partial pulls. Failures
// come last.
func (c *chapters) end(cmd *cobra.Command, value map[string]any, asJSON bool, table func(io.Writer) error) error {
	out := cmd.OutOrStdout()
	var err error
	if asJSON {
		err = c.printJSON(out, value)
	} else {
		err = c.print(out, table)
	}
	if err != nil {
		return err
	}
	for _, failure := range c.failed {
		fmt.Fprintln(cmd.ErrOrStderr(), "afterlock:", printable(failure.err.Error()))
	}
	if len(c.failed) > 0 {
		return &exit{code: exitUsage}
	}
	return nil
}

func (c *chapters) printJSON(out io.Writer, value map[string]any) error {
	var stores []place
	for _, p := range c.places {
		if p.store() {
			stores = append(stores, p)
		}
	}
	value["stores"], value["errors"] = orEmpty(stores), orEmpty(c.failed)
	return printJSON(out, value)
}

func (c *chapters) print(out io.Writer, table func(io.Writer) error) error {
	if err := table(out); err != nil {
		return err
	}
	for _, p := range c.places {
		switch {
		case len(p.Pulls) > 0:
			c.heading(out, p.Path+", partial pulls")
			if err := printTable(out, p.pulls()); err != nil {
				return err
			}
		case p.store() && len(p.roots) == 0:
			if _, err := fmt.Fprintln(out, p.nothing()); err != nil {
				return err
			}
		}
	}
	return nil
}

// pulls is the table of partial pulls for people.
func (p place) pulls() [][]string {
	rows := [][]string{{"DIRECTORY", "STATE", "AGE", "HOLDER"}}
	for _, one := range p.Pulls {
		holder := "-"
		if one.Holder != 0 {
			holder = fmt.Sprint(one.Holder)
		}
		row := []string{printable(strings.TrimPrefix(one.Path, p.join(""))), one.State, age(time.Since(one.Changed)), holder}
		if one.Error != "" {
			row = append(row, printable(one.Error))
		}
		rows = append(rows, row)
	}
	return rows
}

// orEmpty makes JSON say [] and not null.
func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
