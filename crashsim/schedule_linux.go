package crashsim

import (
	"bytes"
	"fmt"
)

// squeeze writes a schedule with counts: AAAB is A3B.
func squeeze(schedule []byte) string {
	var b bytes.Buffer
	for i := 0; i < len(schedule); {
		j := i
		for j < len(schedule) && schedule[j] == schedule[i] {
			j++
		}
		b.WriteByte(schedule[i])
		if j-i > 1 {
			fmt.Fprint(&b, j-i)
		}
		i = j
	}
	return b.String()
}

// maxSchedule bounds the steps of a schedule that is read.
const maxSchedule = 10000

// unsqueeze reads what squeeze writes.
func unsqueeze(text string) (schedule []byte, err error) {
	for i := 0; i < len(text); {
		letter := text[i]
		if (letter < firstActor || letter >= firstActor+maxActors) && (letter < firstKill || letter >= firstKill+maxActors) {
			return nil, fmt.Errorf("schedule %q: invalid process %q: expected A to C, or a to c for a kill", text, letter)
		}
		n, digits := 0, 0
		for i++; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
			n = min(n*10+int(text[i]-'0'), maxSchedule+1)
			digits++
		}
		if digits == 0 {
			n = 1
		}
		if len(schedule)+n > maxSchedule {
			return nil, fmt.Errorf("schedule: more than %d steps", maxSchedule)
		}
		schedule = append(schedule, bytes.Repeat([]byte{letter}, n)...)
	}
	return schedule, nil
}
