package gate

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Widths of the columns that are wrapped, in characters.
const (
	ranWidth    = 40
	countsWidth = 44
)

// Write prints the closing table, then what was found and how to repeat it.
func (r Report) Write(out io.Writer) error {
	var b strings.Builder
	rows := [][]string{{"STAGE", "WHAT WAS RUN", "COUNTS", "VERDICT", "TIME"}}
	for _, outcome := range r.Stages {
		rows = append(rows, []string{
			outcome.Stage, orDash(outcome.Ran), orDash(joinCounts(outcome.Counts)),
			marked(outcome), fmt.Sprintf("%.1f s", outcome.Elapsed.Seconds()),
		})
	}
	writeTable(&b, rows, []int{0, ranWidth, countsWidth, 0, 0})
	b.WriteByte('\n')
	for _, outcome := range r.Stages {
		if outcome.Line != "" {
			fmt.Fprintln(&b, outcome.Line)
		}
	}
	for _, outcome := range r.Stages {
		if outcome.Because != "" {
			fmt.Fprintf(&b, "%s: %s, because %s\n", outcome.Stage, outcome.Verdict, outcome.Because)
		}
		for _, skip := range outcome.Skips {
			fmt.Fprintf(&b, "%s: %s skipped, because %s\n", outcome.Stage, skip.What, skip.Why)
		}
		for _, problem := range outcome.Problems {
			fmt.Fprintf(&b, "%s: %s\n", outcome.Stage, problem)
		}
		if outcome.Repeat != "" {
			fmt.Fprintf(&b, "repeat: %s\n", outcome.Repeat)
		}
	}
	if r.Left != "" {
		fmt.Fprintf(&b, "left behind: %s\n", r.Left)
	}
	fmt.Fprintf(&b, "verdict: %s in %.1f s (seed %d)\n", r.Verdict, r.Seconds, r.Seed)
	_, err := io.WriteString(out, b.String())
	return err
}

// marked is the verdict, with a mark if it is that of a part of the stage.
func marked(outcome Outcome) string {
	if len(outcome.Skips) > 0 {
		return string(outcome.Verdict) + ", with skips"
	}
	return string(outcome.Verdict)
}

// joinCounts is "12 instances, 0 lost".
func joinCounts(counts []Count) string {
	var parts []string
	for _, count := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", count.N, count.Name))
	}
	return strings.Join(parts, ", ")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// writeTable prints rows in columns; a column with a width is wrapped to it.
func writeTable(b *strings.Builder, rows [][]string, widths []int) {
	cells := make([][][]string, len(rows)) // row, column, line
	columns := make([]int, len(widths))
	for i, row := range rows {
		for j, text := range row {
			lines := wrap(text, widths[j])
			cells[i] = append(cells[i], lines)
			for _, line := range lines {
				columns[j] = max(columns[j], utf8.RuneCountInString(line))
			}
		}
	}
	for _, row := range cells {
		height := 0
		for _, lines := range row {
			height = max(height, len(lines))
		}
		for k := range height {
			var line strings.Builder
			for j, lines := range row {
				text := ""
				if k < len(lines) {
					text = lines[k]
				}
				fmt.Fprintf(&line, "%-*s  ", columns[j], text)
			}
			b.WriteString(strings.TrimRight(line.String(), " "))
			b.WriteByte('\n')
		}
	}
}

// wrap breaks text at blanks into lines of at most width characters; a word
// that is longer gets a line of its own. Width 0 does not break.
func wrap(text string, width int) []string {
	if width == 0 {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
