package linearizability

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A client makes operations on a real store.
type client struct {
	store *layerstore.Store
	site
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
		_, err = c.store.Create(ctx, layerstore.Layer{ID: op.Layers[0], Parent: op.Parent, Image: op.Image}, layerstore.Tar(content(op.Tree)))
		result.Outcome = createOutcome(err)
	case Delete:
		var deletion layerstore.Deletion
		deletion, err = c.store.Delete(ctx, op.Layers...)
		if result = deleteResult(err); err == nil {
			result.Yes = len(deletion.InPlace) > 0
		}
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
		links := 0
		result.Trees, links, err = look(c.site, op.Layers[0])
		result.Yes, result.Links = links > 0, links > 1
	case Recover:
		// Without this, a process that is being started by another goroutine could
		// still have our descriptors, and with them a lock whose holder is done.
		syscall.ForkLock.RLock()
		var report layerstore.Report
		report, err = c.store.Recover(ctx)
		syscall.ForkLock.RUnlock()
		result.Yes = nothingLeft(report)
	case Mount:
		_, err = c.store.Mount(ctx, op.Layers[0])
		result.Outcome = mountOutcome(err)
	case Unmount:
		err = c.store.Unmount(ctx, op.Layers[0])
		result.Outcome = mountOutcome(err)
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
	case alone && errors.Is(err, layerstore.ErrNoParent):
		return NoParent
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
	if errors.As(err, &failure) {
		for kind, outcome := range map[error]Outcome{
			layerstore.ErrLayerUnknown: Unknown, layerstore.ErrHasChildren: HasChildren, layerstore.ErrMounted: Mounted,
		} {
			if errors.Is(err, kind) {
				return Result{Outcome: outcome, Layers: []string{failure.Layer}}
			}
		}
	}
	return Result{Outcome: Failed}
}

func mountOutcome(err error) Outcome {
	switch {
	case layerstore.EffectOf(err) != layerstore.NoEffect:
		return Indefinite
	case errors.Is(err, layerstore.ErrLayerUnknown):
		return Unknown
	case errors.Is(err, layerstore.ErrNotMounted):
		return Unmounted
	}
	return Failed
}

// errTorn is a layer that has not all the files of one tree.
var errTorn = errors.New("torn")

func (c *client) read(ctx context.Context, layer string) (Result, error) {
	var trees []string
	err := c.store.Read(ctx, layer, func(files fs.FS) (err error) {
		if c.Layout == "overlay" {
			trees, err = c.stackOf(layer, files)
		} else {
			trees, err = treesIn(files)
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
	stack, err := treesIn(files)
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
		trees, err := treesIn(os.DirFS(path))
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

// treesIn returns the trees that the files are, each with all of its files.
func treesIn(files fs.FS) (trees []string, err error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		tree, ok := treeOf(entry.Name())
		if !ok {
			return nil, fmt.Errorf("%w: there is %s", errTorn, entry.Name())
		}
		if !slices.Contains(trees, tree) {
			trees = append(trees, tree)
		}
	}
	if len(trees)*treeFiles != len(entries) {
		return nil, fmt.Errorf("%w: %d files of %d trees", errTorn, len(entries), len(trees))
	}
	for _, tree := range trees {
		for i := range treeFiles {
			text, err := fs.ReadFile(files, fileOf(tree, i))
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errTorn, err)
			}
			if string(text) != tree {
				return nil, fmt.Errorf("%w: %s contains %q", errTorn, fileOf(tree, i), text)
			}
		}
	}
	return trees, nil
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
