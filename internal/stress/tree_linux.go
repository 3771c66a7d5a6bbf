package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// What makeTree makes: as many files as suit 40 layers, in sizes and depths like
// those of source code.
const (
	madeFiles       = 6000
	madeDirectories = 400
	madeSpace       = 45 << 20 // bytes on disk
)

// makeTree makes files below dir, the same ones each time, for those who have no
// tree: text files of a few kilobytes, some of them empty, read-only, executable
// or large, and links, in directories of all depths.
func makeTree(ctx context.Context, dir string) error {
	rng := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 200)
	for i := range words {
		word := make([]byte, 2+rng.IntN(9))
		for j := range word {
			word[j] = byte('a' + rng.IntN(26))
		}
		words[i] = string(word)
	}
	word := func() string { return words[rng.IntN(len(words))] }
	directories := []string{dir}
	for i := range madeDirectories {
		path := filepath.Join(directories[rng.IntN(len(directories))], fmt.Sprintf("%s%d", word(), i))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		directories = append(directories, path)
	}
	for i := range madeFiles {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(directories[rng.IntN(len(directories))], fmt.Sprintf("%s_%d.go", word(), i))
		if i%50 == 49 {
			if err := os.Symlink("../"+word(), path); err != nil {
				return err
			}
			continue
		}
		var text strings.Builder
		for size := int(800 * rng.ExpFloat64() * rng.ExpFloat64()); size > 0; size-- { // words
			text.WriteString(word())
			text.WriteByte(" \n\t"[min(rng.IntN(8), 2)])
		}
		mode := []os.FileMode{0o644, 0o644, 0o600, 0o444, 0o755}[i%5]
		if err := os.WriteFile(path, []byte(text.String()), mode); err != nil {
			return err
		}
	}
	return nil
}
