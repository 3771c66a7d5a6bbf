package model_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

var definition = regexp.MustCompile(`(?m)^([A-Z]\w*)(?:\(.*\))? +==`)

// The names of actions and properties exist on both sides: what Go has is a
// definition of the modules, and what TLC saw or was asked for is here.
func TestNamesExistOnBothSides(t *testing.T) {
	defined := map[string]bool{}
	paths, err := filepath.Glob("../spec/*.tla")
	require.NoError(t, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range definition.FindAllStringSubmatch(string(text), -1) {
			defined[m[1]] = true
		}
	}
	actions := map[string]map[string]bool{}
	for _, m := range model.Models() {
		actions[m.Name] = map[string]bool{}
		for _, a := range m.Actions() {
			actions[m.Name][a.Name] = true
			assert.True(t, defined[a.Name], "%s: the specification does not define %s", m.Name, a.Name)
			assert.True(t, defined[a.Slot], "%s: the specification does not define %s", m.Name, a.Slot)
		}
		for _, property := range m.Properties {
			assert.True(t, defined[property], "%s: the specification does not define %s", m.Name, property)
		}
	}
	seen := 0
	for _, row := range manifest(t) {
		for _, name := range row.Actions {
			seen++
			assert.True(t, actions[row.Model][name], "%s: Go does not have %s", row.Model, name)
		}
	}
	assert.Greater(t, seen, 1000, "actions of the manifest")
}

// An oracle that shares code with its subject shares its bugs.
func TestImports(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		files++
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, refused := range []string{`"os"`, `"os/`, `"time"`, `"syscall"`, `"unsafe"`, `"github.com/`, `"golang.org/`} {
			imports := strings.ReplaceAll(string(text), `"github.com/afterlock/afterlock/spec"`, "") // text, no code
			assert.NotContains(t, imports, "\t"+refused, path)
		}
	}
	assert.Greater(t, files, 30)
}
