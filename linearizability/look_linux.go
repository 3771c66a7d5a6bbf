package linearizability

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// look returns the trees of the layer of which a file is somewhere in the store or
// its image store, and how many links to the layer there are (layout overlay).
//
// It takes no lock, so it has to be argued what a tree that is not seen says. A
// tree moves from an instance to its place and from there to an instance, and is
// removed in an instance. The instances are listed, then the places, then the
// instances again. A tree that none of the three has was not yet made or was
// already gone at one moment: if it was in its place at the first listing and
// not there at the second, then it was moved aside between, and if it was not in
// an instance all through the third, it was removed. A link that is not seen was
// missing at one moment for the same reason: its place has at most one for a
// layer, and the next comes after the last was moved away. Two that one read of
// the directory shows were there at once.
func look(at site, layer string) (trees []string, links int, err error) {
	found := map[string]bool{}
	see := func(path string) {
		if err == nil {
			err = walk(path, func(name string) {
				if tree, ok := treeOf(name); ok && strings.HasPrefix(tree, layer+".") {
					found[tree] = true
				}
			})
		}
	}
	for _, path := range []string{"tempdirs", placeOf(at, layer), "tempdirs"} {
		for _, root := range at.roots() {
			see(filepath.Join(root, path))
		}
	}
	for tree := range found {
		trees = append(trees, tree)
	}
	slices.Sort(trees)
	for _, root := range at.roots() {
		if at.Layout == "overlay" && err == nil {
			var more int
			more, err = linksTo(filepath.Join(root, "overlay", "l"), layer)
			links += more
		}
	}
	return trees, links, err
}

// placeOf is where a layer is, below its root.
func placeOf(at site, layer string) string {
	if at.Layout == "overlay" {
		return filepath.Join("overlay", layer)
	}
	return filepath.Join("vfs", "dir", layer)
}

// walk calls see with the name of everything below path. What vanishes meanwhile
// is not there.
func walk(path string, see func(name string)) error {
	return filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			see(entry.Name())
		}
		return err
	})
}

func linksTo(path, layer string) (links int, err error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(path, entry.Name()))
		if err == nil && target == filepath.Join("..", layer, "diff") {
			links++
		}
	}
	return links, nil
}
