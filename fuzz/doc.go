// Package fuzz has the fuzz targets of the project and what they are made of.
//
// [FuzzProgram] is the largest: bytes are a program of several processes with a
// schedule, kills, failing calls, power losses in one another and a durability
// model. It runs on the simulated disk; every call is a step of the model, every
// change of a name is made by who may make it, and whatever is left is whole, and
// gone after one recovery. The text of a program is a schedule of kind crash, as
// "afterlock replay" reads it.
//
// Go's fuzzer sees which blocks of code an input runs, and not which states of the
// model it meets. So each class of states and actions of the model has a block of
// its own, see [model.Class] and [Coverage].
package fuzz
