package model_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

var (
	constantLine = regexp.MustCompile(`(?m)^  (\w+) *(?:=|<-) *(.*?) *$`)
	formulaLine  = regexp.MustCompile(`(?m)^SPECIFICATION (\w+)`)
	symmetryLine = regexp.MustCompile(`(?m)^SYMMETRY (\w+)`)
	purposeLine  = regexp.MustCompile(`(?m)^\\\* Purpose: (.*)$`)
)

// constants writes a configuration as a .cfg file does.
func constants(t *testing.T, m *model.Model) map[string]string {
	t.Helper()
	var config any
	switch {
	case m.Protocol != nil:
		config = *m.Protocol
	case m.What != nil:
		config = *m.What
	case m.Store != nil:
		config = *m.Store
	case m.Save != nil:
		config = *m.Save
	case m.Readers != nil:
		config = *m.Readers
	default:
		config = *m.Power
	}
	text := map[string]string{}
	v := reflect.ValueOf(config)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch value := v.Field(i).Interface().(type) {
		case []string:
			if name == "ID" {
				name = "Id"
			}
			if name == "Syncs" {
				for i := range value {
					value = slices.Clone(value)
					value[i] = `"` + value[i] + `"`
				}
			}
			text[name] = "{" + strings.Join(value, ", ") + "}"
		case map[string]string:
			maps.Copy(text, value)
		case string:
			text[name] = value
			if name == "LockKind" || name == "Durability" {
				text[name] = `"` + value + `"`
			}
		case bool:
			text[name] = strings.ToUpper(fmt.Sprint(value))
		default:
			text[name] = fmt.Sprint(value)
		}
	}
	if m.Power == nil && m.Save == nil {
		text["None"] = "None"
	}
	return text
}

// Every .cfg is a model here and the other way round, with the same constants,
// swapped definitions, formula, symmetry, properties and purpose.
func TestModelsAreTheConfigs(t *testing.T) {
	paths, err := filepath.Glob("../spec/*.cfg")
	require.NoError(t, err)
	var names, here []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".cfg"))
	}
	for _, m := range model.Models() {
		here = append(here, m.Name)
	}
	require.ElementsMatch(t, names, here)
	rows := manifest(t)
	for _, m := range model.Models() {
		raw, err := os.ReadFile("../spec/" + m.Name + ".cfg")
		require.NoError(t, err)
		text := string(raw)
		want := map[string]string{}
		for _, line := range constantLine.FindAllStringSubmatch(text, -1) {
			want[line[1]] = line[2]
		}
		assert.Equal(t, want, constants(t, m), m.Name)
		assert.Equal(t, formulaLine.FindStringSubmatch(text)[1], m.Formula, m.Name)
		symmetry := ""
		if line := symmetryLine.FindStringSubmatch(text); line != nil {
			symmetry = line[1]
		}
		assert.Equal(t, symmetry, m.Symmetry, m.Name)
		assert.Equal(t, purposeLine.FindStringSubmatch(text)[1], m.Purpose, m.Name)
		at := slices.IndexFunc(rows, func(r model.Recorded) bool { return r.Model == m.Name })
		if assert.GreaterOrEqual(t, at, 0, m.Name) {
			assert.Equal(t, rows[at].Properties, m.Properties, m.Name)
			assert.Equal(t, rows[at].Kind, m.Kind, m.Name)
			assert.Equal(t, rows[at].Verdict == model.Refuted, m.MustFail(), m.Name)
			assert.Len(t, m.Swap(), len(rows[at].Replaced)/2, m.Name)
		}
	}
}

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
			assert.NotContains(t, string(text), "\t"+refused, path)
		}
	}
	assert.Greater(t, files, 30)
}
