// Package model is the specification as Go: the same states, actions and
// properties under the same names, and an explorer that needs no Java.
//
// Each module of spec/ is one or two files here, to be read side by side with
// it, in the same order, one function for each action:
//
//	Kernel.tla           kernel.go
//	Create.tla           create.go, pc.go
//	Remove.tla           remove.go
//	Recover.tla          recover.go
//	LockThenData.tla     lockthendata.go, invariants.go, protocol_live.go, refinement.go
//	Upstream.tla         upstream.go
//	MC.tla               protocol.go, symmetry.go
//	Peers.tla            peers.go
//	Mutants*.tla         mutants_owner.go, mutants_recover.go
//	Probes.tla           probes.go
//	TempDir.tla          tempdir.go
//	StoreState.tla       layerstore_state.go
//	StoreSteps.tla       layerstore.go
//	StoreInPlace.tla     layerstore_fails.go
//	LayerStore.tla       layerstore_fails.go, layerstore_invariants.go, layerstore_system.go
//	MCDrawn.tla          create.go
//	MCLayerStore.tla     layerstore_models.go
//	MCReports.tla        layerstore_models.go
//	Save.tla             layerstore_save.go
//	Readers.tla          layerstore_readers.go, layerstore_readers_system.go
//	PowerLoss.tla        powerloss.go, powerloss_steps.go, powerloss_system.go
//	*.cfg                no file: [Parse] reads them, in source.go
//
// The rest is the explorer: a [Model] is checked with [Model.Check], which
// searches the whole graph breadth first and counts states as TLC does, or
// refuted with [Model.Refute], which stops at a shortest counterexample. What
// it finds is compared with what TLC recorded in spec/manifest.json
// ([Recorded.Differences]): counts, depth, and a digest of every state and
// every labelled edge. So the two are equal as sets, and editing one of them
// alone fails a test.
//
// A [Graph] keeps all states and edges, for checks made from them: a shortest
// path to each, and for each action that is disabled in a state the first guard
// that is false.
//
// The package imports nothing but the standard library, of that no os and no
// time, and the texts of spec, which has no code: an oracle that shares code with
// its subject shares its bugs. In particular it does not import tempdir.
package model
