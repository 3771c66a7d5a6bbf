// Planted executes models with faults in the library, one after the other, and
// prints for each the first divergence as JSON, with what a replay of its
// schedule says. It is built with an overlay, which adds the faults.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/afterlock/afterlock/model/conformance"
	"github.com/afterlock/afterlock/internal/kernel"
)

type result struct {
	Fault    string
	Found    *conformance.Divergence
	Repeated string
}

func main() {
	out := json.NewEncoder(os.Stdout)
	for in := json.NewDecoder(os.Stdin); ; {
		var fault struct {
			Name, Model string
		}
		if err := in.Decode(&fault); err == io.EOF {
			return
		} else if err != nil {
			log.Fatal(err)
		}
		r, err := execute(os.Args[1], fault.Name, fault.Model)
		if err == nil {
			err = out.Encode(r)
		}
		if err != nil {
			log.Fatalf("%s: %v", fault.Name, err)
		}
	}
}

func execute(dir, fault, model string) (r result, err error) {
	r.Fault = fault
	kernel.Plant(fault)
	report, err := conformance.Run(context.Background(), conformance.Options{Model: model, Dir: dir, Workers: 1})
	if err != nil {
		return r, err
	}
	if r.Found = report.Divergence; r.Found != nil {
		if err := conformance.Replay(context.Background(), r.Found.Schedule, dir, io.Discard); err != nil {
			r.Repeated = err.Error()
		}
	}
	return r, nil
}
