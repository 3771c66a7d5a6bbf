// Package linearizability judges histories of a layer store with Porcupine.
//
// A [History] is what clients of one store did: invocations and responses in
// the order of tickets, and the kills of processes. The clients are goroutines
// and forked processes; the ticket is a counter that they share, drawn before the
// invocation and after the response, so that no clock decides about an order.
// [Run] produces histories, [Parse] reads them from a file, [Judge] says [OK],
// [Illegal] or [Undecided], and draws a picture.
//
// Most is found with layers of two files, many histories, and processes with two
// clients. Config.Files makes them large, with one client in a process: kills then
// also meet the middle of a removal, and it is seen whether anything is removed while
// the store lock is held.
//
// # Operations
//
//	create a      makes layer a; the content names the tree, a name used once;
//	              perhaps on a parent, perhaps in the image store
//	delete a b    deletes layers, all of them or none; if none is mounted, and none
//	              has a child that stays
//	mount a       counts a mount of a
//	unmount a     counts one less
//	list          all layers
//	exists a      whether there is a layer a
//	read a        all files of a and of its parents: they are those of whole trees,
//	              or the layer is torn
//	look a        what is on disk of a, whatever the store says: names of trees,
//	              and, in the layout overlay, a link
//	recover       finishes what dead processes left: all, unless somebody is at it
//
// # Outcomes
//
// A definite failure has no effect; if it ran out of space, descriptors or
// memory ([Exhausted]), [Run] says that the environment failed. An indefinite one
// may have taken effect, or takes it later: it is pending until the end. An
// operation that a kill cut off took effect before the kill was seen, or never: a
// dead process makes no system call. What others finish for it afterwards, such as the removal of a flagged
// layer, is nothing that the store shows: flagged is absent (package layerstore,
// "Order of steps"). On disk it shows, and look sees it: from a deletion's effect
// until somebody removed it, a tree may be there or not; after a deletion that
// reported success, and after a recovery that reported that nothing was left, it
// must be gone.
//
// # The model
//
// Every tree is an item of spec/TempDir.tla, and its state changes by
// [model.ItemStep] alone. The package adds who has staged a tree, how often a live
// one is mounted, that two live trees cannot have one layer, and that a layer lives
// as long as its children.
//
// A history is judged layer by layer, which is where linearizability composes.
// An operation on several layers is one operation for each of them, with the same
// invocation and response: if the history is linearizable, every projection is,
// so an illegal projection is a true finding. What projections cannot show is
// that it happens to all layers at once, and what a layer is to another one. So a
// history with such operations, or with parents, is judged once more as a whole,
// without looks: there, list is a snapshot of all layers, a deletion of two takes
// both at one point, and parents are there.
//
// A removal is apart from the effect of its operation, with the same invocation
// and response; the model lets it come only later.
//
// # Cores
//
// An illegal history is reduced to a few operations that are illegal by themselves,
// in a way that finds no other fault than that of the history (core.go). The
// judgement names them, and the picture shows them and nothing else.
//
// # What is not checked
//
// Power loss, the kernel's own mounts and labels. What a look sees of a layer with
// children in the layout vfs, because they have copies of its files. An id may be
// busy for a while after a process was killed, if anybody else is at work or opens the
// store: until a recovery that is alone leaves nothing.
package linearizability
