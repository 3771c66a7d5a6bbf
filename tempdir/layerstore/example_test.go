//go:build linux

package layerstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func Example() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	store, err := layerstore.Open(filepath.Join(dir, "store"), layerstore.Make(0o700), layerstore.WithDriver(layerstore.Overlay))
	if err != nil {
		panic(err)
	}
	defer store.Close()

	content := layerstore.Tar(archive(file("etc/motd", "hello")))
	if _, err := store.Create(ctx, layerstore.Layer{ID: "base"}, content); err != nil {
		panic(err)
	}
	if _, err := store.Create(ctx, layerstore.Layer{ID: "app", Parent: "base"}, layerstore.Empty()); err != nil {
		panic(err)
	}
	text, err := store.ReadFile(ctx, "base", "etc/motd")
	fmt.Println(string(text), err)

	_, err = store.Delete(ctx, "base")
	fmt.Println(err)
	deletion, err := store.Delete(ctx, "base", "app")
	fmt.Println(deletion.Layers, len(deletion.Instances), err)
	// Output:
	// hello <nil>
	// delete layer base: layer has children: layer app
	// [base app] 1 <nil>
}
