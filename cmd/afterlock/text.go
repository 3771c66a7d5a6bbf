package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printable makes text that others wrote safe to print: as it is, or quoted if
// it holds anything that a terminal could take for more than text.
func printable(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// bytesOf returns the bytes of a name that JSON cannot hold, because it is not
// UTF-8; else nil. Every name or path in JSON has a field for it beside it: in the
// text two such names can look alike.
func bytesOf(name string) []byte {
	if utf8.ValidString(name) {
		return nil
	}
	return []byte(name)
}

// errorText is an error for JSON, in which every byte can be told.
func errorText(err error) string {
	if text := err.Error(); bytesOf(text) == nil {
		return text
	}
	return strconv.Quote(err.Error())
}

// cell is printable text for one column of a table: quoted also if it would
// break the table or look like a column of its own.
func cell(text string) string {
	const most = 40 // characters; what others write must not push the table around
	if r := []rune(text); len(r) > most {
		text = string(r[:most-1]) + "…"
	}
	if text == "" || text == "-" || strings.Contains(text, "  ") || strings.HasPrefix(text, `"`) {
		return strconv.Quote(text)
	}
	return printable(text)
}

// printTable prints rows of columns, the first of them the heading.
func printTable(out io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// age says how long ago that was, in one unit and a bit.
func age(since time.Duration) string {
	switch {
	case since < 0:
		return "in the future"
	case since < time.Minute:
		return fmt.Sprintf("%ds", int(since.Seconds()))
	case since < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(since.Minutes()), int(since.Seconds())%60)
	case since < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(since.Hours()), int(since.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(since.Hours())/24)
}

// size is a number of bytes for people.
func size(bytes int64) string {
	const units = "KMGTPE"
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes), -1
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

// printJSON prints one value, indented. Package json leaves some characters as
// they are that a terminal may obey; in JSON they can only be in strings, where
// an escape means the same.
func printJSON(out io.Writer, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range string(text) {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, "\\u%04x", unit)
		}
	}
	b.WriteByte('\n')
	_, err = io.WriteString(out, b.String())
	return err
}
