package linearizability

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A client makes operations on a real store.
type client struct {
	store  *layerstore.Store
	dir    string // of the store
	layout string
}

// treeFiles is how many files a tree has: more than one, so that it can be torn.
const treeFiles = 2

// content is the archive of a tree: files that have its name in theirs.
func content(tree string) *bytes.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range treeFiles {
		_ = w.WriteHeader(&tar.Header{Name: fileOf(tree, i), Mode: 0o644, Size: int64(len(tree))})
		_, _ = w.Write([]byte(tree)) // to memory
	}
	_ = w.Close()
	return bytes.NewReader(b.Bytes())
}

func fileOf(tree string, i int) string { return fmt.Sprintf("%s-%d", tree, i) }

// do makes one operation and says how it ended.
func (c *client) do(ctx context.Context, op *Operation) (Result, string) {
	var result Result
	var err error
	switch op.Kind {
	case Create:
		_, err = c.store.Create(ctx, layerstore.Layer{ID: op.Layers[0]}, layerstore.Tar(content(op.Tree)))
		result.Outcome = createOutcome(err)
	case Delete:
		_, err = c.store.Delete(ctx, op.Layers...)
		result = deleteResult(err)
	case List:
		var layers []layerstore.Layer
		layers, err = c.store.List(ctx)
		for _, layer := range layers {
			result.Layers = append(result.Layers, layer.ID)
		}
	case Exists:
		result.Yes, err = c.store.Exists(ctx, op.Layers[0])
	case Read:
		result, err = c.read(ctx, op.Layers[0])
	case Look:
		result.Trees, result.Yes, err = look(c.dir, c.layout, op.Layers[0])
	case Recover:
		var report layerstore.Report
		report, err = c.store.Recover(ctx)
		result.Yes = nothingLeft(report)
	}
	switch {
	case err == nil:
		result.Outcome = Done
		return result, ""
	case result.Outcome == "":
		result = Result{Outcome: Failed}
	}
	return result, err.Error()
}

func createOutcome(err error) Outcome {
	_, alone := err.(*layerstore.Error) // joined with another, what was built is not gone
	switch {
	case layerstore.EffectOf(err) != layerstore.NoEffect:
		return Indefinite
	case alone && errors.Is(err, layerstore.ErrLayerExists):
		return AlreadyExists
	case alone && errors.Is(err, layerstore.ErrBusy):
		return Busy
	}
	return Failed
}

func deleteResult(err error) Result {
	var failure *layerstore.Error
	switch layerstore.EffectOf(err) {
	case layerstore.TookEffect:
		return Result{Outcome: Leftover}
	case layerstore.MayHaveEffect:
		return Result{Outcome: Indefinite}
	}
	if errors.As(err, &failure) && errors.Is(err, layerstore.ErrLayerUnknown) {
		return Result{Outcome: Unknown, Layers: []string{failure.Layer}}
	}
	return Result{Outcome: Failed}
}

// errTorn is a layer that has not all the files of one tree.
var errTorn = errors.New("torn")

func (c *client) read(ctx context.Context, layer string) (Result, error) {
	tree := ""
	err := c.store.Read(ctx, layer, func(files fs.FS) (err error) {
		tree, err = treeIn(files)
		return err
	})
	switch {
	case err == nil:
		return Result{Trees: []string{tree}}, nil
	case errors.Is(err, layerstore.ErrLayerUnknown):
		return Result{Outcome: Unknown}, err
	case errors.Is(err, errTorn), errors.Is(err, layerstore.ErrDamaged), errors.Is(err, fs.ErrNotExist):
		return Result{Outcome: Torn}, err
	}
	return Result{}, err
}

// treeIn returns the tree that the files are, all of them.
func treeIn(files fs.FS) (string, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return "", err
	}
	if len(entries) != treeFiles {
		return "", fmt.Errorf("%w: %d of %d files", errTorn, len(entries), treeFiles)
	}
	tree, ok := treeOf(entries[0].Name())
	for i := range treeFiles {
		text, err := fs.ReadFile(files, fileOf(tree, i))
		if err != nil {
			return "", fmt.Errorf("%w: %w", errTorn, err)
		}
		if !ok || string(text) != tree {
			return "", fmt.Errorf("%w: %s contains %q", errTorn, fileOf(tree, i), text)
		}
	}
	return tree, nil
}

// nothingLeft reports whether recovery met no instance that it had to leave. It
// does not ask what else the store says is left: if there is anything, look sees it.
func nothingLeft(report layerstore.Report) bool {
	for _, root := range report.Roots {
		if root.Count(tempdir.Skipped)+root.Count(tempdir.Young)+root.Count(tempdir.Failed) > 0 {
			return false
		}
	}
	return len(report.Roots) > 0
}
