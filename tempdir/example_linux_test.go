package tempdir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/afterlock/afterlock/tempdir"
)

// A store deletes a layer: one rename under its lock, the rest after it.
func Example() {
	store, remove := exampleStore()
	defer remove()
	var lock sync.Mutex // the store's, between processes in earnest
	ctx := context.Background()

	root, err := tempdir.Open(filepath.Join(store, "tempdirs"), tempdir.Make(0o700))
	if err != nil {
		panic(err)
	}
	defer root.Close()
	dir, err := root.Create()
	if err != nil {
		panic(err)
	}
	layer := filepath.Join(store, "layer")

	lock.Lock()
	err = dir.StageDeletion(layer)
	lock.Unlock()
	_, gone := os.Lstat(layer)
	fmt.Println("staged:", err, os.IsNotExist(gone))

	fmt.Println("removed:", dir.Close(ctx))
	// Output:
	// staged: <nil> true
	// removed: <nil>
}

// A layer is built aside, without the lock, and put in place as a whole.
func ExampleAddition() {
	store, remove := exampleStore()
	defer remove()
	root, err := tempdir.Open(filepath.Join(store, "tempdirs"), tempdir.Make(0o700))
	if err != nil {
		panic(err)
	}
	defer root.Close()
	dir, err := root.Create()
	if err != nil {
		panic(err)
	}
	defer dir.Close(context.Background())

	addition, err := dir.StageAddition()
	if err != nil {
		panic(err)
	}
	if err := os.Mkdir(addition.Path(), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(addition.Path(), "motd"), []byte("hello"), 0o644); err != nil {
		panic(err)
	}
	fmt.Println(addition.Commit(filepath.Join(store, "new")))
	text, err := os.ReadFile(filepath.Join(store, "new", "motd"))
	fmt.Println(string(text), err)
	// Output:
	// <nil>
	// hello <nil>
}

// Any process finishes what a dead one has left: here an instance whose lock
// nobody holds. What is not an instance stays.
func ExampleRoot_Recover() {
	store, remove := exampleStore()
	defer remove()
	path := filepath.Join(store, "tempdirs")
	const id = "0123456789abcdef0123456789abcdef"
	for _, err := range []error{
		os.MkdirAll(filepath.Join(path, "temp-dir-"+id, "0-layer"), 0o700),
		os.WriteFile(filepath.Join(path, "lock-"+id), nil, 0o600),
		os.WriteFile(filepath.Join(path, "notes"), nil, 0o600),
	} {
		if err != nil {
			panic(err)
		}
	}

	root, err := tempdir.Open(path)
	if err != nil {
		panic(err)
	}
	defer root.Close()
	report, err := root.Recover(context.Background())
	for _, result := range report.Results {
		fmt.Println(result.ID, result.Outcome)
	}
	fmt.Println(report.Foreign, err)
	// Output:
	// 0123456789abcdef0123456789abcdef recovered
	// [notes] <nil>
}

// exampleStore makes a directory with one layer in it.
func exampleStore() (path string, remove func()) {
	path, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "layer", "usr", "bin"), 0o755); err != nil {
		panic(err)
	}
	return path, func() { os.RemoveAll(path) }
}
