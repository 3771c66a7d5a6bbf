package model

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A Digest identifies a state graph whatever the order in which it was found;
// see "Digest" in spec/README.md.
type Digest struct {
	States string `json:"states"`
	Edges  string `json:"edges"`
	Count  int    `json:"labelled_edges"`
}

// sum is a sum modulo 2^128 of truncated SHA-256 digests.
type sum struct{ high, low uint64 }

func (s *sum) add(text []byte) {
	h := sha256.Sum256(text)
	s.plus(sum{binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16])})
}

func (s *sum) plus(t sum) {
	var carry uint64
	s.low, carry = bits.Add64(s.low, t.low, 0)
	s.high, _ = bits.Add64(s.high, t.high, carry)
}

func (s sum) String() string { return fmt.Sprintf("%016x%016x", s.high, s.low) }

// Digest computes the graph's digest. It keeps the text of every state in
// memory while it does, some 400 bytes each. workers is as in Options.
func (g *Graph) Digest(ctx context.Context, workers int) (Digest, error) {
	texts := make([]string, len(g.keys))
	labels := make([]string, len(g.Actions))
	for i, a := range g.Actions {
		labels[i] = a.String()
	}
	type part struct {
		states, edges sum
		count         int
	}
	const chunk = 512
	parts := make([]part, (len(g.keys)+chunk-1)/chunk)
	each := func(do func(state int, p *part)) {
		parallel(newWorkers(g.sys, workers), len(parts), func(_ *worker, i int) {
			for state := i * chunk; state < min((i+1)*chunk, len(g.keys)) && ctx.Err() == nil; state++ {
				do(state, &parts[i])
			}
		})
	}
	each(func(state int, p *part) {
		texts[state] = g.Text(state)
		p.states.add([]byte(texts[state]))
	})
	each(func(state int, p *part) {
		var buffer [2048]byte
		out := g.Out(state)
		for i, edge := range out {
			if isRepeated(out[:i], edge) {
				continue
			}
			text := append(buffer[:0], texts[state]...)
			text = append(append(text, '\n'), labels[edge.Action]...)
			p.edges.add(append(append(text, '\n'), texts[edge.To]...))
			p.count++
		}
	})
	var all part
	for _, p := range parts {
		all.states.plus(p.states)
		all.edges.plus(p.edges)
		all.count += p.count
	}
	return Digest{all.states.String(), all.edges.String(), all.count}, ctx.Err()
}

// isRepeated says whether an edge was there before. Edges with the same label
// come one after the other.
func isRepeated(before []Edge, edge Edge) bool {
	for i := len(before) - 1; i >= 0 && before[i].Action == edge.Action; i-- {
		if before[i] == edge {
			return true
		}
	}
	return false
}
