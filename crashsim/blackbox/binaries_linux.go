//go:build amd64 || arm64

package blackbox

import (
	"context"
	"errors"
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
	module + "crashsim/blackbox/drivers/layers",
	module + "crashsim/blackbox/drivers/upstream",
	module + "crashsim/blackbox/drivers/faulty",
}

// buildBinaries builds them into dir, as anybody would, and returns their paths
// by name. The error matches [errors.ErrUnsupported] if there is no toolchain,
// or no source, to build from.
func buildBinaries(ctx context.Context, dir string) (map[string]string, error) {
	if output, err := goCommand(ctx, append([]string{"build", "-o", dir + "/"}, packages...)...); err != nil {
		err = fmt.Errorf("go build of the programs to run: %w: %s", err, output)
		if _, missing := goCommand(ctx, append([]string{"list"}, packages...)...); missing != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
		return nil, err
	}
	binaries := make(map[string]string)
	for _, p := range packages {
		binaries[path.Base(p)] = filepath.Join(dir, path.Base(p))
	}
	return binaries, nil
}

func goCommand(ctx context.Context, arguments ...string) (output string, err error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	text, err := command.CombinedOutput()
	return strings.TrimSpace(string(text)), err
}
