package gate_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/afterlock/afterlock/"

// Who may import whom, beyond the standard library. What is not listed here
// may import nothing; a new package has to find its place.
var mayImport = map[string][]string{
	"model":                  {},
	"spec":                   {},
	"spec/internal/manifest": {},
	"spec/internal/tlc":      {module + "spec/internal/manifest"},
	"tempdir":                {"golang.org/x/sys/"},
	"tempdir/compat":         {"golang.org/x/sys/", module + "tempdir"},
	"tempdir/layerstore":     {"golang.org/x/sys/", module + "tempdir"},
	"internal/testfs":        {"golang.org/x/sys/", "github.com/hanwen/go-fuse/", "github.com/stretchr/testify/", "github.com/davecgh/", "github.com/pmezard/", "gopkg.in/", "go.yaml.in/"},
	"internal/seam":          {"golang.org/x/sys/", module + "tempdir"},
	"internal/stress":        {"golang.org/x/sys/", module + "tempdir"},
	"linearizability":        {"golang.org/x/sys/", "github.com/anishathalye/porcupine", module + "tempdir", module + "tempdir/layerstore", module + "model", module + "internal/seam"},
	"internal/gate":          {"golang.org/x/", module + "tempdir", module + "tempdir/layerstore", module + "model", module + "spec", module + "internal/stress", module + "internal/seam", module + "linearizability", "github.com/anishathalye/porcupine", "github.com/vbauerster/mpb/", "github.com/VividCortex/", "github.com/acarl005/", "github.com/mattn/", "github.com/rivo/", "github.com/clipperhouse/"},
	"cmd/afterlock":          {"*"},
}

func TestArrowsBetweenPackages(t *testing.T) {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err == nil {
		_, err = os.ReadDir(strings.TrimSpace(string(cache)))
	}
	if err != nil {
		t.Skipf("skipped, because this user has no module cache to list packages with: %v", err)
	}
	output, err := exec.Command("go", "list", "-f", "{{.ImportPath}}", module+"...").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(output))
	require.Contains(t, packages, module+"tempdir")
	for _, path := range packages {
		name := strings.TrimPrefix(path, module)
		allowed, known := mayImport[name]
		if !assert.True(t, known, "%s has no place in the layout", name) {
			continue
		}
		output, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", path).Output()
		require.NoError(t, err)
		for _, dependency := range strings.Fields(string(output)) {
			if dependency != path && !allows(allowed, dependency) {
				t.Errorf("%s may not import %s", name, dependency)
			}
		}
	}
}

func allows(allowed []string, dependency string) bool {
	for _, prefix := range allowed {
		if prefix == "*" || dependency == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(dependency, prefix) {
			return true
		}
	}
	return false
}
