package linearizability

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// merge makes one history of the records of clients, each of them lines in the
// order of their tickets. Of a client that was killed the last line may be cut
// off: an invocation whose call was not made, or a response that nobody got.
func merge(layout, note string, records [][]byte) (*History, error) {
	type line struct {
		ticket int64
		text   []byte
	}
	var lines []line
	for _, record := range records {
		if end := bytes.LastIndexByte(record, '\n'); end+1 < len(record) {
			record = record[:end+1]
		}
		for text := range bytes.Lines(record) {
			first, _, _ := bytes.Cut(text, []byte(" "))
			ticket, err := strconv.ParseInt(string(first), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("record %q: no ticket", text)
			}
			lines = append(lines, line{ticket, text})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.ticket - b.ticket) })
	var all bytes.Buffer
	fmt.Fprintf(&all, "%s\nlayout %s%s\nstart empty\n", Magic, layout, noted(note))
	for _, l := range lines {
		all.Write(l.text)
	}
	return Parse(&all)
}
