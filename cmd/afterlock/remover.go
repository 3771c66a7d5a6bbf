package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/scratch"
	"github.com/afterlock/afterlock/tempdir"
)

// A removed is what happened to one path.
type removed struct {
	Path      string `json:"path"`
	PathBytes []byte `json:"path_bytes,omitempty"`
	Outcome   string `json:"outcome"`            // "removed", "missing" or "failed"
	InPlace   string `json:"in_place,omitempty"` // why it was not moved aside
	Error     string `json:"error,omitempty"`
	err       error
}

// A remover works through the paths of one rm.
type remover struct {
	root              string // of --root
	force, clearFlags bool
	effort            effort
	kernel            kernel.Kernel // of a test; else nil
	results           []removed     // in the order of the paths
	leftovers         []string      // what an earlier rm left and this one could not remove either
}

// A batch is the victims of one directory: they share one instance.
type batch struct {
	parent   string
	absolute bool // parent is absolute and without links, so that nothing that rm removes changes what it means
	victims  []victim
	byPath   map[string]int // where a victim is in victims
}

// A victim is a name in the directory of its batch.
type victim struct {
	path    string
	results []int // of the arguments that mean it
	inPlace error // why it could not be moved
	entry   int   // its number in the instance, if it could
}

func (r *remover) removeAll(ctx context.Context, paths []string) {
	var batches []*batch
	byParent := make(map[string]*batch)
	for i, path := range paths {
		r.results = append(r.results, removed{Path: path, PathBytes: bytesOf(path)})
		trimmed := strings.TrimRight(path, "/")
		at := strings.LastIndexByte(trimmed, '/') + 1
		parent, absolute := resolve(trimmed[:at])
		path := parent + trimmed[at:]
		if _, err := os.Lstat(path); missing(err) {
			r.missing(victim{path: path, results: []int{i}}, err)
			continue
		}
		b := byParent[parent]
		if b == nil {
			b = &batch{parent: parent, absolute: absolute, byPath: make(map[string]int)}
			byParent[parent] = b
			batches = append(batches, b)
		}
		b.add(path, i)
	}
	for _, b := range batches {
		r.remove(ctx, b)
	}
}

// maxPath is what the kernel takes for a path, with room for names below it.
const maxPath = 4096 - 600

// resolve follows the links of a directory, once, so that two names of it are one
// and its victims are found when the working directory is gone. Where it has no
// path of that kind that the kernel takes, it is what the user wrote. It ends in a
// slash, unless it is empty.
func resolve(dir string) (resolved string, absolute bool) {
	parent := dir
	if parent == "" {
		parent = "."
	}
	parent, err := filepath.EvalSymlinks(parent)
	if err == nil {
		parent, err = filepath.Abs(parent)
	}
	if err != nil || len(parent) > maxPath {
		return dir, false
	}
	return strings.TrimSuffix(parent, "/") + "/", true
}

func (b *batch) add(path string, result int) {
	at, seen := b.byPath[path]
	if !seen {
		at = len(b.victims)
		b.byPath[path] = at
		b.victims = append(b.victims, victim{path: path})
	}
	b.victims[at].results = append(b.victims[at].results, result)
}

// done notes what came of a victim.
func (r *remover) done(v victim, err error) {
	for _, i := range v.results {
		result := &r.results[i]
		if result.Outcome = "removed"; err != nil {
			result.Outcome, result.Error, result.err = "failed", errorText(err), err
		}
		if v.inPlace != nil {
			result.InPlace = errorText(v.inPlace)
		}
	}
}

// missing notes that a victim is not there, as a look at its name said.
func (r *remover) missing(v victim, err error) {
	if !r.force {
		r.done(v, err)
		return
	}
	for _, i := range v.results {
		r.results[i].Outcome = "missing"
	}
}

// remove stages the victims of one directory and deletes them; what cannot be
// staged it removes where it is.
func (r *remover) remove(ctx context.Context, b *batch) {
	if ctx.Err() != nil {
		for _, v := range b.victims {
			r.done(v, fmt.Errorf("%s is not touched: interrupted", printable(v.path)))
		}
		return
	}
	root, dir, why := r.create(ctx, b.parent)
	var staged, inPlace []victim
	for i, v := range b.victims {
		v.inPlace, v.entry = why, i
		if dir != nil {
			v.inPlace = dir.StageDeletion(v.path)
		}
		switch {
		case v.inPlace == nil:
			staged = append(staged, v)
		case errors.Is(v.inPlace, tempdir.ErrMountPoint):
			r.done(v, v.inPlace)
		default:
			inPlace = append(inPlace, v)
		}
	}
	var (
		own string
		err error
	)
	if dir != nil {
		own, err = dir.ID(), dir.Close(ctx)
	}
	for _, v := range inPlace {
		err := tempdir.Remove(ctx, v.path, r.options()...)
		if err != nil {
			_, now := os.Lstat(v.path)
			switch {
			case !missing(now):
			case b.absolute:
				// It was there, and it is gone: with a victim that it lay in, or by
				// somebody else.
				err, v.inPlace = nil, nil
			default:
				r.missing(v, now)
				continue
			}
		}
		r.done(v, err)
	}
	var left func(entry int) bool
	if root != nil {
		if r.finish(ctx, root, own) {
			err = nil
		}
		left = leftIn(filepath.Join(root.Path(), "temp-dir-"+own), len(b.victims))
		r.leave(root)
	}
	for _, v := range staged {
		if err != nil && (len(staged) < len(b.victims) || left(v.entry)) {
			r.done(v, fmt.Errorf("%s is moved aside, and not all of it is deleted: %w", printable(v.path), err))
		} else {
			r.done(v, r.removeShown(ctx, v.path))
		}
	}
	r.finishOld(ctx, b.parent)
}

// removeShown removes what shows under the path of a victim that is deleted: a
// union file system in user space, such as fuse-overlayfs, may show what is below
// a directory again once it was moved away. Elsewhere a thing of that name is
// somebody else's and new.
func (r *remover) removeShown(ctx context.Context, path string) error {
	if !inUserSpace(path) {
		return nil
	}
	err := tempdir.Remove(ctx, path, r.options()...)
	if errors.Is(err, tempdir.ErrVictimGone) {
		return nil
	}
	return err
}

// leftIn says which entries are left in a data directory, into which n victims were
// moved and nothing else. What cannot be told counts as left.
func leftIn(data string, n int) (left func(entry int) bool) {
	entries, err := os.ReadDir(data)
	numbers, unclear := make(map[int]bool), err != nil
	for _, entry := range entries {
		text, hint, _ := strings.Cut(entry.Name(), "-")
		number, err := strconv.Atoi(text)
		numbers[number] = true
		// What was hoisted can be of any entry.
		unclear = unclear || err != nil || number >= n || hint == "hoisted"
	}
	return func(entry int) bool { return unclear || numbers[entry] }
}

// createAttempts bounds how often another rm may remove the empty root in the
// moment between its opening and the making of an instance.
const createAttempts = 1000

// create opens the root for the victims of parent and makes an instance. Without
// an instance the error says why, and the root is returned if it can be recovered.
func (r *remover) create(ctx context.Context, parent string) (root *tempdir.Root, dir *tempdir.Dir, err error) {
	for range createAttempts {
		if root, err = r.open(parent); err != nil {
			return nil, nil, err
		}
		if dir, err = root.Create(); err == nil {
			return root, dir, nil
		}
		if r.root != "" || !errors.Is(err, tempdir.ErrRootGone) || ctx.Err() != nil {
			return root, nil, err
		}
		r.leave(root)
	}
	return nil, nil, err
}

// open opens the root of --root, or makes and opens that of the user in parent.
func (r *remover) open(parent string) (*tempdir.Root, error) {
	options := append(r.options(), tempdir.Purpose("afterlock rm"))
	if r.root != "" {
		return tempdir.Open(r.root, options...)
	}
	path := parent + ownRoot()
	made := false
	for range createAttempts {
		err := os.Mkdir(path, 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		made = made || err == nil
		root, err := tempdir.Open(path, options...)
		if err == nil {
			if err = ours(path); err == nil {
				return root, nil
			}
			root.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) { // else: removed by another rm, as it was empty
			if made {
				removeEmpty(path)
			}
			return nil, err
		}
	}
	if made {
		removeEmpty(path)
	}
	return nil, &fs.PathError{Op: "open root", Path: path, Err: fs.ErrNotExist}
}

func (r *remover) options() []tempdir.Option {
	return append(append(flagOptions(r.clearFlags), unordered(r.kernel)), r.effort.options...)
}

// leave closes the root, and removes it if rm made it and nothing is in it.
func (r *remover) leave(root *tempdir.Root) {
	root.Close()
	if r.root == "" {
		removeEmpty(root.Path())
	}
}

// finish removes what an earlier rm left in the root, and tries once more what this
// one left there, as the instance own; finished says that this is gone now.
func (r *remover) finish(ctx context.Context, root *tempdir.Root, own string) (finished bool) {
	report, err := root.Recover(ctx)
	if ctx.Err() != nil || errors.Is(err, tempdir.ErrRootGone) {
		return false
	}
	if err != nil && len(report.Results) == 0 {
		r.leftovers = append(r.leftovers, errorText(err))
	}
	for _, result := range report.Results {
		switch {
		case result.ID == own:
			finished = result.Outcome == tempdir.Recovered
		case result.Err != nil:
			r.leftovers = append(r.leftovers, errorText(result.Err))
		}
	}
	return finished
}

// oldRoot is the name of the root that earlier versions made.
const oldRoot = ".afterlock"

// finishOld finishes what an earlier version left in parent.
func (r *remover) finishOld(ctx context.Context, parent string) {
	path := parent + oldRoot
	if r.root != "" || ours(path) != nil {
		return
	}
	root, err := tempdir.Open(path, r.options()...)
	if err != nil {
		return
	}
	defer r.leave(root)
	r.finish(ctx, root, "")
}

// ownRoot is the name of the root that rm makes beside its victims. Every user has
// one of his own, so that nobody can stop the others in a directory that all may
// write, such as /tmp.
func ownRoot() string { return oldRoot + "-" + strconv.Itoa(os.Geteuid()) }

// ours refuses a root that is not a directory of this user: its owner could put
// what is staged there somewhere else.
func ours(root string) error {
	info, err := os.Lstat(root)
	if err == nil && !scratch.Mine(info) {
		err = fmt.Errorf("%s is not a directory of this user", printable(root))
	}
	return err
}

// removeEmpty removes the root that rm made, if it is empty: it fails if another
// rm works there or if something is left, and both is fine. It removes nothing
// but a directory, whatever has the name by now.
func removeEmpty(root string) { _ = syscall.Rmdir(root) }

// inUserSpace reports whether the path exists, in a directory that is on a file
// system in user space.
func inUserSpace(path string) bool {
	name, err := scratch.FileSystem(filepath.Dir(path))
	return err == nil && name == "fuse" && exists(path)
}
