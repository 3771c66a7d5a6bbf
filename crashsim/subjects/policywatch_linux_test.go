package subjects

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A process that removes a layer is killed when as many directories are left as the
// trace says, wherever the layer has been moved to, and not before; and the space is
// back when somebody else has removed the rest.
func TestTheWatchKillsAtItsMomentAndSeesWhenAllIsGone(t *testing.T) {
	s := &scene{dir: t.TempDir()}
	layer := TraceLayer{"victim0", 500}
	data := s.graph("overlay", layer.ID, "diff")
	for i := range layer.Directories() {
		require.NoError(t, os.MkdirAll(filepath.Join(data, strconv.Itoa(i)), 0o700))
	}
	watch, err := s.watch(Trace{Victims: []TraceLayer{layer}})
	require.NoError(t, err)
	defer watch.close()

	moved := filepath.Join(s.dir, "moved")
	require.NoError(t, os.Rename(s.graph("overlay", layer.ID), moved))
	sh := exec.Command("sh", "-c", `for i in 0 1 2; do rmdir "$0/diff/$i"; echo "$i"; read -r go; done`, moved)
	in, err := sh.StdinPipe()
	require.NoError(t, err)
	out, err := sh.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, sh.Start())
	watch.arm(TraceCommand{Layer: layer, Left: 3}, sh.Process)
	lines := bufio.NewReader(out)
	_, err = lines.ReadString('\n')
	require.NoError(t, err)
	assert.Empty(t, watch.kills(time.Now()), "4 are left")
	_, err = in.Write([]byte("go\n"))
	require.NoError(t, err)
	var exit *exec.ExitError
	ended := make(chan error)
	go func() { ended <- sh.Wait() }()
	select {
	case err := <-ended:
		require.ErrorAs(t, err, &exit)
	case <-time.After(time.Minute):
		sh.Process.Kill()
		t.Fatal("not killed when 3 were left")
	}
	assert.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
	assert.NoDirExists(t, filepath.Join(moved, "diff", "1"))
	assert.DirExists(t, filepath.Join(moved, "diff", "3"))

	kills := watch.kills(time.Now())
	require.Len(t, kills, 1)
	assert.False(t, kills[0].back)
	assert.EqualValues(t, 300*traceFileSize, kills[0].bytes)
	require.NoError(t, os.RemoveAll(moved))
	require.Eventually(t, func() bool { return watch.kills(time.Now())[0].back }, time.Minute, time.Millisecond)
}

func TestAnswersOfADriver(t *testing.T) {
	took, said, err := answer("ok 1500 17 layers\n")
	require.NoError(t, err)
	assert.Equal(t, 1500*time.Nanosecond, took)
	assert.Equal(t, "17 layers", said)
	_, _, err = answer("error: no such file\n")
	assert.EqualError(t, err, "no such file")
	_, _, err = answer("")
	assert.EqualError(t, err, "no answer")
}
