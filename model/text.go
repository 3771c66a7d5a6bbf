package model

import (
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

func unquote(text string) string { return strings.Trim(text, `"`) }

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

func (m *Protocol) text(k Key) string {
	var s State
	unpack(k, &s)
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

func (m *Protocol) columns() []string { return append(append([]string{}, m.procNames...), "disk") }

// cells says in words where each process is, and what is on disk.
func (m *Protocol) cells(k Key) []string {
	var s State
	unpack(k, &s)
	var cells []string
	for p := Proc(1); p <= m.procs; p++ {
		text := pcNames[s.PC[p]]
		if s.Fd[p] != None {
			text += ", has file " + numbers[s.Fd[p]] + " open"
			if s.Holder[s.Fd[p]] == p {
				text = strings.Replace(text, "open", "locked", 1)
			}
		}
		cells = append(cells, text)
	}
	var disk []string
	for i, id := range m.idNames {
		if n := s.Lock[i+1]; n != None {
			disk = append(disk, "lock-"+id+" is file "+numbers[n])
		}
		if has(s.Data, uint8(i+1)) {
			disk = append(disk, "temp-dir-"+id)
		}
	}
	for x, name := range m.itemNames {
		files := " (files: " + strconv.Itoa(int(s.Tree[x+1])) + ")"
		switch place := s.Place[x+1]; {
		case place == Home:
			disk = append(disk, name+" at home"+files)
		case place >= inside:
			disk = append(disk, name+" in temp-dir-"+m.idNames[place-inside]+files)
		}
	}
	if len(disk) == 0 {
		disk = []string{"nothing"}
	}
	return append(cells, strings.Join(disk, "; "))
}
