package model

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// appendFunction appends the canonical text of a function on names, which are
// sorted; value gets the index from 1.
func appendFunction(b []byte, names []string, value func(i int) string) []byte {
	if len(names) == 0 {
		return append(b, "<<>>"...)
	}
	b = append(b, '[')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, name...)
		b = append(b, "->"...)
		b = append(b, value(i+1)...)
	}
	return append(b, ']')
}

// setText is the canonical text of a set of names, which are sorted.
func setText(set uint8, names []string, comma string) string {
	var in []string
	for i, name := range names {
		if has(set, uint8(i+1)) {
			in = append(in, name)
		}
	}
	return "{" + strings.Join(in, comma) + "}"
}

func nameOf(names []string, n uint8) string {
	if n == None {
		return "None"
	}
	return names[n-1]
}

var numbers = [...]string{"None", "1", "2", "3", "4", "5", "6", "7", "8"}

func (m *Protocol) placeText(place Place) string {
	switch place {
	case Absent:
		return `"absent"`
	case Home:
		return `"home"`
	case PlaceGone:
		return `"gone"`
	}
	return m.idNames[place-inside]
}

func (m *Protocol) argText(arg uint8) string {
	if arg > maxItems {
		return numbers[arg-maxItems]
	}
	return nameOf(m.itemNames, arg)
}

func (m *Protocol) textOf(s *State) string {
	b := make([]byte, 0, 512)
	b = append(b, "arg="...)
	b = appendFunction(b, m.procNames, func(p int) string { return m.argText(s.Arg[p]) })
	b = append(b, "\ncrashes="...)
	b = strconv.AppendUint(b, uint64(s.Crashes), 10)
	b = append(b, "\ndata="...)
	b = append(b, setText(s.Data, m.idNames, ",")...)
	b = append(b, "\nfailures="...)
	b = strconv.AppendUint(b, uint64(s.Failures), 10)
	b = append(b, "\nfd="...)
	b = appendFunction(b, m.procNames, func(p int) string { return numbers[s.Fd[p]] })
	b = append(b, "\nholder=<<"...)
	for n := Inode(1); n <= m.inodes; n++ {
		if n > 1 {
			b = append(b, ',')
		}
		b = append(b, nameOf(m.procNames, s.Holder[n])...)
	}
	b = append(b, ">>\nid="...)
	b = appendFunction(b, m.procNames, func(p int) string { return nameOf(m.idNames, s.ID[p]) })
	b = append(b, "\nlock="...)
	b = appendFunction(b, m.idNames, func(i int) string { return numbers[s.Lock[i]] })
	b = append(b, "\nparked=<<"...)
	b = append(b, setText(s.Parked[1]<<1, numbers[1:7], ",")...)
	b = append(b, ',')
	b = append(b, setText(s.Parked[2]<<1, numbers[1:7], ",")...)
	b = append(b, ">>\npc="...)
	b = appendFunction(b, m.procNames, func(p int) string { return `"` + pcNames[s.PC[p]] + `"` })
	b = append(b, "\nplace="...)
	b = appendFunction(b, m.itemNames, func(x int) string { return m.placeText(s.Place[x]) })
	b = append(b, "\ntree="...)
	b = appendFunction(b, m.itemNames, func(x int) string { return strconv.Itoa(int(s.Tree[x])) })
	b = append(b, "\nused="...)
	b = append(b, setText(s.Used, m.idNames, ",")...)
	return string(b)
}

// nothing is in the text of what has the value that it has at first.
var nothing = regexp.MustCompile(`\w+->|None|"absent"|"idle"|FALSE|[^\w"]`)

// words are what is in the texts of a state, by whose it is: a word for each variable
// that says anything and was not the same before, of each process and last of nobody.
func words(text, before string, processes []string) []string {
	cells := make([][]string, len(processes)+1)
	said := parts(before, processes)
	for i, variables := range parts(text, processes) {
		for _, variable := range variables {
			_, value, _ := strings.Cut(variable, "=")
			if before != "" && !slices.Contains(said[i], variable) || before == "" && strings.Trim(nothing.ReplaceAllString(value, ""), "0") != "" {
				cells[i] = append(cells[i], strings.ReplaceAll(variable, `"`, ""))
			}
		}
	}
	row := make([]string, len(cells))
	for i, words := range cells {
		row[i] = strings.Join(words, " ")
	}
	return row
}

// parts are the variables of each process, and last the others.
func parts(text string, processes []string) [][]string {
	parts := make([][]string, len(processes)+1)
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		if len(processes) == 0 || !strings.HasPrefix(value, "["+processes[0]+"->") {
			parts[len(processes)] = append(parts[len(processes)], line)
			continue
		}
		rest := strings.TrimPrefix(value[:len(value)-1], "["+processes[0]+"->")
		for i := range processes {
			mine := rest
			if i+1 < len(processes) {
				mine, rest, _ = strings.Cut(rest, ","+processes[i+1]+"->")
			}
			parts[i] = append(parts[i], name+"="+mine)
		}
	}
	return parts
}
