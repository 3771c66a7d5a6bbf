package manifest

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"
)

// sum is a sum modulo 2^128 of truncated SHA-256 digests.
type sum struct{ high, low uint64 }

func (s *sum) add(text string) {
	h := sha256.Sum256([]byte(text))
	var carry uint64
	s.low, carry = bits.Add64(s.low, binary.BigEndian.Uint64(h[8:16]), 0)
	s.high, _ = bits.Add64(s.high, binary.BigEndian.Uint64(h[0:8]), carry)
}

func (s sum) String() string { return fmt.Sprintf("%016x%016x", s.high, s.low) }

// DigestGraph reads a state graph as TLC dumps it (-dump dot,actionlabels) and
// returns its digest and the names of the actions on its edges.
func DigestGraph(r io.Reader) (Digest, map[string]bool, error) {
	type edge struct {
		from, to int64
		label    string
	}
	var (
		states  = map[int64]string{}
		edges   = map[edge]bool{}
		actions = map[string]bool{}
		labels  = map[string]string{}
	)
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<26)
	for scanner.Scan() {
		line := scanner.Text()
		node, rest, ok := strings.Cut(line, " ")
		id, err := strconv.ParseInt(node, 10, 64)
		if !ok || err != nil {
			continue
		}
		label := quoted(rest)
		if to, isEdge := strings.CutPrefix(rest, "-> "); isEdge {
			to, _, _ := strings.Cut(to, " ")
			target, err := strconv.ParseInt(to, 10, 64)
			if err != nil {
				return Digest{}, nil, fmt.Errorf("edge %q: %w", line, err)
			}
			if kept, ok := labels[label]; ok {
				label = kept
			} else {
				labels[label] = label
				name, _, _ := strings.Cut(label, "(")
				actions[name] = true
			}
			edges[edge{id, target, label}] = true
			continue
		}
		if _, ok := states[id]; ok {
			continue
		}
		state, err := ParseState(label)
		if err != nil {
			return Digest{}, nil, err
		}
		states[id] = state.String()
	}
	if err := scanner.Err(); err != nil {
		return Digest{}, nil, err
	}
	var inStates, inEdges sum
	for _, text := range states {
		inStates.add(text)
	}
	for e := range edges {
		inEdges.add(states[e.from] + "\n" + e.label + "\n" + states[e.to])
	}
	return Digest{inStates.String(), inEdges.String(), len(edges)}, actions, nil
}

// quoted returns the text of the first label="..." in line.
func quoted(line string) string {
	_, rest, ok := strings.Cut(line, `label="`)
	if !ok {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(rest) && rest[i] != '"'; i++ {
		if rest[i] == '\\' && i+1 < len(rest) {
			i++
			if rest[i] == 'n' {
				b.WriteByte('\n')
				continue
			}
		}
		b.WriteByte(rest[i])
	}
	return b.String()
}
