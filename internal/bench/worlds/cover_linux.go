package worlds

import (
	"math/rand/v2"
	"slices"
)

// A cover draws worlds until every t values of different dimensions were in one of
// them together, but for those that are refused. It is deterministic.
type cover struct {
	sizes   [dimensions]int
	sets    []set
	having  [dimensions][]int       // the sets that have the dimension
	set     map[int]int             // that has just these dimensions, see mask
	wanted  [][]bool                // combinations that no world had yet, by set and number
	left    int                     // of wanted
	order   []partial               // of wanted, as they are to be met
	refused [dimensions][][]partial // by each of their values
	unmet   []partial               // of refused: no world has them, because of the others
	random  *rand.Rand
}

// number is that of p's values among the combinations of the set, or -1 if one is open.
func (c *cover) number(p *partial, set int) (n int) {
	for _, d := range c.sets[set].dimensions {
		if p[d] == open {
			return -1
		}
		n = n*c.sizes[d] + int(p[d])
	}
	return n
}

// isWanted reports whether the combination that p has of the set is wanted.
func (c *cover) isWanted(p *partial, set int) bool {
	n := c.number(p, set)
	return n >= 0 && c.wanted[set][n]
}

// want says whether the combination is wanted from now on, and reports whether that is
// news.
func (c *cover) want(p *partial, wanted bool) bool {
	set := c.set[p.mask()]
	at := &c.wanted[set][c.number(p, set)]
	if *at == wanted {
		return false
	}
	if *at = wanted; wanted {
		c.left++
	} else {
		c.left--
	}
	return true
}

// newCover covers the combinations of t values, 2 or 3, and those of more sets.
func newCover(sizes [dimensions]int, t int, seed uint64, more ...set) *cover {
	c := &cover{sizes: sizes, set: map[int]int{}, random: rand.New(rand.NewPCG(seed, 14))}
	var choose func(chosen []int, from int)
	choose = func(chosen []int, from int) {
		if len(chosen) == t {
			c.sets = append(c.sets, set{slices.Clone(chosen), make([][]int8, t)})
			return
		}
		for d := from; d < dimensions; d++ {
			choose(append(chosen, d), d+1)
		}
	}
	choose(nil, 0)
	for _, s := range more {
		if len(s.dimensions) > t {
			c.sets = append(c.sets, s)
		}
	}
	for i, s := range c.sets {
		size, all := 1, nothing
		for _, d := range s.dimensions {
			size, all[d] = size*sizes[d], 0
			c.having[d] = append(c.having[d], i)
		}
		c.set[all.mask()] = i
		c.wanted = append(c.wanted, make([]bool, size))
	}
	for d := range sizes {
		c.refused[d] = make([][]partial, sizes[d])
	}
	c.combinations(func(p partial) {
		if c.want(&p, true) {
			c.order = append(c.order, p)
		}
	})
	c.random.Shuffle(len(c.order), func(i, j int) { c.order[i], c.order[j] = c.order[j], c.order[i] })
	return c
}

// combinations yields every combination that is to be met.
func (c *cover) combinations(yield func(partial)) {
	var choose func(p partial, s set, from int)
	choose = func(p partial, s set, from int) {
		if from == len(s.dimensions) {
			yield(p)
			return
		}
		d, values := s.dimensions[from], s.values[from]
		if values == nil {
			for v := range c.sizes[d] {
				values = append(values, int8(v))
			}
		}
		for _, v := range values {
			p[d] = v
			choose(p, s, from+1)
		}
	}
	for _, s := range c.sets {
		choose(nothing, s, 0)
	}
}

var nothing = func() (p partial) {
	for d := range p {
		p[d] = open
	}
	return p
}()

// refuse takes back what a world cannot have: nothing that has all of p is drawn
// or wanted any more.
func (c *cover) refuse(p partial) {
	if !c.allowed(&p) {
		return
	}
	for d, v := range p {
		if v != open {
			c.refused[d][v] = append(c.refused[d][v], p)
		}
	}
	for _, wanted := range c.order {
		if p.in(&wanted) {
			c.want(&wanted, false)
		}
	}
}

func (c *cover) allowed(p *partial) bool {
	for d, v := range p {
		if v != open && !c.allows(p, d) {
			return false
		}
	}
	return true
}

// allows reports whether nothing that is refused has p's value of the dimension.
func (c *cover) allows(p *partial, d int) bool {
	for i := range c.refused[d][p[d]] {
		if c.refused[d][p[d]][i].in(p) {
			return false
		}
	}
	return true
}

// tries is how many worlds are drawn for the best of them.
const tries = 8

// next draws a world that has wanted combinations, which are wanted no more unless
// they are put back, and reports whether there were any left.
func (c *cover) next() (w World, met []partial, ok bool) {
	for len(c.order) > 0 {
		first := c.order[0]
		if !c.isWanted(&first, c.set[first.mask()]) {
			c.order = c.order[1:]
			continue
		}
		best := -1
		for range tries {
			drawn, complete := c.draw(first)
			if !complete {
				break
			}
			if n := len(c.had(drawn)); n > best {
				best, w = n, drawn
			}
		}
		if best >= 0 {
			met = c.had(w)
			for _, p := range met {
				c.want(&p, false)
			}
			return w, met, true
		}
		c.refuse(first)
		c.unmet = append(c.unmet, first)
	}
	return w, nil, false
}

// putBack wants again what a world was to have that could not be built.
func (c *cover) putBack(met []partial) {
	for _, p := range met {
		if c.allowed(&p) {
			c.want(&p, true)
			c.order = append(c.order, p)
		}
	}
}

// draw completes p dimension by dimension, the one with the fewest values left first,
// with the value that meets the most, and with another one if that leads nowhere.
func (c *cover) draw(p partial) (w World, ok bool) {
	next, values := -1, []int(nil)
	for _, d := range c.random.Perm(dimensions) {
		if p[d] != open {
			continue
		}
		if allowed := c.values(p, d); next < 0 || len(allowed) < len(values) {
			next, values = d, allowed
		}
	}
	if next < 0 {
		for d, v := range p {
			w[d] = byte(v)
		}
		return w, true
	}
	gains := make([]int, c.sizes[next])
	for _, v := range values {
		p[next] = int8(v)
		gains[v] = c.gain(&p, next)
	}
	slices.SortStableFunc(values, func(a, b int) int { return gains[b] - gains[a] })
	for _, v := range values {
		p[next] = int8(v)
		if w, ok = c.draw(p); ok {
			return w, true
		}
	}
	return w, false
}

// values are those of the dimension that may complete p, in a random order.
func (c *cover) values(p partial, d int) (allowed []int) {
	for _, v := range c.random.Perm(c.sizes[d]) {
		if p[d] = int8(v); c.allows(&p, d) {
			allowed = append(allowed, v)
		}
	}
	return allowed
}

// gain counts the wanted combinations of p with its value of d.
func (c *cover) gain(p *partial, d int) (n int) {
	for _, set := range c.having[d] {
		if c.isWanted(p, set) {
			n++
		}
	}
	return n
}

// had are the wanted combinations that the world has.
func (c *cover) had(w World) (found []partial) {
	p := w.partial()
	for set := range c.sets {
		if c.isWanted(p, set) {
			found = append(found, p.of(c.sets[set].dimensions))
		}
	}
	return found
}
