package stress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/tempdir"
)

const (
	victimFiles   = 3  // in every victim of the race
	additionFiles = 30 // in every committed tree
	commitEvery   = 4  // one instance in so many has an addition, on average

	fileName = "file" // of the file whose names are made and removed
)

// createOnce is one turn of a creator: the whole life of one instance, with a
// look at its data after every step. Anything that is missing is a finding.
func (w *worker) createOnce(root *tempdir.Root) error {
	victim := filepath.Join(w.Work, "victim")
	if err := makeFiles(victim, filepath.Join(w.Work, fileName), victimFiles); err != nil {
		return err
	}
	dir, err := root.Create()
	if err != nil {
		return err
	}
	if err := dir.StageDeletion(victim); err != nil {
		return err
	}
	data := filepath.Join(w.Root, dataName(dir.ID()))
	if err := wholeEntry(data, "0-victim", victimFiles); err != nil {
		return err
	}
	committed := ""
	if w.rng.IntN(commitEvery) == 0 {
		committed = filepath.Join(w.Work, "committed")
		if err := w.commit(dir, data, committed); err != nil {
			return err
		}
	}
	if err := dir.Close(context.Background()); err != nil {
		return err
	}
	w.counts[countInstances]++
	if committed == "" {
		return nil
	}
	// Once more: somebody who took the instance for stale goes on removing by
	// descriptors after the commit has moved the tree away.
	if err := wholeCommit(committed); err != nil {
		return err
	}
	w.counts[countCommits]++
	return os.RemoveAll(committed)
}

// commit builds a tree in the instance and puts it in place.
func (w *worker) commit(dir *tempdir.Dir, data, destination string) error {
	addition, err := dir.StageAddition()
	if err != nil {
		return err
	}
	if err := makeFiles(addition.Path(), filepath.Join(w.Work, fileName), additionFiles); errors.Is(err, fs.ErrNotExist) {
		return lost("while an addition was built: %v", err)
	} else if err != nil {
		return err
	}
	if err := wholeEntry(data, filepath.Base(addition.Path()), additionFiles); err != nil {
		return err
	}
	if err := addition.Commit(destination); errors.Is(err, tempdir.ErrNothingStaged) {
		return lost("%v", err)
	} else if err != nil {
		return err
	}
	return wholeCommit(destination)
}

// wholeEntry looks whether an entry of a live instance has all its files.
func wholeEntry(data, entry string, files int) error {
	n, err := countFiles(filepath.Join(data, entry))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return lost("%v", err)
	case err != nil:
		return err
	case n != files:
		return lost("%s/%s has %d of %d files", data, entry, n, files)
	}
	return nil
}

// wholeCommit looks whether a committed tree has all its files.
func wholeCommit(path string) error {
	n, err := countFiles(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return partial("a committed tree is gone: %v", err)
	case err != nil:
		return err
	case n != additionFiles:
		return partial("a committed tree has %d of %d files", n, additionFiles)
	}
	return nil
}

// makeFiles makes the directory path with n names in it, all of one file: what
// the loop looks for are names that vanish, and new inodes would make it several
// times slower on some file systems.
func makeFiles(path, file string, n int) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	for i := range n {
		if err := os.Link(file, filepath.Join(path, "file-"+strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

func countFiles(path string) (int, error) {
	dir, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, fmt.Errorf("list %s: %w", path, err)
	}
	return len(names), nil
}

// The names on disk are written out here once more, instead of taken from the
// library: the check must not share a mistake with its subject.
const dataPrefix = "temp-dir-"

func dataName(id string) string   { return dataPrefix + id }
func isDataName(name string) bool { return strings.HasPrefix(name, dataPrefix) }
