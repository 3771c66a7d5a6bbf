package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Value is a TLA+ value as TLC prints it. Kind is one of
//
//	'a'  an atom: number, boolean, model value, or string with its quotes
//	'{'  a set; Items are its elements
//	'<'  a tuple; Items are its elements
//	'('  a function or a record; Keys and Items are its pairs
type Value struct {
	Kind  byte
	Atom  string
	Keys  []Value
	Items []Value
}

// A State maps variables to values.
type State map[string]Value

// ParseState reads the conjunction "/\ x = v" of a state, one conjunct a line
// or with values wrapped over several lines.
func ParseState(text string) (State, error) {
	state := State{}
	for _, conjunct := range strings.Split("\n"+text, "\n/\\ ") {
		if strings.TrimSpace(conjunct) == "" {
			continue
		}
		name, rest, ok := strings.Cut(conjunct, " = ")
		if !ok {
			return nil, fmt.Errorf("no variable in %q", conjunct)
		}
		p := &parser{text: rest}
		value := p.value()
		p.space()
		if p.err != nil || p.text != "" {
			return nil, fmt.Errorf("variable %s: %v at %q", name, p.err, p.text)
		}
		state[name] = value
	}
	return state, nil
}

type parser struct {
	text string
	err  error
}

func (p *parser) space() { p.text = strings.TrimLeft(p.text, " \n\t") }

func (p *parser) next(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.text, token)
	if ok {
		p.text = rest
	}
	return ok
}

func (p *parser) need(token string) {
	if !p.next(token) && p.err == nil {
		p.err = fmt.Errorf("%q expected", token)
		p.text = ""
	}
}

func (p *parser) list(end string) (items []Value) {
	if p.next(end) {
		return nil
	}
	for {
		items = append(items, p.value())
		if !p.next(",") {
			p.need(end)
			return items
		}
	}
}

func (p *parser) value() Value {
	p.space()
	switch {
	case p.next("{"):
		return Value{Kind: '{', Items: p.list("}")}
	case p.next("<<"):
		return Value{Kind: '<', Items: p.list(">>")}
	case p.next("["):
		return p.pairs("|->", ",", "]", true)
	case p.next("("):
		return p.pairs(":>", "@@", ")", false)
	case strings.HasPrefix(p.text, `"`):
		end := strings.Index(p.text[1:], `"`)
		if end < 0 {
			p.need(`"`)
			return Value{}
		}
		atom := p.text[:end+2]
		p.text = p.text[end+2:]
		return Value{Kind: 'a', Atom: atom}
	}
	end := strings.IndexFunc(p.text, func(r rune) bool { return strings.ContainsRune(" \n\t,:@|>})]", r) })
	if end < 0 {
		end = len(p.text)
	}
	if end == 0 && p.err == nil {
		p.err = fmt.Errorf("value expected")
	}
	atom := p.text[:end]
	p.text = p.text[end:]
	return Value{Kind: 'a', Atom: atom}
}

func (p *parser) pairs(arrow, comma, end string, record bool) Value {
	v := Value{Kind: '('}
	for {
		key := p.value()
		if record {
			key.Atom = `"` + key.Atom + `"` // a record is a function on strings
		}
		p.need(arrow)
		v.Keys, v.Items = append(v.Keys, key), append(v.Items, p.value())
		if !p.next(comma) {
			p.need(end)
			return v
		}
	}
}

// String returns the canonical text of the value: see "Digest" in
// spec/README.md.
func (v Value) String() string {
	switch v.Kind {
	case '{':
		return "{" + strings.Join(sorted(texts(v.Items)), ",") + "}"
	case '<':
		return "<<" + strings.Join(texts(v.Items), ",") + ">>"
	case '(':
		pairs := make([]string, len(v.Items))
		order := make([]int, len(v.Items))
		keys := texts(v.Keys)
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
		for n, i := range order {
			pairs[n] = keys[i] + "->" + v.Items[i].String()
		}
		return "[" + strings.Join(pairs, ",") + "]"
	}
	return v.Atom
}

// String returns the canonical text of the state.
func (s State) String() string {
	lines := make([]string, 0, len(s))
	for name, value := range s {
		lines = append(lines, name+"="+value.String())
	}
	return strings.Join(sorted(lines), "\n")
}

// At returns the value of a function at key, given as canonical text.
func (v Value) At(key string) Value {
	for i, k := range v.Keys {
		if k.String() == key {
			return v.Items[i]
		}
	}
	if v.Kind == '<' { // a tuple is a function on 1, 2, ...
		for i, item := range v.Items {
			if fmt.Sprint(i+1) == key {
				return item
			}
		}
	}
	return Value{Kind: 'a', Atom: "?"}
}

// Has reports whether the set v has the element, given as canonical text.
func (v Value) Has(element string) bool {
	return slices.ContainsFunc(v.Items, func(e Value) bool { return e.String() == element })
}

func texts(values []Value) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.String()
	}
	return out
}

func sorted(texts []string) []string {
	slices.Sort(texts)
	return texts
}
