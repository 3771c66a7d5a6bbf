package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// This file says what TLC's verdict on a model rests on: the .cfg, and of each module
// the definitions that it leads to, without comments. A comment can be mended, and a
// definition that a model has nothing to do with, and what is recorded of it stands.

// Sources are the modules of a spec directory, each read once.
type Sources struct {
	dir     string
	modules map[string][]unit // by file
}

// NewSources reads modules of the spec directory dir when they are asked for.
func NewSources(dir string) *Sources {
	return &Sources{dir: dir, modules: map[string][]unit{}}
}

// A unit is a definition or another part of a module that begins a line.
type unit struct {
	name  string // what it defines; "" for what every model has: declarations, assumptions
	text  string
	words []string
	only  string // a constant; if it is FALSE, so is the definition, whatever else it says
}

var (
	comment     = regexp.MustCompile(`("[^"\n]*")|\\\*.*|\(\*(?s:.*?)\*\)`)
	literal     = regexp.MustCompile(`"[^"\n]*"`)
	word        = regexp.MustCompile(`\w+`)
	blanks      = regexp.MustCompile(`[ \t]+\n|\n[ \t]*\n`)
	begins      = regexp.MustCompile(`(?m)^\S`)
	defines     = regexp.MustCompile(`^(?:LOCAL )?(\w+)(?:\([^)]*\))? +==(?:\s+(\w+) /\\ )?`)
	declares    = regexp.MustCompile(`^(?:---+ MODULE|EXTENDS|CONSTANTS?|VARIABLES?|ASSUME|RECURSIVE)\b`)
	saysNothing = regexp.MustCompile(`^(?:THEOREM\b|---+$|===+$)`) // to TLC
	binds       = regexp.MustCompile(`=>|<=|\\/|~>|\\equiv`)       // less than a conjunction does
	lets        = regexp.MustCompile(`\bLET\b|\bIN\b|==`)
	replaces    = regexp.MustCompile(`(\w+)\s*<-`)
)

func (s *Sources) units(file string) ([]unit, error) {
	if units, ok := s.modules[file]; ok {
		return units, nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		return nil, err
	}
	for _, at := range comment.FindAllIndex(text, -1) {
		if rest, _, _ := strings.Cut(string(text[at[1]:]), "\n"); text[at[0]] == '(' && strings.TrimSpace(rest) != "" {
			return nil, fmt.Errorf("%s: a comment moves what follows it in its line: %.40q", file, rest)
		}
	}
	plain := comment.ReplaceAllString(string(text), "$1") + "\n"
	for blanks.MatchString(plain) {
		plain = blanks.ReplaceAllString(plain, "\n")
	}
	at := append(begins.FindAllStringIndex(plain, -1), []int{len(plain)})
	var units []unit
	for i := range at[:len(at)-1] {
		u := unit{text: plain[at[i][0]:at[i+1][0]]}
		u.words = word.FindAllString(literal.ReplaceAllString(u.text, ""), -1)
		switch m := defines.FindStringSubmatch(u.text); {
		case m != nil:
			if u.name = m[1]; !binds.MatchString(u.text) {
				u.only = m[2]
			}
			if definesMore(u.text) {
				return nil, fmt.Errorf("%s: something else is defined in the lines of %s", file, u.name)
			}
		case saysNothing.MatchString(strings.TrimSpace(u.text)):
			if strings.HasPrefix(u.text, "THEOREM") && definesMore("== "+u.text) {
				return nil, fmt.Errorf("%s: something is defined in the lines of a theorem", file)
			}
			continue
		case !declares.MatchString(u.text):
			return nil, fmt.Errorf("%s: neither a definition nor a declaration: %.40q", file, u.text)
		}
		units = append(units, u)
	}
	s.modules[file] = units
	return units, nil
}

// definesMore reports whether the text defines something after the first, and not
// local to that.
func definesMore(text string) bool {
	within, defined := 0, 0
	for _, token := range lets.FindAllString(literal.ReplaceAllString(text, ""), -1) {
		switch {
		case token == "LET":
			within++
		case token == "IN":
			within--
		case within == 0:
			defined++
		}
	}
	return defined > 1
}

// Hashes returns the SHA-256 of the model's .cfg, and of what the model leads to in
// every module that it uses.
func (s *Sources) Hashes(row Row) (map[string]string, error) {
	files, err := Modules(s.dir, row.Module)
	if err != nil {
		return nil, err
	}
	config, err := os.ReadFile(filepath.Join(s.dir, row.Config))
	if err != nil {
		return nil, err
	}
	parts := map[string][]unit{}
	isFalse := falses(string(config))
	var next []string // words that lead on
	for _, file := range files {
		units, err := s.units(file)
		if err != nil {
			return nil, err
		}
		for _, u := range units {
			if parts[u.name] = append(parts[u.name], u); u.name == "" {
				next = append(next, u.words...)
			}
			for _, m := range replaces.FindAllStringSubmatch(u.text, -1) {
				delete(isFalse, m[1]) // in an instance it is something else
			}
		}
	}
	reached := map[string]bool{"": true}
	for next = append(next, word.FindAllString(string(config), -1)...); len(next) > 0; next = next[1:] {
		name := next[0]
		if reached[name] || parts[name] == nil {
			continue
		}
		reached[name] = true
		for _, u := range parts[name] {
			if !isFalse[u.only] {
				next = append(next, u.words...)
			}
		}
	}
	hashes := map[string]string{row.Config: digestOf(string(config))}
	for _, file := range files {
		var text strings.Builder
		for _, u := range s.modules[file] {
			switch head := defines.FindString(u.text); {
			case !reached[u.name]:
			case isFalse[u.only]:
				text.WriteString(head + "\n")
			default:
				text.WriteString(u.text)
			}
		}
		hashes[file] = digestOf(text.String())
	}
	return hashes, nil
}

// falses are the constants that the .cfg binds to FALSE, in every module.
func falses(config string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(config) {
		if words := strings.Fields(line); len(words) == 3 && words[1] == "=" && words[2] == "FALSE" {
			all[words[0]] = true
		}
	}
	for _, m := range replaces.FindAllStringSubmatch(config, -1) {
		delete(all, m[1])
	}
	return all
}

func digestOf(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}
