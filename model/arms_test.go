package model_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// What a condition was, as bits.
const (
	wasTrue = 1 << iota
	wasFalse
)

// A condition is one operand of a guard, of an IF, or of anything else with a
// conjunction or a disjunction in it, or one arm of a CASE. Probes have none: what
// of the step that one looks for follows from the rest hides nothing.
type condition struct {
	function, text string
	wanted         uint32
}

// armsFile is added to package model while its conditions are marked.
const armsFile = `package model

import (
	"encoding/json"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

var arms [%d]atomic.Uint32

func arm(n int, ok bool) bool {
	bit := uint32(2)
	if ok {
		bit = 1
	}
	if arms[n].Load()&bit == 0 {
		arms[n].Or(bit)
	}
	return ok
}

func TestArms(t *testing.T) {
	taken := map[string][]uint32{}
	run := func(name string, do func()) {
		do()
		for i := range arms {
			taken[name] = append(taken[name], arms[i].Swap(0))
		}
	}
	for name := range strings.FieldsSeq(os.Getenv("ARMS_MODELS")) {
		run(name, func() {
			if _, err := Find(name).Check(t.Context(), Options{}, false); err != nil {
				t.Fatal(err)
			}
		})
	}
	run("TypeOK", func() { TestTypeOKRefusesWhatIsOutOfRange(t) })
	text, err := json.Marshal(taken)
	if err == nil {
		err = os.WriteFile(os.Getenv("ARMS_TAKEN"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
`

// A marker rewrites the files that stand for modules: every condition c is
// arm(n, c) then.
type marker struct {
	conditions []condition
	set        *token.FileSet
	text       []byte
	function   string
	done       map[ast.Node]bool
	inserts    map[int]string // by offset
}

func (m *marker) offset(at token.Pos) int { return m.set.Position(at).Offset }

func (m *marker) source(from, to token.Pos) string {
	return strings.Join(strings.Fields(string(m.text[m.offset(from):m.offset(to)])), " ")
}

// add returns the number of a new condition.
func (m *marker) add(text string, wanted uint32) int {
	m.conditions = append(m.conditions, condition{m.function, text, wanted})
	return len(m.conditions) - 1
}

func isGuard(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	name, ok := call.Fun.(*ast.SelectorExpr)
	return ok && name.Sel.Name == "not"
}

// operands marks the operands of a condition.
func (m *marker) operands(e ast.Expr) {
	if m.done[e] || isGuard(e) {
		return
	}
	m.done[e] = true
	switch x := e.(type) {
	case *ast.ParenExpr:
		m.operands(x.X)
		return
	case *ast.UnaryExpr:
		m.operands(x.X)
		return
	case *ast.BinaryExpr:
		if x.Op == token.LAND || x.Op == token.LOR {
			m.operands(x.X)
			m.operands(x.Y)
			return
		}
	}
	m.inserts[m.offset(e.Pos())] += fmt.Sprintf("arm(%d, ", m.add(m.source(e.Pos(), e.End()), wasTrue|wasFalse))
	m.inserts[m.offset(e.End())] += ")"
}

func (m *marker) visit(n ast.Node) bool {
	switch x := n.(type) {
	case *ast.IfStmt:
		if call, ok := x.Body.List[0].(*ast.ExprStmt); ok && m.source(call.Pos(), call.End())[:5] == "panic" {
			return false // about a configuration, not a state
		}
		m.operands(x.Cond)
	case *ast.SwitchStmt:
		for _, c := range x.Body.List {
			switch c := c.(*ast.CaseClause); {
			case x.Tag == nil:
				for _, e := range c.List {
					m.operands(e)
				}
			default:
				m.inserts[m.offset(c.Colon)+1] += fmt.Sprintf(" arm(%d, true);", m.add(m.source(c.Pos(), c.Colon), wasTrue))
			}
		}
	case *ast.CallExpr:
		if isGuard(x) {
			m.operands(x.Args[0])
		}
	case *ast.BinaryExpr:
		if x.Op == token.LAND || x.Op == token.LOR {
			m.operands(x)
		}
	}
	return true
}

// ofModule matches the comment that says which module a file stands for.
var ofModule = regexp.MustCompile(`(?m)^// This file (?:.+\n// )*?.*\.tla`)

// mark returns the text of a file with its conditions marked.
func (m *marker) mark(t *testing.T, path string, text []byte) []byte {
	m.set, m.text, m.done, m.inserts = token.NewFileSet(), text, map[ast.Node]bool{}, map[int]string{}
	file, err := parser.ParseFile(m.set, path, text, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && !strings.HasSuffix(f.Name.Name, "robes") {
			m.function = f.Name.Name
			ast.Inspect(f.Body, m.visit)
		}
	}
	var marked []byte
	last := 0
	for _, at := range slices.Sorted(maps.Keys(m.inserts)) {
		marked = append(append(marked, text[last:at]...), m.inserts[at]...)
		last = at
	}
	return append(marked, text[last:]...)
}

// constants reads testdata/constant.txt: what is constant, and why.
func constants(t *testing.T) map[string]string {
	text, err := os.ReadFile("testdata/constant.txt")
	require.NoError(t, err)
	listed, reason, inReason := map[string]string{}, "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		comment, isReason := strings.CutPrefix(line, "# ")
		switch {
		case isReason && inReason:
			reason += " " + comment
		case isReason:
			reason = comment
		case line != "":
			require.NotEmpty(t, reason, line)
			require.NotContains(t, listed, line)
			listed[line] = reason
		}
		inReason = isReason
	}
	return listed
}

// Up to this many states a model is explored once more, with marks.
const armsStates = 135_000

// Every arm of an IF, a CASE, a disjunction and a conjunction of the actions and
// the properties is taken in a state of some model, and is not in another; what
// is constant over all graphs is in testdata/constant.txt, with the reason.
func TestNoConditionIsConstant(t *testing.T) {
	if testing.Short() {
		t.Skip("builds this package, and explores most models")
	}
	dir, m, overlay := t.TempDir(), marker{}, map[string]string{}
	put := func(name string, text []byte) string {
		path, err := filepath.Abs(name)
		require.NoError(t, err)
		overlay[path] = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(overlay[path], text, 0o600))
		return overlay[path]
	}
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		if !strings.HasSuffix(path, "_test.go") && ofModule.Match(text) {
			put(path, m.mark(t, path, text))
		}
	}
	require.Greater(t, len(m.conditions), 800)
	put("arms_taken_test.go", fmt.Appendf(nil, armsFile, len(m.conditions)))
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	program := filepath.Join(dir, "arms")
	output, err := exec.Command("go", "test", "-c", "-overlay", put("overlay.json", text), "-o", program, ".").CombinedOutput()
	require.NoError(t, err, string(output))

	var names []string
	for _, row := range manifest(t) {
		if row.Distinct <= armsStates {
			names = append(names, row.Model)
		}
	}
	result := filepath.Join(dir, "taken.json")
	run := exec.Command(program, "-test.run=^TestArms$")
	run.Env = append(os.Environ(), "ARMS_MODELS="+strings.Join(names, " "), "ARMS_TAKEN="+result)
	output, err = run.CombinedOutput()
	require.NoError(t, err, string(output))
	text, err = os.ReadFile(result)
	require.NoError(t, err)
	taken := map[string][]uint32{}
	require.NoError(t, json.Unmarshal(text, &taken))

	listed, found, onlyMutants := constants(t), map[string]bool{}, 0
	for i, c := range m.conditions {
		all, intact := uint32(0), uint32(0)
		for name, was := range taken {
			all |= was[i]
			if name != "TypeOK" && model.Find(name).Kind != "mustfail" {
				intact |= was[i]
			}
		}
		for bit, what := range map[uint32]string{wasTrue: "never true", wasFalse: "never false"} {
			if c.wanted&bit&^all == 0 {
				if c.wanted&bit&^intact != 0 {
					onlyMutants++
				}
				continue
			}
			line := c.function + ": " + c.text + ": " + what
			found[line] = true
			if listed[line] == "" {
				t.Errorf("constant over the graphs of all models: %s; give it a model, delete it, or say why in testdata/constant.txt", line)
			}
		}
	}
	// A property whose conditions are all constant in a model that holds is not said
	// of it, but for TypeOK, and those that say that one thing never is.
	for name, was := range taken {
		if name == "TypeOK" || model.Find(name).MustFail() {
			continue
		}
		for _, property := range model.Find(name).Properties {
			of, varies := 0, strings.HasSuffix(property, "TypeOK")
			for i, c := range m.conditions {
				if c.function == property {
					of++
					varies = varies || was[i] == wasTrue|wasFalse
				}
			}
			assert.True(t, of <= 1 || varies, "%s.cfg: %s says nothing there: none of its conditions changes in any state", name, property)
		}
	}
	for line := range listed {
		assert.True(t, found[line], "no longer constant, or not there: %s", line)
	}
	t.Logf("%d conditions, %d models: %d values in no graph, %d more in graphs of models that must fail only", len(m.conditions), len(names), len(found), onlyMutants)
}
