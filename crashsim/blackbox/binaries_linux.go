package blackbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

const module = "github.com/afterlock/afterlock/"

// packages are those of the binaries that are run: the command as it is
// shipped, and the drivers.
var packages = []string{
	module + "cmd/afterlock",
	module + "crashsim/blackbox/drivers/tempdir",
	module + "crashsim/blackbox/drivers/upstream",
	module + "crashsim/blackbox/drivers/faulty",
}

// buildBinaries builds them into dir, as anybody would, and returns their paths
// by name. The error says that there is no toolchain, or no source, to build
// from.
func buildBinaries(ctx context.Context, dir string) (map[string]string, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"build", "-o", dir + "/"}, packages...)...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build of the programs to run: %w: %s", err, strings.TrimSpace(string(output)))
	}
	binaries := make(map[string]string)
	for _, p := range packages {
		binaries[path.Base(p)] = filepath.Join(dir, path.Base(p))
	}
	return binaries, nil
}
