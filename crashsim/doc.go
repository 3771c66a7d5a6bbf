// Package crashsim crashes the library at every step and looks at what is left.
//
// The simulated layer ([Run]) runs the library on a file system in memory,
// package disk. It enumerates and never draws:
//
//   - every interleaving of two or three processes, call by call, with a kill of
//     a process at every call;
//   - at every point of every interleaving, power loss with every set of changes
//     that may be lost together under the durability model;
//   - recovery of every tree that is left, by the library and then by a small
//     store, and power loss at every point of that in turn.
//
// Package internal/bench/world says everything that is wrong with a tree.
//
// # What is counted
//
// A crash point is a sequence of changes of names, made by any number of
// processes, that was cut off after its last one; equal sequences count once. A
// state is a crash point with one set of changes that survive. A set is counted
// where its last change was made, and not again at the later crash points that
// can leave the same set. A tree is what a state leaves; equal trees count once
// for each durability model, and two trees are equal, too, that differ only in
// which of several victims of equal content is which.
//
// Two sequences that are searched apart can leave one tree; then the states
// count and the tree does not count again. A process kill is power loss that
// loses nothing, and is among the states.
package crashsim
