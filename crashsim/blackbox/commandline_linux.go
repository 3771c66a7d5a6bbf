//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// self is this program, also if its file was replaced or removed meanwhile.
const self = "/proc/self/exe"

// binaries are what can be run: the command as it is shipped, and the drivers,
// which are the same file, see package drivers.
var binaries = []string{"afterlock", "tempdir", "layers", "upstream"}

// An image is how a binary is started.
type image struct {
	path string
	env  []string
}

// image finds the binary of the command at the path.
func (w *worker) image(binary string) (image, error) {
	if !slices.Contains(binaries, binary) {
		return image{}, fmt.Errorf("no binary %q", binary)
	}
	env := slices.Clip(environment)
	if binary != "afterlock" {
		env = append(env, proc.Variable+"="+DriverRole(binary))
	}
	return image{w.command, env}, nil
}
