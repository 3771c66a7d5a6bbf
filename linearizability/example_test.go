package linearizability_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/afterlock/afterlock/linearizability"
)

// Process 1 has created layer a, and was told so. Process 2 does not see it.
func ExampleJudge() {
	history, err := linearizability.Parse(strings.NewReader(`afterlock history 1
layout vfs
start empty
1 1.1 create a a.1
2 1.1 : ok
3 2.1 exists a
4 2.1 : ok no
`))
	if err != nil {
		panic(err)
	}
	judgement, err := linearizability.Judge(context.Background(), history, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println(judgement.Verdict)
	fmt.Println(judgement.Reason)
	// Output:
	// illegal
	// after 1 of 2 steps nothing explains "exists a → ok no" (tickets 3 to 4)
}
