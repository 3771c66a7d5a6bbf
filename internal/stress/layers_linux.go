package stress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

const (
	layerCount = 40 // layers laid out at the start
	keepEvery  = 4  // one in so many is never a victim

	// maxTreeFiles and maxTreeBytes bound what is taken of a tree; what comes
	// after that, in the order of the walk, is left out.
	maxTreeFiles = 50_000
	maxTreeBytes = 2 << 30
)

// A layer is one directory of the store.
type layer struct {
	Hash string `json:"hash"` // see hashTree
	Keep bool   `json:"keep"` // never a victim
}

// layOut makes layers of the files and links below tree, at the paths of
// walkTree: neighbours in the walk go to one layer. It returns the layers by name,
// and the number of files. What is neither a file nor a link is left out.
//
// Every layer also gets a link to a layer that is never a victim, so that a
// removal that followed it would show, and a file with a name of 255 bytes.
func layOut(ctx context.Context, tree string, paths []string, layers string) (map[string]layer, int64, error) {
	if len(paths) < layerCount {
		return nil, 0, fmt.Errorf("%s has %d files, and %d layers need one each", tree, len(paths), layerCount)
	}
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		laidOut = make(map[string]layer, layerCount)
		failed  error
	)
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, own := range share(paths) {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			err := ctx.Err()
			hash := ""
			if err == nil {
				hash, err = layOutOne(tree, own, layers, layerName(i))
			}
			mu.Lock()
			defer mu.Unlock()
			laidOut[layerName(i)] = layer{Hash: hash, Keep: i%keepEvery == 0}
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	return laidOut, int64(len(paths) + 2*layerCount), failed
}

// share cuts the paths into layers of four sizes, 1 to 8 to each other. The
// smallest are those that are never victims: they are what additions copy.
func share(paths []string) [][]string {
	total := 0
	for i := range layerCount {
		total += weight(i)
	}
	var shares [][]string
	at := 0
	for i := range layerCount {
		n := max(1, (len(paths)-layerCount)*weight(i)/total)
		if i == layerCount-1 {
			n = len(paths) - at
		}
		shares = append(shares, paths[at:at+n])
		at += n
	}
	return shares
}

func weight(i int) int { return 1 << (i % keepEvery) }

// layOutOne copies the files at the paths below tree to one layer and returns
// its hash.
func layOutOne(tree string, paths []string, layers, name string) (hash string, err error) {
	at := filepath.Join(layers, name)
	for _, path := range paths {
		to := filepath.Join(at, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := copyFile(filepath.Join(tree, path), to); err != nil {
			return "", err
		}
	}
	if err := os.Symlink(filepath.Join(layers, layerName(0)), filepath.Join(at, "link to a layer that stays")); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(at, strings.Repeat("n", 255)), nil, 0o444); err != nil {
		return "", err
	}
	return hashTree(at)
}

func layerName(i int) string { return fmt.Sprintf("layer-%02d", i) }

// walkTree returns the paths of files and links below tree, relative to it, in
// the order of the walk, and the disk space that a copy of them takes.
func walkTree(ctx context.Context, tree string) (paths []string, space int64, err error) {
	if tree, err = filepath.EvalSymlinks(tree); err != nil { // WalkDir does not follow a link, not even the first
		return nil, 0, err
	}
	const block = 4096
	size := int64(0)
	err = filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !entry.Type().IsRegular() && entry.Type() != fs.ModeSymlink:
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		if len(paths) == maxTreeFiles || size > maxTreeBytes {
			return fs.SkipAll
		}
		relative, err := filepath.Rel(tree, path)
		paths, space = append(paths, relative), space+(info.Size()/block+1)*block
		return err
	})
	return paths, space, err
}

// copyTree copies directories, files and links, with their permissions.
func copyTree(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return copyFile(from, to)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := copyTree(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return os.Chmod(to, info.Mode().Perm())
}

// copyFile copies a file or a link.
func copyFile(from, to string) error {
	if target, err := os.Readlink(from); err == nil {
		return os.Symlink(target, to)
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	destination, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(destination, source)
	return errors.Join(err, destination.Chmod(info.Mode().Perm()), destination.Close())
}

// hashTree returns a hash of everything below path: names, types, permissions,
// sizes, targets of links and contents.
func hashTree(path string) (string, error) {
	hash := sha256.New()
	err := filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(path, at)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, size := "", int64(0)
		switch {
		case info.Mode().IsRegular():
			size = info.Size()
		case info.Mode().Type() == fs.ModeSymlink:
			if content, err = os.Readlink(at); err != nil {
				return err
			}
		}
		// Quoted, so that no two trees write the same text.
		fmt.Fprintf(hash, "%q %v %d %q\n", name, info.Mode(), size, content)
		if !info.Mode().IsRegular() {
			return nil
		}
		file, err := os.Open(at)
		if err != nil {
			return err
		}
		defer file.Close()
		n, err := io.Copy(hash, file)
		if err == nil && n != size {
			err = fmt.Errorf("%s: %d bytes read of %d", at, n, size)
		}
		return err
	})
	return hex.EncodeToString(hash.Sum(nil)), err
}
