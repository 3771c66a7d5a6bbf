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
	"model":                          {module + "spec"},
	"model/proof":                    {module + "model"},
	"spec":                           {},
	"spec/internal/bindings":         {},
	"spec/internal/manifest":         {module + "model"},
	"spec/internal/tlc":              {module + "spec/internal/manifest", module + "model"},
	"tempdir":                        {"golang.org/x/sys/", module + "internal/kernel"},
	"tempdir/compat":                 {"golang.org/x/sys/", module + "internal/kernel", module + "tempdir"},
	"model/conformance":              {module + "internal/bench/", "golang.org/x/sys/", module + "tempdir", module + "model", module + "internal/kernel", module + "internal/upstream"},
	"tempdir/layerstore":             {"golang.org/x/sys/", module + "internal/kernel", module + "tempdir"},
	"internal/testfs/fuseserver":     {"golang.org/x/sys/", "github.com/hanwen/go-fuse/"},
	"internal/testfs":                {"golang.org/x/sys/", module + "internal/kernel", module + "internal/bench/proc", "github.com/stretchr/testify/", "github.com/davecgh/", "github.com/pmezard/", "gopkg.in/", "go.yaml.in/"},
	"internal/kernel":                {"golang.org/x/sys/"},
	"internal/bench/proc":            {"golang.org/x/sys/"},
	"internal/bench/mutant":          {module + "internal/bench/volume", "golang.org/x/sys/"},
	"internal/bench/mutant/detector": {"*"},
	"internal/bench/schedule":        {},
	"internal/bench/world":           {"golang.org/x/sys/"},
	"internal/bench/worlds":          {module + "internal/bench/", "golang.org/x/sys/", module + "internal/kernel", module + "tempdir", module + "tempdir/layerstore"},
	"internal/bench/volume":          {"golang.org/x/sys/"},
	"internal/bench/speed":           {module + "internal/bench/", "golang.org/x/sys/", module + "internal/kernel", module + "internal/scratch", module + "tempdir", module + "tempdir/layerstore", module + "linearizability", module + "model", "github.com/anishathalye/porcupine", "github.com/go-analyze/", "github.com/golang/freetype/", "github.com/dustin/go-humanize", "golang.org/x/image/"},
	"internal/upstream":              {"golang.org/x/sys/"},
	"model/conformance/trace":        {"golang.org/x/sys/", module + "tempdir", module + "model", module + "internal/kernel"},
	"model/conformance/trace/fleet":  {"golang.org/x/sys/", module + "tempdir", module + "model", module + "internal/kernel", module + "internal/scratch", module + "internal/bench/", module + "model/conformance/trace"},
	"linearizability":                {module + "internal/bench/", module + "internal/scratch", "golang.org/x/sys/", "github.com/anishathalye/porcupine", module + "tempdir", module + "tempdir/layerstore", module + "model", module + "internal/kernel"},
	"crashsim":                       {module + "internal/bench/", "golang.org/x/sys/", module + "tempdir", module + "internal/kernel", module + "crashsim/disk"},
	"crashsim/disk":                  {"golang.org/x/sys/", module + "internal/kernel", module + "tempdir"},
	"crashsim/powerloss":             {module + "internal/bench/", "golang.org/x/sys/", "github.com/hanwen/go-fuse/", module + "internal/kernel", module + "tempdir", module + "tempdir/layerstore", module + "crashsim/blackbox", module + "model", "golang.org/x/net/bpf"},
	"crashsim/powerloss/litmus":      {module + "internal/bench/", "golang.org/x/sys/", "github.com/hanwen/go-fuse/", module + "internal/kernel", module + "tempdir", module + "tempdir/layerstore", module + "crashsim/powerloss", module + "crashsim/disk", module + "crashsim/blackbox", module + "model", "golang.org/x/net/bpf"},
	"crashsim/blackbox":              {module + "internal/bench/", "golang.org/x/sys/", module + "internal/kernel", "golang.org/x/net/bpf", module + "model", module + "tempdir"},
	"crashsim/blackbox/driver":       {"golang.org/x/sys/", module + "internal/kernel", module + "tempdir", module + "internal/upstream", module + "tempdir/layerstore"},
	"crashsim/blackbox/drivers":      {module + "internal/bench/", "golang.org/x/sys/", "golang.org/x/net/bpf", module + "model", module + "tempdir", module + "crashsim/blackbox", module + "crashsim/blackbox/driver", module + "internal/upstream", module + "internal/kernel", module + "tempdir/layerstore"},
	"crashsim/subjects":              {"golang.org/x/", module, "github.com/hanwen/go-fuse/"},
	"fuzz":                           {module + "internal/bench/", "golang.org/x/sys/", module + "crashsim", module + "crashsim/disk", module + "tempdir", module + "model", module + "model/conformance/trace", module + "internal/kernel"},
	"internal/scratch":               {"golang.org/x/sys/", module + "internal/kernel", module + "tempdir"},
	"internal/gate":                  {"golang.org/x/", module, "github.com/hanwen/go-fuse/", "github.com/anishathalye/porcupine", "github.com/crillab/gophersat/", "github.com/vbauerster/mpb/", "github.com/VividCortex/", "github.com/acarl005/", "github.com/mattn/", "github.com/rivo/", "github.com/clipperhouse/"},
	"cmd/afterlock":                  {"*"},
}

func TestArrowsBetweenPackages(t *testing.T) {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err == nil {
		_, err = os.ReadDir(strings.TrimSpace(string(cache)))
	}
	if err != nil {
		t.Skipf("skipped, because this user has no module cache to list packages with: %v", err)
	}
	output, err := exec.Command("go", "list", "-buildvcs=false", "-f", "{{.ImportPath}}", module+"...").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(output))
	require.Contains(t, packages, module+"tempdir")
	for _, path := range packages {
		name := strings.TrimPrefix(path, module)
		allowed, known := mayImport[name]
		if !assert.True(t, known, "%s has no place in the layout", name) {
			continue
		}
		output, err := exec.Command("go", "list", "-buildvcs=false", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", path).Output()
		require.NoError(t, err)
		for _, dependency := range strings.Fields(string(output)) {
			if dependency == module+"spec" && allows(allowed, module+"model") {
				continue // it is text, no code, and comes with model
			}
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
