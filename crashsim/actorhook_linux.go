package crashsim

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
)

// note mixes something that the program saw into its history.
func (a *actor) note(x uint64) { a.history = mix(a.history ^ x) }

func (a *actor) noteErr(err error) {
	if errno, ok := err.(unix.Errno); ok {
		a.note(uint64(errno))
	} else {
		a.note(0)
	}
}

// Before stops before the call, and puts ids in place of the drawn ones.
func (a *actor) Before(c *kernel.Call) error {
	var err error
	if c.Method != kernel.OpenRoot {
		a.call = c
		err = a.point(c.Method.String(), c.Name)
		a.call = nil
	}
	if err == unix.ESRCH {
		return err
	}
	c.Name, c.To = a.identify(c.Name), a.identify(c.To)
	if a.watch != nil {
		_ = a.watch.Before(c)
	}
	if err != nil { // the call fails, and everybody hears of it
		c.Err = err
		a.After(c)
	}
	return err
}

// After notes what the call returned.
func (a *actor) After(c *kernel.Call) {
	a.noteErr(c.Err)
	switch c.Method {
	case kernel.Stat, kernel.StatName:
		a.note(uint64(c.Attributes.Links) | uint64(c.Attributes.Mode)<<32)
		a.note(a.number(c.Attributes.Inode))
	case kernel.List:
		for _, e := range c.Entries[len(c.Entries)-c.Appended:] {
			a.note(text(e.Name) ^ uint64(e.Type))
		}
	default:
		a.note(uint64(c.Result) + uint64(c.Method)<<32)
	}
	if a.listen != nil {
		a.listen(describe(c), c.Err)
	}
	if a.watch != nil {
		a.watch.After(c)
	}
}

// number is an inode number by the order in which the program saw it: it only
// compares them.
func (a *actor) number(inode uint64) uint64 {
	for i, seen := range a.numbers {
		if seen == inode {
			return uint64(i)
		}
	}
	a.numbers = append(a.numbers, inode)
	return uint64(len(a.numbers))
}

const (
	idLength = 32
	idZeros  = "000000000000000000000000"
)

// identify replaces an id that the library drew in a name or a path.
func (a *actor) identify(name string) string {
	at := strings.Index(name, lockPrefix)
	if at >= 0 {
		at += len(lockPrefix)
	} else if at = strings.Index(name, dataPrefix); at >= 0 {
		at += len(dataPrefix)
	}
	if at < 0 || len(name) < at+idLength || strings.HasPrefix(name[at:], idZeros) {
		return name
	}
	drawn := name[at : at+idLength]
	for _, id := range a.ids {
		if id.drawn == drawn {
			return name[:at] + id.here + name[at+idLength:]
		}
	}
	here := fmt.Sprintf("%s%04x%04x", idZeros, a.name, len(a.ids)+1)
	a.ids = append(a.ids, identity{drawn, here})
	return name[:at] + here + name[at+idLength:]
}

// says is an error's text, with the ids that it has here.
func (a *actor) says(err error) string {
	words := err.Error()
	for _, id := range a.ids {
		words = strings.ReplaceAll(words, id.drawn, id.here)
	}
	return words
}

// describe is a call in words.
func describe(c *kernel.Call) string {
	words := []string{c.Method.String()}
	if c.Name != "" {
		words = append(words, c.Name)
	}
	if c.To != "" {
		words = append(words, "to", c.To)
	}
	switch {
	case c.Method == kernel.List:
		var names []string
		for _, e := range c.Entries[len(c.Entries)-c.Appended:] {
			names = append(names, e.Name)
		}
		words = append(words, "→ ["+strings.Join(names, " ")+"]")
	case c.Result >= 0:
		words = append(words, fmt.Sprintf("→ %d", c.Result))
	case c.Fd >= 0:
		words = append(words, fmt.Sprintf("of %d", c.Fd))
	}
	return strings.Join(words, " ")
}
