// Package subjects runs the checks of this repository on other people's stores:
// the released containers/storage, as it is, and copies of it that are changed.
//
// # Where a subject comes from
//
// A release is a module of the Go module proxy, or of the module cache. [Open]
// looks it up, and [Workshop.Copy] copies its files into a scratch directory, once
// for each variant. What is built there needs no cgo and no library of the machine.
// Nothing of it is ever part of this repository: a variant is the release and a list
// of edits, each of which puts text of ours in a place that is found by the names of
// functions, and says so if another release does not have the place.
//
// # What is run
//
// Of each variant: the containers-storage command, and a driver of ours that uses
// the public interface of the store. The driver's source is the module
// containers-storage below this directory, so that nothing of what the store
// requires leaks into this module.
package subjects
