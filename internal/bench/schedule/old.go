package schedule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// What former versions printed: a grammar for each kind. They are compiled when one is
// read: processes that are started thousands of times never do.
var (
	oldEdges = lazily(`^(conformance:\w+):([0-9.f]+)$`)
	oldCrash = lazily(`^(crash:[^/@]+)/(\w+)/((?:[A-Ca-c][0-9]*)*)((?:/.*)?)$`)
	oldKill  = lazily(`^box:kill/([^/]+)/([0-9+/]+)$`)
	oldFail  = lazily(`^box:fail/([^/]+)/([0-9]+)/([A-Z0-9]+)$`)
	oldSched = lazily(`^box:sched/([^/]+)/([OABoab]*)$`)
	letters  = lazily(`[A-Za-z][0-9]*`)
)

func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// modern is an old string in the grammar of today, or the text itself.
func modern(text string) string {
	if m := oldEdges().FindStringSubmatch(text); m != nil {
		return m[1] + "/" + strings.ReplaceAll(m[2], "f", "!")
	}
	if m := oldCrash().FindStringSubmatch(text); m != nil {
		return m[1] + "@" + m[2] + "/" + dotted(m[3], "!") + m[4]
	}
	if m := oldSched().FindStringSubmatch(text); m != nil {
		return "box:" + m[1] + "/" + dotted(m[2], "*")
	}
	if m := oldFail().FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("box:%s/A%d!%s", m[1], before(m[2]), m[3])
	}
	if m := oldKill().FindStringSubmatch(text); m != nil {
		var steps []string
		for i, at := range strings.Split(m[2], "/") {
			unit := "c" // of a recovery its changes counted, unless there was a sign
			if i == 0 || strings.HasPrefix(at, "+") {
				unit = ""
			}
			steps = append(steps, fmt.Sprintf("%c%d%s!", 'A'+i, before(at), unit))
		}
		return "box:" + m[1] + "/" + strings.Join(steps, ".")
	}
	return text
}

// before is the number of the call before one that was counted from 1.
func before(at string) int {
	n, _ := strconv.Atoi(at)
	return n - 1
}

// dotted puts dots between letters with their counts. A small one ended a step.
func dotted(schedule, end string) string {
	var steps []string
	for _, step := range letters().FindAllString(schedule, -1) {
		if step[0] >= 'a' {
			step = strings.ToUpper(step[:1]) + end
		}
		steps = append(steps, step)
	}
	return strings.Join(steps, ".")
}
