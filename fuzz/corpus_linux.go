package fuzz

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/afterlock/afterlock/internal/bench/schedule"
)

//go:embed corpus/programs.txt
var programs string

// An Entry is a program of the corpus.
type Entry struct {
	Name, Reason string
	Program      *schedule.Schedule
}

// Corpus are the programs that every campaign begins with.
func Corpus() (all []Entry, err error) {
	for line := range strings.Lines(programs) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		program, reason, _ := strings.Cut(line, "|")
		words := strings.Fields(program)
		if len(words) != 2 || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("corpus: %q: expected NAME PROGRAM | REASON", line)
		}
		s, err := schedule.Parse(words[1])
		if err != nil {
			return nil, err
		}
		all = append(all, Entry{words[0], strings.TrimSpace(reason), s})
	}
	return all, nil
}
