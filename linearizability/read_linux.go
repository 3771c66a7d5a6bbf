package linearizability

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// errTorn is a layer that has not all the files of one tree.
var errTorn = errors.New("torn")

func (c *client) read(ctx context.Context, layer string) (Result, error) {
	var trees []string
	err := c.store.Read(ctx, layer, func(files fs.FS) (err error) {
		if c.Layout == "overlay" {
			trees, err = c.stackOf(layer, files)
		} else {
			trees, err = treesIn(files, c.Files)
		}
		return err
	})
	own := slices.IndexFunc(trees, func(tree string) bool { return strings.HasPrefix(tree, layer+".") })
	switch {
	case err != nil:
	case own < 0:
		err = fmt.Errorf("%w: no tree of the layer itself", errTorn)
	default:
		trees = slices.Concat(trees[own:own+1], trees[:own], trees[own+1:])
	}
	switch {
	case err == nil:
		return Result{Trees: trees}, nil
	case errors.Is(err, layerstore.ErrLayerUnknown):
		return Result{Outcome: Unknown}, err
	case errors.Is(err, errTorn), errors.Is(err, layerstore.ErrDamaged), errors.Is(err, fs.ErrNotExist):
		return Result{Outcome: Torn}, err
	}
	return Result{}, err
}

// stackOf returns the trees that an overlay mount of the layer would show, from
// the top: the layer's own, and those of the links in its file lower. The caller
// has the store lock.
func (c *client) stackOf(layer string, files fs.FS) ([]string, error) {
	stack, err := treesIn(files, c.Files)
	if err != nil {
		return nil, err
	}
	lower := c.inSomeRoot(filepath.Join("overlay", layer, "lower"))
	if lower == "" {
		return stack, nil
	}
	text, err := os.ReadFile(lower)
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(string(text), ":") {
		path := c.inSomeRoot(filepath.Join("overlay", name))
		if path == "" {
			return nil, fmt.Errorf("%w: no link %s", errTorn, name)
		}
		trees, err := treesIn(os.DirFS(path), c.Files)
		if err != nil {
			return nil, err
		}
		stack = append(stack, trees...)
	}
	return stack, nil
}

// inSomeRoot returns where the path below a root is, or "".
func (c *client) inSomeRoot(path string) string {
	for _, root := range c.roots() {
		if _, err := os.Lstat(filepath.Join(root, path)); err == nil {
			return filepath.Join(root, path)
		}
	}
	return ""
}
