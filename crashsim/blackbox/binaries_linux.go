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

	"golang.org/x/sys/unix"
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

// driversDirectory is where they may be built already, beside this program: for
// users who have no toolchain, or no module cache.
const driversDirectory = "drivers"

// builtBefore returns the paths of the programs in the drivers directory, or nil if
// one of them is missing.
func builtBefore() map[string]string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	binaries := make(map[string]string)
	for _, p := range packages {
		binary := filepath.Join(filepath.Dir(self), driversDirectory, path.Base(p))
		if unix.Access(binary, unix.R_OK|unix.X_OK) != nil {
			return nil
		}
		binaries[path.Base(p)] = binary
	}
	return binaries
}

// buildBinaries builds them into dir, as anybody would, and returns their paths
// by name, unless somebody did. The error matches [errors.ErrUnsupported] if there
// is no toolchain, or no source, to build from.
func buildBinaries(ctx context.Context, dir string) (map[string]string, error) {
	if binaries := builtBefore(); binaries != nil {
		return binaries, nil
	}
	// Without debugging information, which takes half of the linker's time.
	if output, err := goCommand(ctx, append([]string{"build", "-buildvcs=false", "-ldflags=-w", "-o", dir + "/"}, packages...)...); err != nil {
		output, _, _ = strings.Cut(output, "\n") // one line for each of the programs
		err = fmt.Errorf("go build of the programs to run: %w %s", err, output)
		if _, missing := goCommand(ctx, append([]string{"list", "-buildvcs=false"}, packages...)...); missing != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w: %w; nor are they in the directory %s beside this program", errors.ErrUnsupported, err, driversDirectory)
		}
		return nil, err
	}
	binaries := make(map[string]string)
	for _, p := range packages {
		binaries[path.Base(p)] = filepath.Join(dir, path.Base(p))
	}
	return binaries, nil
}

// goCommand runs the go command. Callers forbid it to ask version control, which
// refuses a checkout that belongs to somebody else.
func goCommand(ctx context.Context, arguments ...string) (output string, err error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	text, err := command.CombinedOutput()
	return strings.TrimSpace(string(text)), err
}
