//go:build amd64 || arm64

package subjects

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAGroupIsKilledAtOnce(t *testing.T) {
	g, err := newGroup()
	if err != nil {
		t.Skip("skipped, because no group can be made: ", err)
	}
	defer g.remove()
	for range 3 { // it is used again
		cmd := exec.Command("sleep", "1000")
		require.NoError(t, cmd.Start())
		require.NoError(t, g.add(cmd.Process.Pid))
		require.NoError(t, g.kill())
		require.Error(t, cmd.Wait())
		require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
	g.remove()
	require.NoDirExists(t, g.dir)
}

func TestWhatIsSelected(t *testing.T) {
	k := &cutoff{repeat: "compat/vfs/driver"}
	for only, want := range map[string][]int{
		"": nil, "compat": nil, "compat/vfs/driver": nil, "compat/vfs/driver/17": {17},
		"released compat/vfs/driver/17 compat/vfs/driver/3": {17, 3}, "compat/vfs/driver/17 compat/vfs": nil,
	} {
		points, wanted := k.selected(strings.Fields(only))
		require.True(t, wanted, only)
		require.Equal(t, want, points, only)
	}
	_, err := released(t).Killed(t.Context(), Run{Words: []string{"compat", "compat/fat"}})
	require.ErrorContains(t, err, `no errand is called "compat/fat": they are released/overlay/delete-layer, `)
	for _, only := range []string{"comp", "released", "compat/overlay/driver/17", "compat/vfs/driver/x"} {
		_, wanted := k.selected([]string{only})
		require.False(t, wanted, only)
	}
}

// Each change of a store that a killed deletion could leave is told by its files.
func TestWhatIsSeenOfAKilledErrand(t *testing.T) {
	const (
		all  = `[{"id":"k-keep"},{"id":"v-low"},{"id":"v-high"}]`
		both = `[{"id":"k-image"},{"id":"v-image"}]`
		keep = `[{"id":"k-keep"}]`
		one  = `[{"id":"k-image"}]`
	)
	names := []string{"vfs/dir/k-keep/0", "vfs/dir/v-low/0", "vfs/dir/v-high/0", "vfs-layers/v-low.tar-split.gz"}
	for name, c := range map[string]struct {
		layers, images string
		add, remove    []string
		left           []string
		lost           string
		notBegun       bool
	}{
		"nothing":        {layers: all, images: both, notBegun: true},
		"gone":           {layers: keep, images: one, remove: []string{"vfs/dir/v-low", "vfs/dir/v-high", "vfs-layers/v-low.tar-split.gz"}},
		"data stays":     {layers: keep, images: one, remove: []string{"vfs/dir/v-low", "vfs/dir/v-high"}, left: []string{"vfs-layers/v-low.tar-split.gz"}},
		"no image":       {layers: all, images: one, left: []string{"layer of no image", "layer of no image"}},
		"incomplete":     {layers: `[{"id":"k-keep"},{"id":"v-low"},{"id":"v-high","flags":{"incomplete":true}}]`, images: both, remove: []string{"vfs/dir/v-high"}, left: []string{"incomplete layer"}},
		"an instance":    {layers: all, images: both, add: []string{"vfs/tempdirs/lock-1"}, left: []string{"vfs/tempdirs/lock-1"}, notBegun: true},
		"another's":      {layers: all, images: both, add: []string{"vfs/dir/x-extra/0"}, notBegun: true},
		"torn":           {layers: all, images: both, remove: []string{"vfs/dir/v-low/0"}, lost: "vfs/dir/v-low/0 is gone, and 0 names more", notBegun: true},
		"bystander lost": {layers: keep, images: one, remove: []string{"vfs/dir/k-keep/0", "vfs/dir/v-low", "vfs/dir/v-high", "vfs-layers/v-low.tar-split.gz"}, lost: "vfs/dir/k-keep/0 is gone, and 0 names more"},
	} {
		t.Run(name, func(t *testing.T) {
			k := &cutoff{errand: errands[1], scene: scene{t.TempDir(), "vfs"}}
			write := func(name, text string) {
				require.NoError(t, os.MkdirAll(filepath.Dir(k.path("graph/"+name)), 0o700))
				require.NoError(t, os.WriteFile(k.path("graph/"+name), []byte(text), 0o600))
			}
			for _, name := range names {
				write(name, "")
			}
			write("vfs-layers/layers.json", all)
			write("vfs-images/images.json", both)
			var err error
			k.before, err = list(k.path("graph"))
			require.NoError(t, err)
			write("vfs-layers/layers.json", c.layers)
			write("vfs-images/images.json", c.images)
			for _, name := range c.add {
				write(name, "")
			}
			for _, name := range c.remove {
				require.NoError(t, os.RemoveAll(k.path("graph/"+name)))
			}
			s, err := k.look(false)
			require.NoError(t, err)
			require.Equal(t, c.notBegun, s.notBegun)
			require.Equal(t, c.lost, s.lost)
			require.Equal(t, c.left, s.left)
		})
	}

	// A layer that is put has to be recorded, or gone.
	k := &cutoff{errand: errands[3], scene: scene{t.TempDir(), "vfs"}}
	require.NoError(t, os.MkdirAll(k.path("graph/vfs-layers"), 0o700))
	require.NoError(t, os.MkdirAll(k.path("graph/vfs-images"), 0o700))
	require.NoError(t, os.WriteFile(k.path("graph/vfs-images/images.json"), []byte("[]"), 0o600))
	require.NoError(t, os.WriteFile(k.path("graph/vfs-layers/layers.json"), []byte("[]"), 0o600))
	var err error
	k.before, err = list(k.path("graph"))
	require.NoError(t, err)
	for text, want := range map[string]state{
		`[]`:               {left: []string{"vfs/dir", "vfs/dir/n-new"}, notBegun: true},
		`[{"id":"n-new"}]`: {left: []string{"vfs/dir"}},
	} {
		require.NoError(t, os.MkdirAll(k.path("graph/vfs/dir/n-new"), 0o700))
		require.NoError(t, os.WriteFile(k.path("graph/vfs-layers/layers.json"), []byte(text), 0o600))
		s, err := k.look(false)
		require.NoError(t, err)
		s.left = slices.DeleteFunc(s.left, func(name string) bool { return name == "vfs" })
		require.Equal(t, want, s)
	}
}

func TestPowerLossRefusesWhatItDoesNotKnow(t *testing.T) {
	_, err := (&Workshop{}).PowerLoss(t.Context(), Run{Words: []string{"ext4", "fat"}})
	require.ErrorContains(t, err, `no program or file system is called "fat"`)
}
