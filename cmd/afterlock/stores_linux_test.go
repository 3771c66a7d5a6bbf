package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// make makes files, and directories where the name ends in a slash.
func makeNames(t *testing.T, dir string, names ...string) string {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			require.NoError(t, os.MkdirAll(path, 0o700))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	return dir
}

// What these engines leave on disk is in no root, whatever their version.
func TestAStoreWithoutRootsIsAStoreWithNothingToRecover(t *testing.T) {
	for name, names := range map[string][]string{
		"podman 4, vfs": {
			"storage.lock", "userns.lock", "defaultNetworkBackend", "tmp/", "mounts/", "libpod/bolt_state.db", "secrets/", "volumes/",
			"vfs/dir/0123/etc/", "vfs-layers/layers.json", "vfs-layers/layers.lock", "vfs-images/images.lock", "vfs-containers/containers.lock",
		},
		"podman 5, overlay":    {"storage.lock", "db.sql", "overlay/l/ABC", "overlay/.has-mount-program", "overlay/0123/diff/", "overlay-layers/layers.lock", "overlay-images/images.json", "overlay-containers/containers.lock"},
		"just made":            {"storage.lock", "userns.lock", "overlay/l/"},
		"image store":          {"vfs/dir/0123/", "vfs-layers/layers.lock", "vfs-images/images.lock"},
		"layers of containers": {"layers.json", "layers.lock", "0123.tar-split.gz"},
	} {
		t.Run(name, func(t *testing.T) {
			store := makeNames(t, t.TempDir(), names...)
			before := testfs.Snapshot(t, store)
			for _, args := range [][]string{{"ls"}, {"recover"}, {"recover", "--dry-run"}} {
				stdout, stderr, code := call(t, append(args, store)...)
				assert.Zero(t, code, stderr)
				assert.Regexp(t, `^\S+: .*containers/storage.* nothing to recover\n$`, stdout)
			}
			stdout, _, code := call(t, "ls", "--json", store)
			assert.Zero(t, code)
			got := parse[printed](t, stdout)
			assert.Empty(t, got.Roots)
			require.Len(t, got.Stores, 1)
			assert.Equal(t, store, got.Stores[0].Path)
			assert.Equal(t, before, testfs.Snapshot(t, store))
		})
	}
	// The home of a driver is known by what lies beside it.
	graph := makeNames(t, t.TempDir(), "overlay/l/", "overlay/0123/diff/", "overlay-layers/layers.lock")
	stdout, _, code := call(t, "ls", graph+"/overlay")
	assert.Zero(t, code)
	assert.Contains(t, stdout, "part of a store")
}

func TestADirectoryThatIsNoStoreIsARoot(t *testing.T) {
	root := makeNames(t, filepath.Join(t.TempDir(), "root"), "notes.txt", "layers/", "tempdirs/", "storage.lock")
	id := stale(t, root)
	stdout, _, code := call(t, "recover", root)
	assert.Zero(t, code)
	assert.Equal(t, "recovered", row(t, stdout, id)[1])
	assert.Equal(t, "foreign", row(t, stdout, "notes.txt")[1])
}

func TestTheRootOfALayerStoreIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "st")
	store, err := layerstore.Open(path, layerstore.Make(0o700))
	require.NoError(t, err)
	require.NoError(t, store.Close())
	root := filepath.Join(path, "tempdirs")
	link := filepath.Join(t.TempDir(), "link") // "link/.." is what the kernel says
	require.NoError(t, os.Symlink(root, link))
	for _, path := range []string{path, path + "//", link + "/.."} {
		id := stale(t, root)
		stdout, _, code := call(t, "recover", path)
		assert.Zero(t, code)
		assert.Equal(t, "recovered", row(t, stdout, id)[1])
	}
}

// docs/operations.md has users make this link; any other is not followed.
func TestARootThatIsALinkBesideOlderReleases(t *testing.T) {
	store := makeNames(t, t.TempDir(), "storage.lock", "overlay/l/tempdirs/", "vfs/elsewhere/temp-dir-1/", "overlay-layers/layers.lock")
	require.NoError(t, os.Symlink("l/tempdirs", store+"/overlay/tempdirs"))
	require.NoError(t, os.Symlink("elsewhere", store+"/vfs/tempdirs"))
	p, err := look(store)
	require.NoError(t, err)
	require.Equal(t, []string{store + "/overlay/l/tempdirs"}, p.roots)
	stale(t, store+"/overlay/l/tempdirs")
	_, stderr, code := call(t, "recover", store)
	require.Zero(t, code, stderr)
	onlyNames(t, store+"/overlay/l/tempdirs")
	require.DirExists(t, store+"/vfs/elsewhere/temp-dir-1")
}

func TestWhatCannotBeLookedAtIsNotTakenForNothing(t *testing.T) {
	store := makeNames(t, t.TempDir(), "storage.lock", "overlay-layers/layers.lock")
	require.NoError(t, os.Symlink("vfs-layers", filepath.Join(store, "vfs-layers"))) // ELOOP, to root as well
	for _, command := range []string{"ls", "recover"} {
		stdout, stderr, code := call(t, command, store)
		assert.Equal(t, 2, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "vfs-layers/tmp")
	}
}

func TestPartialPullsAreListedAndNotRecovered(t *testing.T) {
	for _, where := range []string{"", "/overlay"} {
		graph := makeNames(t, t.TempDir(), "storage.lock", "overlay-layers/layers.lock", "overlay/staging/dead/staging.lock", "overlay/staging/new/", "overlay/staging/live/")
		h, _ := startHolder(t, upstreamRole, graph+"/overlay/staging/live/staging.lock")
		before := testfs.Snapshot(t, graph)
		for _, command := range []string{"ls", "recover"} {
			stdout, stderr, code := call(t, command, graph+where)
			assert.Zero(t, code, stderr)
			prefix := strings.TrimPrefix("overlay/staging/", strings.TrimPrefix(where+"/", "/"))
			assert.Equal(t, "free", row(t, stdout, prefix+"dead")[1])
			assert.Contains(t, strings.Join(row(t, stdout, prefix+"new"), " "), "no lock")
			live := row(t, stdout, prefix+"live")
			assert.Equal(t, []string{"held", fmt.Sprint(h.Process.Pid)}, []string{live[1], live[3]})
		}
		assert.Equal(t, before, testfs.Snapshot(t, graph))
		stdout, _, _ := call(t, "recover", "--json", graph+where)
		got := parse[printed](t, stdout)
		require.Len(t, got.Stores, 1)
		assert.Len(t, got.Stores[0].Pulls, 3)
	}
}

func TestOneRootThatCannotBeReadStopsNoOther(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		id := stale(t, filepath.Join(dir, name))
		missing := dir + "/\xff/missing"
		stdout, stderr, code := call(t, "ls", missing, filepath.Join(dir, name))
		assert.Equal(t, 2, code)
		assert.Equal(t, "stale", row(t, stdout, id)[1])
		assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)

		stdout, _, code = call(t, "recover", "--json", missing, filepath.Join(dir, name))
		assert.Equal(t, 2, code)
		got := parse[printed](t, stdout)
		require.Len(t, got.Roots, 1)
		assert.Equal(t, "recovered", got.Roots[0].Results[0].Outcome)
		require.Len(t, got.Errors, 1)
		assert.Equal(t, missing, string(got.Errors[0].PathBytes))
		assert.Contains(t, got.Errors[0].Error, `\xff`)
	}
}

// Two names that are not UTF-8 look alike in JSON; their bytes do not.
func TestJSONKeepsEveryByteOfAName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir \xfe")
	root := filepath.Join(dir, "root \xff")
	stale(t, root)
	odd := []string{"odd \xfe", "odd \xff"}
	for _, name := range odd {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), nil, 0o600))
	}
	got := parse[printed](t, first(call(t, "ls", "--json", root))).Roots[0]
	assert.Equal(t, root, string(got.RootBytes))
	require.Len(t, got.Instances, 3)
	assert.Empty(t, got.Instances[0].NameBytes)
	for _, args := range [][]string{{"recover", "--json", "--dry-run", root}, {"recover", "--json", root}} {
		got := parse[printed](t, first(call(t, args...))).Roots[0]
		assert.Equal(t, root, string(got.RootBytes))
		require.Len(t, got.Foreign, 2)
		assert.Equal(t, odd, []string{string(got.Foreign[0].NameBytes), string(got.Foreign[1].NameBytes)})
	}
	removal := parse[printed](t, first(call(t, "rm", "--json", root+"/"+odd[0], root+"/missing")))
	require.Len(t, removal.Results, 2)
	assert.Equal(t, root+"/"+odd[0], string(removal.Results[0].PathBytes))
	assert.Equal(t, "removed", removal.Results[0].Outcome)
	assert.Equal(t, root+"/missing", string(removal.Results[1].PathBytes))
	assert.Contains(t, removal.Results[1].Error, `\xff/missing`)
}

func first(stdout, _ string, _ int) string { return stdout }
