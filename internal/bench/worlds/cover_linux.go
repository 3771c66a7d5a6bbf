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
	wanted  map[partial]bool // combinations that no world had yet
	order   []partial        // of wanted, as they are to be met
	refused []partial
	unmet   []partial // of refused: no world has them, because of the others
	random  *rand.Rand
}

// newCover covers the combinations of t values, 2 or 3, and those of more sets.
func newCover(sizes [dimensions]int, t int, seed uint64, more ...set) *cover {
	c := &cover{sizes: sizes, wanted: map[partial]bool{}, random: rand.New(rand.NewPCG(seed, 14))}
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
	c.combinations(func(p partial) {
		if !c.wanted[p] {
			c.wanted[p] = true
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
	c.refused = append(c.refused, p)
	for wanted := range c.wanted {
		if p.in(wanted) {
			delete(c.wanted, wanted)
		}
	}
}

func (c *cover) allowed(p partial) bool {
	for _, refused := range c.refused {
		if refused.in(p) {
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
		if !c.wanted[first] {
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
				delete(c.wanted, p)
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
		if c.allowed(p) {
			c.wanted[p] = true
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
	gains := map[int]int{}
	for _, v := range values {
		p[next] = int8(v)
		gains[v] = c.gain(p, next)
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
		if p[d] = int8(v); c.allowed(p) {
			allowed = append(allowed, v)
		}
	}
	return allowed
}

// gain counts the wanted combinations of p with its value of d.
func (c *cover) gain(p partial, d int) (n int) {
	for _, s := range c.sets {
		if slices.Contains(s.dimensions, d) && c.wanted[p.of(s.dimensions)] {
			n++
		}
	}
	return n
}

// had are the wanted combinations that the world has.
func (c *cover) had(w World) (found []partial) {
	for _, s := range c.sets {
		if one := w.partial().of(s.dimensions); c.wanted[one] {
			found = append(found, one)
		}
	}
	return found
}
