package model

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Source is the text of a .cfg file taken apart. Nothing in it is left out.
type Source struct {
	Name                  string // of the file, without .cfg
	Purpose, Module, Kind string
	Refuted               string // the property that has to be refuted; "" if all hold
	Formula, Symmetry     string
	Properties            []string
	Constants             []Constant

	lines map[string]place // where a word stands first
}

// A Constant is one line below CONSTANTS.
type Constant struct {
	Name, Value string
	IsSwap      bool // the value is a definition: Name <- Value
}

type place struct {
	line int
	key  string // the constant, or the keyword
}

// Kinds are the kinds of models, in the order of the manifest.
var Kinds = []string{"gate", "large", "liveness", "power", "mixed", "peers", "store", "harmless", "mustfail", "probe"}

// definitions are the constants that are bound to a definition that is no mutant.
var definitions = []string{"Pid", "Package", "RootName"}

// ReadSource takes the text of name.cfg apart. It is an error that names file and
// line if a line means nothing, or is missing; whether a name exists is for
// [Source.Model].
func ReadSource(name, text string) (*Source, error) {
	s := &Source{Name: name, lines: map[string]place{}}
	expect, constants, deadlock, number := "", "", "", 0
	keys := map[string]*string{
		`\* Purpose:`: &s.Purpose, `\* Module:`: &s.Module, `\* Kind:`: &s.Kind, `\* Expect:`: &expect,
		"SPECIFICATION": &s.Formula, "SYMMETRY": &s.Symmetry, "CONSTANTS": &constants, "CHECK_DEADLOCK": &deadlock,
	}
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		words := strings.Fields(line)
		fail := func(what string) (*Source, error) {
			return nil, fmt.Errorf("%s.cfg:%d: %s: %q", name, number, what, line)
		}
		if len(words) < 2 && line != "CONSTANTS" {
			return fail("a line that means nothing")
		}
		key, value := words[0], strings.Join(words[1:], " ")
		if key == `\*` {
			key, value = key+" "+words[1], strings.Join(words[2:], " ")
		}
		target, known := keys[key]
		switch {
		case known && *target == "" && (value == "") == (key == "CONSTANTS"):
			if *target = value; key == "CONSTANTS" {
				*target = key
			}
		case slices.Contains([]string{"INVARIANT", "INVARIANTS", "PROPERTY", "PROPERTIES"}, key):
			s.Properties = append(s.Properties, words[1:]...)
		case strings.HasPrefix(line, "  ") && constants != "" && len(words) > 2 && (words[1] == "=" || words[1] == "<-"):
			s.Constants = append(s.Constants, Constant{key, strings.Join(words[2:], " "), words[1] == "<-"})
		default:
			return fail("a line that means nothing")
		}
		if strings.HasPrefix(key, `\*`) {
			words, key = words[1:2], strings.TrimSuffix(key, ":") // the rest is prose
		}
		for _, word := range words {
			if word = strings.Trim(word, `{},"`); s.lines[word].line == 0 {
				s.lines[word] = place{number, key}
			}
		}
	}
	for key, value := range keys {
		if *value == "" && key != "SYMMETRY" {
			return nil, fmt.Errorf("%s.cfg: no line %s", name, key)
		}
	}
	refuted, isRefuted := strings.CutSuffix(expect, " is refuted")
	switch {
	case isRefuted && slices.Equal(s.Properties, []string{refuted}):
		s.Refuted = refuted
	case isRefuted:
		return nil, s.wrong("Expect:", "a model that must fail checks the one property "+refuted)
	case expect != Holds:
		return nil, s.wrong("Expect:", fmt.Sprintf("%q is neither holds nor that a property is refuted", expect))
	case deadlock != "FALSE":
		return nil, s.wrong("CHECK_DEADLOCK", "must be FALSE")
	case !slices.Contains(Kinds, s.Kind):
		return nil, s.wrong("Kind:", "no kind "+s.Kind)
	case isRefuted != (s.Kind == "mustfail" || s.Kind == "probe"):
		return nil, s.wrong("Kind:", s.Kind+" does not go with "+expect)
	}
	return s, nil
}

// Replaced are the definitions that the model swaps, each followed by its mutant.
func (s *Source) Replaced() (names []string) {
	for _, c := range s.Constants {
		if c.IsSwap && !slices.Contains(definitions, c.Name) {
			names = append(names, c.Name, c.Value)
		}
	}
	return names
}

// wrong is an error about the line that word stands in.
func (s *Source) wrong(word, what string) error {
	at, ok := s.lines[word]
	if !ok {
		return fmt.Errorf("%s.cfg: %s", s.Name, what)
	}
	return fmt.Errorf("%s.cfg:%d: %s: %s", s.Name, at.line, at.key, what)
}

// unknown is what a system panics with that is made with a name it has not.
type unknown struct{ what, name string }

func (u unknown) Error() string { return "model: no " + u.what + " " + u.name }

// A module is what the .cfg files of some modules have in common.
type module struct {
	names, formulas, symmetries []string
	swaps                       []string           // definitions that are no actions, and their mutants
	hasNone                     bool               // it has the constant None
	lacks                       string             // a field of the configuration that is no constant of it
	config                      func(m *Model) any // a new configuration
}

var modules = []module{
	{
		names:      []string{"MC", "MCDrawn", "MCUpstream", "MutantsOwner", "MutantsRecover", "Probes"},
		formulas:   []string{Spec, "LiveSpec", SweptSpec, CleanedSpec, MixedSpec, "MixedLiveSpec"},
		symmetries: []string{"Symmetry", "IdSymmetry", "RecovererSymmetry"},
		swaps:      []string{"Fresh NotOnDisk", "Fresh NoLockFile", "CanLock LeaseRunsOut", "Free Forgotten", "OpenCreates RecovererCreates", "Inode ManyInodes"},
		hasNone:    true,
		config:     func(m *Model) any { m.Protocol = &Config{}; return m.Protocol },
	},
	{
		names:    []string{"Peers"},
		formulas: []string{"PeerSpec", "PeerLiveSpec"},
		swaps:    []string{"TooOld AnyAge"},
		hasNone:  true,
		config:   func(m *Model) any { m.Peers = &PeersConfig{}; return m.Peers },
	},
	{
		names: []string{"MCTempDir"}, formulas: []string{Spec}, hasNone: true,
		config: func(m *Model) any { m.What = &WhatConfig{}; return m.What },
	},
	{
		names: []string{"MCLayerStore", "MCReports"}, formulas: []string{Spec, "LiveSpec"}, symmetries: []string{"Symmetry"},
		swaps: []string{"Free FlaggedIsFree"}, hasNone: true, lacks: "Handle",
		config: func(m *Model) any { m.Store = &StoreConfig{}; return m.Store },
	},
	{
		names: []string{"MCStoreGroup"}, formulas: []string{"GroupSpec"}, symmetries: []string{"Symmetry"}, hasNone: true,
		config: func(m *Model) any { m.Store = &StoreConfig{}; return m.Store },
	},
	{
		names: []string{"MCSave"}, formulas: []string{Spec}, swaps: []string{"Read ReadsByName"},
		config: func(m *Model) any { m.Save = &SaveConfig{}; return m.Save },
	},
	{
		names: []string{"MCReaders"}, formulas: []string{Spec}, hasNone: true,
		config: func(m *Model) any { m.Readers = &ReadersConfig{}; return m.Readers },
	},
	{
		names: []string{"MCPowerLoss"}, formulas: []string{Spec, "LiveSpec"},
		config: func(m *Model) any { m.Power = &PowerConfig{}; return m.Power },
	},
}

// values are those that a constant can have, where there are few.
var values = map[string][]string{
	"LockKind":   {"ofd", "posix", "table"},
	"Pid":        {"Apart", "Together", "ListerTogether", "Server"},
	"Package":    {"OneCopy", "TwoCopies"},
	"RootName":   {"OneName", "TwoNames"},
	"Scheme":     schemes[1:],
	"Durability": {"ordered", "perDirectory", "weak"},
	"Syncs":      {"flag", "source", "record", "data", "here"},
}

// Parse makes the model that the text of name.cfg describes. An error names the
// file, and the line and the constant or keyword that this package does not
// understand; nothing is passed over.
func Parse(name, text string) (*Model, error) {
	s, err := ReadSource(name, text)
	if err != nil {
		return nil, err
	}
	return s.Model()
}

// Model makes the model; see [Parse].
func (s *Source) Model() (m *Model, err error) {
	at := slices.IndexFunc(modules, func(m module) bool { return slices.Contains(m.names, s.Module) })
	if at < 0 {
		return nil, s.wrong("Module:", "no module "+s.Module)
	}
	of := &modules[at]
	if !slices.Contains(of.formulas, s.Formula) {
		return nil, s.wrong("SPECIFICATION", "no formula "+s.Formula)
	}
	if s.Symmetry != "" && !slices.Contains(of.symmetries, s.Symmetry) {
		return nil, s.wrong("SYMMETRY", "no symmetry "+s.Symmetry)
	}
	m = &Model{Name: s.Name, Kind: s.Kind, Purpose: s.Purpose, Formula: s.Formula, Symmetry: s.Symmetry, Properties: s.Properties}
	config, left := reflect.ValueOf(of.config(m)).Elem(), map[string]bool{}
	for _, field := range reflect.VisibleFields(config.Type()) {
		if !field.Anonymous && field.Name != of.lacks {
			left[field.Name] = true
		}
	}
	if delete(left, "Swap"); of.hasNone {
		left["None"] = true
	}
	if err := s.bind(config, left); err != nil {
		return nil, err
	}
	defer func() { // systems panic, since other configurations than these are part of the program
		switch reason := recover().(type) {
		case nil:
		case unknown:
			m, err = nil, s.wrong(reason.name, "no "+reason.what+" "+reason.name)
		case string:
			m, err = nil, fmt.Errorf("%s.cfg: %s", s.Name, reason)
		default:
			panic(reason)
		}
	}()
	actions := m.Actions()
	swap := m.Swap()
	inOrder := func(a, b string) int { return cmp.Compare(s.lines[a].line, s.lines[b].line) }
	for _, definition := range slices.SortedFunc(maps.Keys(swap), inOrder) { // the first one wrong is told, every time
		mutant := swap[definition]
		isSwapped := func(a Action) bool { return a.Slot == definition && a.Name == mutant }
		if !slices.ContainsFunc(actions, isSwapped) && !slices.Contains(of.swaps, definition+" "+mutant) {
			return nil, s.wrong(definition, "nothing of this model is swapped by "+mutant)
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("%s.cfg: constants that are not bound: %s", s.Name, strings.Join(slices.Sorted(maps.Keys(left)), ", "))
	}
	return m, nil
}

// bind sets the fields of a configuration to the constants, each at most once, and
// takes them out of left, which has all names of constants at first.
func (s *Source) bind(config reflect.Value, left map[string]bool) error {
	swap := map[string]string{}
	for _, c := range s.Constants {
		name := c.Name
		if name == "Id" {
			name = "ID"
		}
		switch {
		case left[name]:
			delete(left, name)
		case c.IsSwap && swap[name] == "" && !slices.Contains(definitions, name):
			swap[name] = c.Value
			continue
		default:
			return s.wrong(c.Name, "no constant of "+s.Module+", or a second time: "+c.Value)
		}
		if name == "None" && !c.IsSwap && c.Value == "None" {
			continue // the model value, which Go has as a constant
		}
		if c.IsSwap != slices.Contains(definitions, name) || name == "None" {
			return s.wrong(c.Name, "no value: "+c.Value)
		}
		field := config.FieldByName(name)
		value, ok := c.value(field.Interface())
		if !ok {
			return s.wrong(c.Name, "no value: "+c.Value)
		}
		field.Set(reflect.ValueOf(value))
	}
	config.FieldByName("Swap").Set(reflect.ValueOf(swap))
	return nil
}

// value is the constant as a value of the type that like has, and whether it is one.
func (c Constant) value(like any) (any, bool) {
	switch like.(type) {
	case bool:
		return c.Value == "TRUE", c.Value == "TRUE" || c.Value == "FALSE"
	case int:
		n, err := strconv.Atoi(c.Value)
		return n, err == nil && n >= 0
	case string:
		return c.word(c.Value)
	}
	inner, isOpened := strings.CutPrefix(c.Value, "{")
	inner, isClosed := strings.CutSuffix(inner, "}")
	ok := isOpened && isClosed
	var set []string
	for word := range strings.SplitSeq(inner, ", ") {
		if inner == "" {
			break
		}
		element, isWord := c.word(word)
		ok = ok && isWord && !slices.Contains(set, element)
		set = append(set, element)
	}
	return set, ok
}

// word is a string, the name of a definition, or of a model value.
func (c Constant) word(text string) (string, bool) {
	if values[c.Name] == nil {
		return text, !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	if !c.IsSwap {
		unquoted, err := strconv.Unquote(text)
		if err != nil {
			return "", false
		}
		text = unquoted
	}
	return text, slices.Contains(values[c.Name], text)
}
