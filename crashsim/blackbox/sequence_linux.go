//go:build amd64 || arm64

package blackbox

import "fmt"

// A sequence is the calls of a program by name, as far as they are known. Every
// run makes the same ones: else the k-th call of one run is another call in the
// next, and a count of k passes some over.
type sequence []string

// next notes the i-th call, from 1, and says what is wrong if it is known to be
// another one.
func (s *sequence) next(i int, name string) (problems []string) {
	switch {
	case i == len(*s)+1:
		*s = append(*s, name)
	case i > len(*s) || (*s)[i-1] != name:
		return []string{fmt.Sprintf("call %d is %s this time, and was another one", i, name)}
	}
	return nil
}

// end says what is wrong if a run ended after n calls and others made more.
func (s *sequence) end(n int) (problems []string) {
	if n < len(*s) {
		return []string{fmt.Sprintf("there were %d calls this time, and %d before", n, len(*s))}
	}
	return nil
}
