package model

func (m *TempDir) initial() Key {
	var s whatState
	for x := Item(1); x <= m.items; x++ {
		if has(m.victim, x) {
			s.item[x] = itemLive
		}
	}
	return packWhat(&s)
}

func (m *TempDir) actions() []Action { return m.table }

func (m *TempDir) properties() (invariants, stepProperties []string) {
	return []string{"OwnedIsStaged"}, nil
}

func (m *TempDir) newExpander() expander { return &whatStep{m: m} }

func (t *whatStep) expand(k Key, out []Step) ([]Step, uint8) {
	unpackWhat(k, &t.s)
	t.out = out
	for i, do := range t.m.do {
		t.action = uint16(i)
		do(t)
	}
	out, t.out = t.out, nil
	if !t.m.ownedIsStaged(&t.s) {
		return out, 1
	}
	return out, 0
}

func (t *whatStep) falseGuard(k Key, action uint16) string {
	unpackWhat(k, &t.s)
	t.out, t.guard = t.out[:0], ""
	t.m.do[action](t)
	if len(t.out) > 0 {
		return ""
	}
	return t.guard
}

func (m *TempDir) text(k Key) string {
	var s whatState
	unpackWhat(k, &s)
	named := func(value uint8) string {
		if value == None {
			return "None"
		}
		return m.procNames[value-1]
	}
	var b []byte
	b = append(b, "arg="...)
	b = appendFunction(b, m.procNames, func(p int) string {
		if s.arg[p] == None {
			return "None"
		}
		return m.itemNames[s.arg[p]-1]
	})
	b = append(b, "\ndoes="...)
	b = appendFunction(b, m.procNames, func(p int) string { return opNames[s.does[p]] })
	b = append(b, "\nitem="...)
	b = appendFunction(b, m.itemNames, func(x int) string { return itemNames[s.item[x]] })
	b = append(b, "\nopen="...)
	b = append(b, setText(s.open, m.procNames, ",")...)
	b = append(b, "\nowner="...)
	b = appendFunction(b, m.itemNames, func(x int) string { return named(s.owner[x]) })
	b = append(b, "\nreply="...)
	b = appendFunction(b, m.procNames, func(p int) string { return replyNames[s.reply[p]] })
	return string(b)
}

func (m *TempDir) columns() []string {
	return append(append([]string{}, m.procNames...), "trees")
}

func (m *TempDir) cells(k Key) []string {
	var s whatState
	unpackWhat(k, &s)
	var cells []string
	for p := range m.procNames {
		text := ""
		if s.does[p+1] != None {
			text = unquote(opNames[s.does[p+1]])
			if s.reply[p+1] != None {
				text += ": " + unquote(replyNames[s.reply[p+1]])
			}
		} else if has(s.open, uint8(p+1)) {
			text = "open"
		}
		cells = append(cells, text)
	}
	trees := ""
	for x, name := range m.itemNames {
		if x > 0 {
			trees += ", "
		}
		trees += name + " " + unquote(itemNames[s.item[x+1]])
		if o := s.owner[x+1]; o != None {
			trees += " by " + m.procNames[o-1]
		}
	}
	return append(cells, trees)
}
