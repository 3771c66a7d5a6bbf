//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
)

// built is the afterlock command, built once for all tests. An ordinary user, who
// may have no module cache to build it from, can name one in commandVariable.
var built struct {
	once    sync.Once
	dir     string
	command string
	err     error
}

const commandVariable = "AFTERLOCK_TEST_COMMAND"

func TestMain(m *testing.M) {
	proc.Become()
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// buildCommand builds the command as anybody would, without debugging
// information, which takes half of the linker's time, and without asking version
// control, which refuses a checkout that belongs to somebody else.
func buildCommand(ctx context.Context) {
	if built.command = os.Getenv(commandVariable); built.command != "" {
		return
	}
	if built.dir, built.err = os.MkdirTemp("", "afterlock-box-"); built.err != nil {
		return
	}
	built.command = filepath.Join(built.dir, "afterlock")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-w", "-o", built.command, "../../cmd/afterlock")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("go build: %w %s", err, output)
	}
}

// watch runs the program once, and tells of each call before it is made.
func (w *worker) watch(t *testing.T, p *program, tell func(at *stop)) {
	t.Helper()
	require.NoError(t, w.prepare(p.scene))
	d, err := w.begin(p)
	require.NoError(t, err)
	_, _, _, err = w.follow(d, p.scene, func(int, tree, bool) error {
		tell(d.at)
		return nil
	})
	require.NoError(t, err)
}

// newCampaign returns a campaign with one worker, or skips the test.
func newCampaign(t testing.TB) (*campaign, *worker) {
	t.Helper()
	built.once.Do(func() { buildCommand(t.Context()) })
	if built.err != nil {
		t.Skipf("skipped, because the command cannot be built: %v", built.err)
	}
	dir := testfs.InMemory(t)
	c := &campaign{Options: Options{Dir: dir, Workers: 1, Seed: 1, Command: built.command}}
	t.Cleanup(c.close)
	if err := c.openWorkers(dir); err != nil {
		t.Skipf("skipped, because processes cannot be supervised here: %v", err)
	}
	return c, c.workers[0]
}
