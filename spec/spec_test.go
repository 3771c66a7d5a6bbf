package spec_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/spec/internal/manifest"
)

const howToRecord = "run scripts/tlc --record on the model"

func load(t *testing.T) []manifest.Row {
	t.Helper()
	rows, err := manifest.Load(".")
	require.NoError(t, err)
	return rows
}

func TestManifestIsCompleteBothWays(t *testing.T) {
	configs, err := manifest.Configs(".")
	require.NoError(t, err)
	recorded := map[string]int{}
	for _, row := range load(t) {
		recorded[row.Config]++
	}
	for _, config := range configs {
		if recorded[config] != 1 {
			t.Errorf("%s has %d rows; run scripts/tlc --record %s", config, recorded[config], strings.TrimSuffix(config, ".cfg"))
		}
		delete(recorded, config)
	}
	assert.Empty(t, recorded, "rows without a .cfg")
}

func TestManifestIsWhatTheConfigsAsk(t *testing.T) {
	for _, row := range load(t) {
		asked, err := manifest.Read(".", row.Config)
		if !assert.NoError(t, err) {
			continue
		}
		assert.Equal(t, asked.Module, row.Module, row.Model)
		assert.Equal(t, asked.Kind, row.Kind, row.Model)
		assert.Equal(t, asked.Purpose, row.Purpose, row.Model)
		assert.Equal(t, asked.Verdict, row.Verdict, row.Model)
		assert.Equal(t, asked.Property, row.Property, row.Model)
		assert.Equal(t, asked.Properties, row.Properties, row.Model)
		assert.Equal(t, asked.Replaced, row.Replaced, row.Model)
		assert.Equal(t, row.Verdict == manifest.Refuted, row.Kind == "mustfail" || row.Kind == "probe", row.Model)
		assert.Equal(t, row.Verdict == manifest.Holds, row.Exit == 0, row.Model)
		assert.Equal(t, row.Verdict == manifest.Refuted, row.Length > 0, row.Model)
		if row.Kind != "probe" { // afterlock model --trace shows how one is refuted
			assert.Len(t, row.Steps, row.Length, row.Model)
		}
		assert.Positive(t, row.Distinct, row.Model)
		if row.Digest == nil {
			assert.NotEmpty(t, row.NoDigest, row.Model+": a digest, or a reason why not")
			continue
		}
		// One initial state, and no step is generated twice: see Kernel.tla.
		assert.Equal(t, row.Digest.Count+1, row.Generated, row.Model)
	}
}

func TestRecordedFilesAreUnchanged(t *testing.T) {
	changed := map[string][]string{} // by file: the models that TLC checked before
	sources := manifest.NewSources(".")
	for _, row := range load(t) {
		now, err := sources.Hashes(row)
		require.NoError(t, err)
		for file, sum := range now {
			if row.Files[file] != sum {
				changed[file] = append(changed[file], row.Model)
			}
		}
		assert.Len(t, row.Files, len(now), row.Model+": other modules than TLC checked; "+howToRecord)
	}
	for file, models := range changed {
		t.Errorf("%s has changed since TLC checked it; run scripts/tlc --record %s", file, strings.Join(models, " "))
	}
}

func TestCounterexamplesAreTheRecordedOnes(t *testing.T) {
	text, err := os.ReadFile("COUNTEREXAMPLES.md")
	require.NoError(t, err)
	assert.Equal(t, manifest.Counterexamples(load(t)), string(text), "generated: "+howToRecord)
}

var lengthInText = regexp.MustCompile("\\[`(\\w+)`\\]\\(COUNTEREXAMPLES\\.md#(\\w+)\\), (\\d+) states?")

func TestReadmeGivesTheRecordedLengths(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	rows := map[string]manifest.Row{}
	for _, row := range load(t) {
		rows[row.Model] = row
	}
	links := lengthInText.FindAllStringSubmatch(string(text), -1)
	assert.Greater(t, len(links), 30)
	for _, m := range links {
		assert.Equal(t, strings.ToLower(m[1]), m[2], "link")
		assert.Equal(t, strconv.Itoa(rows[m[1]].Length), m[3], m[1])
	}
	for _, m := range regexp.MustCompile("`([A-Z]\\w+)` holds").FindAllStringSubmatch(string(text), -1) {
		assert.Equal(t, manifest.Holds, rows[m[1]].Verdict, m[1])
	}
	// The table is copied from the generated file.
	generated := manifest.Counterexamples(load(t))
	for line := range strings.Lines(string(text)) {
		if regexp.MustCompile(`^\| \d+\. `).MatchString(line) {
			assert.Contains(t, generated, line)
		}
	}
	for rule := 1; rule <= 15; rule++ {
		assert.Contains(t, string(text), "\n| "+strconv.Itoa(rule)+" | ", "rule %d", rule)
	}
}

func TestReadmeHasTheTablesOfTheManifest(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	rows := load(t)
	peers := manifest.Peers(rows)
	for _, table := range []string{peers, manifest.Sizes(rows)} {
		if !strings.Contains(string(text), table) {
			t.Errorf("README.md has not the table that the manifest makes:\n%s", table)
		}
	}
	for _, row := range rows {
		if row.Kind == "peers" && !slices.ContainsFunc(row.Properties, func(p string) bool { return p != "TypeOK" }) {
			t.Errorf("%s says nothing of its scheme", row.Model)
		}
		if strings.HasPrefix(row.Model, "Peers") && row.Verdict == manifest.Refuted {
			assert.Contains(t, peers, "#"+strings.ToLower(row.Model)+")", "the table of peers lacks it")
		}
	}
}

// Enough that a reviewer can rely on, and no fewer by accident.
func TestThereAreEnoughModels(t *testing.T) {
	count := map[string]int{}
	for _, row := range load(t) {
		count[row.Kind]++
	}
	assert.GreaterOrEqual(t, count["mustfail"], 30)
	assert.GreaterOrEqual(t, count["probe"], 10)
	assert.GreaterOrEqual(t, count["mixed"], 3)
	assert.GreaterOrEqual(t, count["liveness"], 1)
	assert.GreaterOrEqual(t, count["large"], 1)
	assert.GreaterOrEqual(t, count["power"], 3)
}

// modules returns the text of every module, and of those in one string that
// the model of row uses.
func modules(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.tla")
	require.NoError(t, err)
	texts := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		texts[path] = string(text)
	}
	return texts
}

var definition = regexp.MustCompile(`(?m)^(?:LOCAL )?(\w+)(?:\([\w, ]*\))? +==`)

func definitions(text string) (names []string) {
	for _, m := range definition.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	return names
}

func TestNamesOfTheManifestAreDefined(t *testing.T) {
	texts := modules(t)
	for _, row := range load(t) {
		var defined []string
		for file := range row.Files {
			defined = append(defined, definitions(texts[file])...)
		}
		assert.Subset(t, defined, row.Properties, row.Model)
		assert.Subset(t, defined, row.Replaced, row.Model)
		assert.Subset(t, defined, row.Actions, row.Model)
	}
}

// Every property is refuted by some model: none is true for want of trying.
// What TypeOK refuses, a test of package model shows.
func TestEveryPropertyCanFail(t *testing.T) {
	checked, refuted := map[string]bool{}, map[string]bool{}
	for _, row := range load(t) {
		if row.Verdict == manifest.Refuted {
			refuted[row.Property] = true
			continue
		}
		for _, property := range row.Properties {
			checked[property] = true
		}
	}
	for property := range checked {
		if !strings.HasSuffix(property, "TypeOK") {
			assert.True(t, refuted[property], "no model refutes "+property)
		}
	}
}

// Every mutant is used by a model, and every probe.
func TestEveryMutantAndProbeIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, row := range load(t) {
		for _, name := range slices.Concat(row.Replaced, row.Properties) {
			used[name] = true
		}
	}
	for file, text := range modules(t) {
		for _, name := range definitions(text) {
			isProbe := strings.HasPrefix(name, "No") && (file == "Probes.tla" || strings.HasPrefix(file, "MC"))
			if isProbe || strings.HasPrefix(file, "Mutants") && !strings.Contains(text, name+"(p) THEN") && name != "NameThenLock" {
				assert.True(t, used[name], file+": no model uses "+name)
			}
		}
	}
}

func TestModulesAreShortAndNarrow(t *testing.T) {
	for file, text := range modules(t) {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		assert.LessOrEqual(t, len(lines), 250, file)
		for i, line := range lines {
			assert.LessOrEqual(t, len(line), 79, "%s:%d", file, i+1)
		}
	}
}

// The modules whose actions stand for code, with the labels of STYLE: mutants
// and probes have none.
var labelled = []string{
	"Create.tla", "Remove.tla", "Recover.tla", "LockThenData.tla",
	"Upstream.tla", "Peers.tla", "PowerLoss.tla", "StoreSteps.tla", "StoreInPlace.tla", "LayerStore.tla", "StoreGroup.tla",
	"Save.tla", "Readers.tla",
}

var (
	commentBorder = regexp.MustCompile(`(?m)^\(\*\**\)$|^\(\* |\s*\*\)$|^\\\* ?`)
	goLabel       = regexp.MustCompile(`(?s)\bGo:\s+(.*?)\.(?:\s|$)`)
)

// comments maps each definition to the comment closest above it.
func comments(text string) map[string]string {
	comments := map[string]string{}
	var block []string
	inBlock := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		isComment := strings.HasPrefix(line, "(*") || strings.HasPrefix(line, `\*`)
		if isComment && !inBlock {
			block = nil
		}
		inBlock = isComment
		if isComment {
			block = append(block, commentBorder.ReplaceAllString(line, ""))
		} else if m := definition.FindStringSubmatch(line); m != nil {
			comments[m[1]] = strings.Join(block, "\n")
		}
	}
	return comments
}

func TestActionsHaveFourLabels(t *testing.T) {
	texts := modules(t)
	actions := map[string]bool{}
	for _, row := range load(t) {
		for _, action := range row.Actions {
			actions[action] = true
		}
	}
	seen := 0
	for _, file := range labelled {
		for name, comment := range comments(texts[file]) {
			if !actions[name] {
				continue
			}
			seen++
			for _, label := range []string{"Go:", "Call:", "Grain:", "Crash:"} {
				assert.Contains(t, comment, label, "%s: %s", file, name)
			}
		}
	}
	assert.Greater(t, seen, 40, "actions found")
}

// symbols returns the methods of the Go packages below dir as Type.Method, and
// those of the interface Kernel by their bare names too.
func symbols(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	nested, err := filepath.Glob(filepath.Join(dir, "*", "*.go"))
	require.NoError(t, err)
	for _, path := range append(paths, nested...) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil {
					of := n.Recv.List[0].Type
					if star, ok := of.(*ast.StarExpr); ok {
						of = star.X
					}
					if name, ok := of.(*ast.Ident); ok {
						found[name.Name+"."+n.Name.Name] = true
					}
				}
			case *ast.TypeSpec:
				if methods, ok := n.Type.(*ast.InterfaceType); ok && n.Name.Name == "Kernel" {
					for _, method := range methods.Methods.List {
						for _, name := range method.Names {
							found[name.Name] = true
						}
					}
				}
			}
			return true
		})
	}
	return found
}

func TestGoSymbolsExist(t *testing.T) {
	exist := symbols(t, filepath.Join("..", "tempdir"))
	maps.Copy(exist, symbols(t, filepath.Join("..", "internal", "kernel")))
	named := map[string]bool{}
	texts := modules(t)
	for _, file := range labelled {
		for name, comment := range comments(texts[file]) {
			for _, m := range goLabel.FindAllStringSubmatch(comment, -1) {
				for _, word := range strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(" ,;:\n", r) }) {
					if word[0] < 'A' || word[0] > 'Z' {
						continue // prose
					}
					named[word] = true
					assert.True(t, exist[word], "%s: %s names %s, which is not in the code", file, name, word)
				}
			}
		}
	}
	assert.Greater(t, len(named), 15, "symbols found")
}

// Every call of the seam is an action, or README says why not.
func TestKernelMethodsAreAccountedFor(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for name := range symbols(t, filepath.Join("..", "internal", "kernel")) {
		if !strings.Contains(name, ".") {
			assert.Contains(t, string(readme), "`"+name+"`", "the table of calls in README.md lacks "+name)
		}
	}
}

// What README says a person has to read is as long as it says, or nearly so.
func TestReadmeSaysHowMuchThereIsToRead(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	said := regexp.MustCompile("`\\]\\(([\\w./]+)\\), (\\d+) lines").FindAllStringSubmatch(string(readme), -1)
	assert.Greater(t, len(said), 10)
	comment := regexp.MustCompile(`(?m)\(\*(?s:.*?)\*\)|\\\*.*$|^\s*//.*$`)
	for _, m := range said {
		text, err := os.ReadFile(m[1])
		require.NoError(t, err)
		lines := 0
		for line := range strings.Lines(comment.ReplaceAllString(string(text), "")) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		number, _ := strconv.Atoi(m[2])
		assert.InDelta(t, lines, number, float64(lines)/10+1, m[1])
	}
}
