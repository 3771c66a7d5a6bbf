package linearizability

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// treeFiles is how many files a small tree has: more than one, so that it can be
// torn. A large one has more, in directories and of many sizes and modes; and a
// link to a file that stays, so that a removal that followed it would show, and the
// longest name that there can be.
const treeFiles = 2

// fileOf is the path of a file of a tree. Every element has the tree's name in its own.
func fileOf(tree string, i int) string {
	name := fmt.Sprintf("%s-%d", tree, i)
	if i < treeFiles {
		return name
	}
	return path.Join(fmt.Sprintf("%s-dir%d", tree, i%7), fmt.Sprintf("%s-dir%d", tree, i%3), name)
}

// textOf is what is in it: its tree's name, of a few the size of source code.
func textOf(tree string, i int) string {
	if i < treeFiles {
		return tree
	}
	return strings.Repeat(tree+"\n", i*i%500)
}

// longOf is the long name in a large tree, and linkOf the link.
func longOf(tree string) string { return tree + "-" + strings.Repeat("n", 255-len(tree)-1) }
func linkOf(tree string) string { return tree + "-link" }

// content is the archive of a tree of so many files. The link of a large one leads
// to target.
func content(tree string, files int, target string) *bytes.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	made := map[string]bool{".": true}
	add := func(h tar.Header, text string) {
		for _, dir := range []string{path.Dir(path.Dir(h.Name)), path.Dir(h.Name)} {
			if !made[dir] {
				made[dir] = true
				_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755})
			}
		}
		h.Size = int64(len(text))
		_ = w.WriteHeader(&h)
		_, _ = w.Write([]byte(text)) // to memory
	}
	for i := range files {
		add(tar.Header{Name: fileOf(tree, i), Mode: []int64{0o644, 0o644, 0o600, 0o444, 0o755}[i%5]}, textOf(tree, i))
	}
	if files > treeFiles {
		add(tar.Header{Name: longOf(tree), Mode: 0o444}, "")
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: linkOf(tree), Linkname: target, Mode: 0o777}, "")
	}
	_ = w.Close()
	return bytes.NewReader(b.Bytes())
}

// treesIn returns the trees of so many files that the files are, each with all of
// its files, in the order of names.
func treesIn(all fs.FS, files int) (trees []string, err error) {
	found := map[string]int{} // files, by tree
	err = fs.WalkDir(all, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		tree, ok := treeOf(entry.Name())
		if !ok {
			return fmt.Errorf("%w: there is %s", errTorn, path)
		}
		if !slices.Contains(trees, tree) {
			trees = append(trees, tree)
		}
		if !entry.IsDir() {
			found[tree]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, tree := range trees {
		expected := files
		if files > treeFiles {
			expected += 2 // the link, and the long name
		}
		if found[tree] != expected {
			return nil, fmt.Errorf("%w: %d of %d files of %s", errTorn, found[tree], expected, tree)
		}
		for i := range files {
			text, err := fs.ReadFile(all, fileOf(tree, i))
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errTorn, err)
			}
			if string(text) != textOf(tree, i) {
				return nil, fmt.Errorf("%w: %s contains %.40q", errTorn, fileOf(tree, i), text)
			}
		}
	}
	return trees, nil
}

// treeOf returns the tree that a file or directory belongs to: its name up to the
// last dash.
func treeOf(file string) (tree string, ok bool) {
	end := strings.LastIndexByte(file, '-')
	if end < 0 || strings.Count(file[:end], ".") != 3 {
		return "", false
	}
	return file[:end], true
}
