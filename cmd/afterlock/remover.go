package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/afterlock/afterlock/tempdir"
)

// A removed is what happened to one path.
type removed struct {
	Path    string `json:"path"`
	Outcome string `json:"outcome"` // "removed" or "failed"
	Error   string `json:"error,omitempty"`
	err     error
}

// A remover works through the paths of one rm.
type remover struct {
	root      string // of --root
	results   []removed
	leftovers []string // what an earlier rm left and this one could not remove either
}

// A batch is the victims of one directory: they share one instance.
type batch struct {
	parent string
	bases  []string
	paths  []string // as the user wrote them
}

func (r *remover) removeAll(ctx context.Context, paths []string) {
	var batches []*batch
	byParent := make(map[string]*batch)
	for _, path := range paths {
		trimmed := strings.TrimRight(path, "/")
		at := strings.LastIndexByte(trimmed, '/') + 1
		// Links in the parent are the user's; they are followed once, here, so
		// that two names of one directory are one batch.
		parent, err := filepath.EvalSymlinks(orDot(trimmed[:at]))
		if err == nil {
			parent, err = filepath.Abs(parent)
		}
		if err == nil {
			_, err = os.Lstat(filepath.Join(parent, trimmed[at:]))
		}
		if err != nil {
			if named := new(fs.PathError); !errors.As(err, &named) {
				err = fmt.Errorf("%s: %w", printable(path), err)
			}
			r.done(path, err)
			continue
		}
		b := byParent[parent]
		if b == nil {
			b = &batch{parent: parent}
			byParent[parent] = b
			batches = append(batches, b)
		}
		b.bases, b.paths = append(b.bases, trimmed[at:]), append(b.paths, path)
	}
	for _, b := range batches {
		r.remove(ctx, b)
	}
}

func orDot(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

func (r *remover) done(path string, err error) {
	result := removed{Path: path, Outcome: "removed", err: err}
	if err != nil {
		result.Outcome, result.Error = "failed", err.Error()
	}
	r.results = append(r.results, result)
}

// remove stages the victims of one directory and deletes them.
func (r *remover) remove(ctx context.Context, b *batch) {
	if ctx.Err() != nil {
		for _, path := range b.paths {
			r.done(path, fmt.Errorf("%s is not touched: interrupted", printable(path)))
		}
		return
	}
	root, dir, err := r.create(ctx, b.parent)
	if err != nil {
		for _, path := range b.paths {
			r.done(path, err)
		}
		return
	}
	var staged []string
	for i, base := range b.bases {
		if err := stage(dir, b.parent, base); err != nil {
			r.done(b.paths[i], err)
		} else {
			staged = append(staged, b.paths[i])
		}
	}
	err = dir.Close(ctx)
	root.Close()
	if r.root == "" {
		removeEmpty(root.Path())
	}
	for _, path := range staged {
		if err != nil {
			r.done(path, fmt.Errorf("%s is moved aside, and not all of it is deleted: %w", printable(path), err))
		} else {
			r.done(path, nil)
		}
	}
	if len(staged) == 0 && err != nil {
		r.leftovers = append(r.leftovers, err.Error())
	}
}

// stage moves one victim into the instance. The kernel lets nobody but the
// superuser move a directory that is not writable, such as those of the Go
// module cache, to another parent; its owner may make it writable.
func stage(dir *tempdir.Dir, parent, base string) error {
	victim := filepath.Join(parent, base)
	err := dir.StageDeletion(victim)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	info, statErr := os.Lstat(victim)
	if statErr != nil || !info.IsDir() || info.Mode()&0o200 != 0 {
		return err
	}
	// Through the parent, so that no link leads the change of mode elsewhere.
	root, openErr := os.OpenRoot(parent)
	if openErr != nil {
		return err
	}
	defer root.Close()
	if root.Chmod(base, info.Mode().Perm()|0o700) != nil {
		return err
	}
	if err := dir.StageDeletion(victim); err != nil {
		return errors.Join(err, root.Chmod(base, info.Mode().Perm()))
	}
	return nil
}

// createAttempts bounds how often another rm may remove the empty root in the
// moment between its opening and the making of an instance.
const createAttempts = 1000

// create opens the root for the victims of parent, finishes what an earlier rm
// left there, and makes an instance.
func (r *remover) create(ctx context.Context, parent string) (*tempdir.Root, *tempdir.Dir, error) {
	path, options := r.root, []tempdir.Option{tempdir.Purpose("afterlock rm")}
	if path == "" {
		path = filepath.Join(parent, rmRoot)
		options = append(options, tempdir.Make(0o700))
	}
	var err error
	for range createAttempts {
		var root *tempdir.Root
		if root, err = tempdir.Open(path, options...); err == nil {
			var dir *tempdir.Dir
			if dir, err = r.createIn(ctx, root, parent); err == nil {
				return root, dir, nil
			}
			root.Close()
		}
		gone := errors.Is(err, tempdir.ErrRootGone) || errors.Is(err, fs.ErrNotExist)
		if r.root != "" || !gone || ctx.Err() != nil {
			break
		}
	}
	if r.root == "" {
		removeEmpty(path)
	}
	return nil, nil, err
}

func (r *remover) createIn(ctx context.Context, root *tempdir.Root, parent string) (*tempdir.Dir, error) {
	if r.root == "" {
		if err := trusted(root.Path(), parent); err != nil {
			return nil, err
		}
	}
	report, err := root.Recover(ctx)
	if errors.Is(err, tempdir.ErrRootGone) {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, result := range report.Results {
		if result.Err != nil {
			r.leftovers = append(r.leftovers, result.Err.Error())
		}
	}
	return root.Create()
}
