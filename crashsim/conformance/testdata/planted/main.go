// Planted executes models with whatever library it was built with, and prints
// the first divergence as JSON, with what a replay of its schedule says. The
// tests build it with faults in the library.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/afterlock/afterlock/crashsim/conformance"
)

func main() {
	var result struct {
		*conformance.Divergence
		Repeated string
	}
	for _, name := range os.Args[2:] {
		report, err := conformance.Run(context.Background(), conformance.Options{Model: name, Dir: os.Args[1], Workers: 1})
		if err != nil {
			log.Fatal(err)
		}
		if result.Divergence = report.Divergence; result.Divergence == nil {
			continue
		}
		if err := conformance.Replay(context.Background(), report.Divergence.Schedule, os.Args[1], io.Discard); err != nil {
			result.Repeated = err.Error()
		}
		break
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}
