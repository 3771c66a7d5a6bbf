package gate

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the documents say is checked has to be there.
func TestDocumentsNameTestsAndFilesThatExist(t *testing.T) {
	root := filepath.Join("..", "..")
	functions := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`)
	require.NoError(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range declared.FindAllStringSubmatch(string(text), -1) {
			functions[match[1]] = true
		}
		return err
	}))
	named := regexp.MustCompile("`((?:Test|Benchmark|Fuzz)[A-Z]\\w+)`")
	linked := regexp.MustCompile(`\]\(([^)#:]+)[^)]*\)`)
	for document, least := range map[string]int{"README.md": 0, "docs/field.md": 50, "docs/verification.md": 30, "spec/README.md": 1} {
		path := filepath.Join(root, document)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		names := named.FindAllStringSubmatch(string(text), -1)
		assert.GreaterOrEqual(t, len(names), least, document)
		for _, match := range names {
			assert.True(t, functions[match[1]], "%s: %s", document, match[1])
		}
		links := linked.FindAllStringSubmatch(string(text), -1)
		assert.NotEmpty(t, links, document)
		for _, match := range links {
			if strings.HasPrefix(match[0], "](https:") {
				continue
			}
			assert.FileExists(t, filepath.Join(filepath.Dir(path), match[1]), document)
		}
	}
}
