package powerloss

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"slices"
)

// A Cut is one power loss.
type Cut struct {
	At   int   // the entries before this one were made
	Lost []int // writes among them that did not reach the disk: of the open epoch, after the last flush
}

// Cuts returns power losses after the entry from, each of which leaves another
// image of the disk. Those come first that take a prefix of the log; then, for every
// epoch, those that keep, or lose, one or two of its writes, and then drawn ones,
// until there are budget. If there are more than that of the first two sorts, it is
// every second, third or more of them.
func Cuts(log []Entry, from, budget int, seed uint64) []Cut {
	c := cutter{log: log, seen: make(map[uint64]bool), hash: maphash.MakeSeed()}
	c.hashes = make([]uint64, len(log))
	for i, e := range log {
		if c.writes(i) {
			var at [16]byte
			binary.LittleEndian.PutUint64(at[:], uint64(e.Offset))
			binary.LittleEndian.PutUint64(at[8:], uint64(e.Size))
			c.hashes[i] = maphash.Bytes(c.hash, at[:]) ^ maphash.Bytes(c.hash, e.Data)
		}
	}
	var epochs [][]int // the writes of each
	var open []int
	c.add(Cut{At: from})
	for i := from; i < len(log); i++ {
		if log[i].Flush && len(open) > 0 {
			epochs = append(epochs, open)
			open = nil
		}
		if c.writes(i) {
			open = append(open, i)
			c.add(Cut{At: i + 1})
		}
	}
	if len(open) > 0 {
		epochs = append(epochs, open)
	}
	prefixes := c.take(budget)
	for size := 1; size <= 2 && len(prefixes) < budget; size++ {
		for _, writes := range epochs {
			c.few(writes, size)
		}
	}
	cuts := append(prefixes, c.take(budget-len(prefixes))...)
	random := rand.New(rand.NewPCG(seed, 0))
	large := slices.DeleteFunc(epochs, func(w []int) bool { return len(w) < 5 }) // of others nothing is missing
	for tries := 0; len(cuts)+len(c.found) < budget && len(large) > 0 && tries < 20*budget; tries++ {
		writes := large[random.IntN(len(large))]
		var lost []int
		share := random.Float64()
		for _, w := range writes {
			if random.Float64() < share {
				lost = append(lost, w)
			}
		}
		c.add(c.cut(writes, lost))
	}
	cuts = append(cuts, c.found...)
	slices.SortStableFunc(cuts, func(a, b Cut) int { return a.At - b.At })
	return cuts
}

// A cutter collects cuts that leave different images.
type cutter struct {
	log    []Entry
	hash   maphash.Seed
	hashes []uint64 // of entries
	seen   map[uint64]bool
	found  []Cut
}

func (c *cutter) writes(i int) bool { return c.log[i].Size > 0 && c.log[i].Mark == "" }

// cut loses writes of an epoch at its very end: just before it would be durable all
// of its marks have been passed.
func (c *cutter) cut(writes, lost []int) Cut {
	at := writes[len(writes)-1] + 1
	for at < len(c.log) && !c.log[at].Flush {
		at++
	}
	return Cut{At: at, Lost: slices.DeleteFunc(slices.Clone(lost), func(i int) bool { return c.log[i].FUA })}
}

// few adds the cuts that keep or lose that many writes of an epoch.
func (c *cutter) few(writes []int, size int) {
	for i := range writes {
		others := writes[i+1:]
		if size == 1 {
			others = writes[i : i+1]
		}
		for _, other := range others {
			chosen := []int{writes[i], other}
			if size == 1 {
				chosen = chosen[:1]
			}
			c.add(c.cut(writes, chosen))
			c.add(c.cut(writes, slices.DeleteFunc(slices.Clone(writes), func(w int) bool { return slices.Contains(chosen, w) })))
		}
	}
}

// add adds a cut, unless there is one that leaves the same image.
func (c *cutter) add(cut Cut) {
	h := uint64(0)
	for i := range cut.At {
		if c.writes(i) && !slices.Contains(cut.Lost, i) {
			h = h*31 + c.hashes[i]
		}
	}
	if !c.seen[h] {
		c.seen[h] = true
		c.found = append(c.found, cut)
	}
}

// take returns what was found, thinned to at most n.
func (c *cutter) take(n int) (cuts []Cut) {
	for i, cut := range c.found {
		if len(c.found) <= n || i*n/len(c.found) != (i+1)*n/len(c.found) {
			cuts = append(cuts, cut)
		}
	}
	c.found = nil
	return cuts
}

// Same are the cuts that leave the image of this one and come after other marks, so
// that more, or something else, was promised: itself, and after each mark up to the next
// write, or, if something is lost, up to the next flush.
func (c Cut) Same(log []Entry) []Cut {
	same := []Cut{c}
	for i := c.At; i < len(log) && log[i].Size == 0 && !(log[i].Flush && len(c.Lost) > 0); i++ {
		if log[i].Mark != "" {
			same = append(same, Cut{i + 1, c.Lost})
		}
	}
	return same
}

// MarksBefore are the marks that were made before the entry.
func MarksBefore(log []Entry, at int) (marks []string) {
	for _, e := range log[:at] {
		if e.Mark != "" {
			marks = append(marks, e.Mark)
		}
	}
	return marks
}

// Torn is the log with every write in parts of so many bytes of the disk at most, each of
// which can be lost.
func Torn(log []Entry, atom int64) (parts []Entry) {
	for _, e := range log {
		for e.Size > atom-e.Offset%atom {
			part := e
			part.Size = atom - e.Offset%atom
			if e.Data != nil {
				part.Data, e.Data = e.Data[:part.Size], e.Data[part.Size:]
			}
			e.Offset, e.Size, e.Flush = e.Offset+part.Size, e.Size-part.Size, false
			parts = append(parts, part)
		}
		parts = append(parts, e)
	}
	return parts
}
