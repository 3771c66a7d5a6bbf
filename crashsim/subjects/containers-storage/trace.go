package main

import (
	"fmt"

	"go.podman.io/storage"
)

func init() {
	commands["use"] = withStore(1, use)
	commands["touch"] = withStore(1, func(store storage.Store, words []string) (string, error) {
		return "", store.SetMetadata(words[0], "touched")
	})
}

// use is "use ID": the layer is mounted, and unmounted again.
func use(store storage.Store, words []string) (string, error) {
	path, err := store.Mount(words[0], "")
	if err != nil {
		return "", err
	}
	mounted, err := store.Unmount(words[0], false)
	return fmt.Sprint(path, " ", mounted), err
}
