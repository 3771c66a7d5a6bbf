package model_test

import (
	"context"
	"fmt"
	"os"

	"github.com/afterlock/afterlock/model"
)

// The protocol as it was released upstream loses the data of a live instance.
func ExampleModel_Refute() {
	upstream := model.Find("UpstreamAsShipped")
	report, err := upstream.Refute(context.Background(), model.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(report.Property, report.Verdict, "in", report.Length, "states")
	behaviour, _ := report.Counterexample.Behaviour()
	for _, step := range behaviour.Steps {
		fmt.Println(upstream.Actions()[step.Action])
	}
	// Output:
	// LiveKept refuted in 16 states
	// UpstreamCreateLock(c1,i1)
	// List(r1,i1)
	// UpstreamOpenLock(r1)
	// UpstreamOpenLock(c1)
	// UpstreamTakeLock(r1)
	// OpenDirectory(r1)
	// UpstreamRemoveLock(r1)
	// Close(r1)
	// UpstreamTakeLock(c1)
	// MakeData(c1)
	// List(r1,i1)
	// UpstreamOpenLock(r1)
	// UpstreamTakeLock(r1)
	// OpenDirectory(r1)
	// RemoveData(r1)
}

// A model that holds is explored whole, and compared with what TLC recorded.
func ExampleModel_Check() {
	text, err := os.ReadFile("../spec/manifest.json")
	if err != nil {
		panic(err)
	}
	recorded, err := model.ParseManifest(text)
	if err != nil {
		panic(err)
	}
	report, err := model.Find("GateOrphan").Check(context.Background(), model.Options{}, true)
	if err != nil {
		panic(err)
	}
	fmt.Println(report.Verdict, report.Distinct, "states")
	for _, row := range recorded {
		if row.Model == "GateOrphan" {
			fmt.Println(len(row.Differences(report)), "differences from TLC")
		}
	}
	// Output:
	// holds 3167 states
	// 0 differences from TLC
}
