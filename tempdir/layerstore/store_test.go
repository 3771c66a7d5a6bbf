//go:build linux

package layerstore_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func TestLifeOfALayer(t *testing.T) {
	for _, driver := range append(layouts, layerstore.Direct) {
		t.Run(driver.Name(), func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(driver), layerstore.Sync())
			create(t, s, "base", layerstore.Tar(archive(file("a", "1"), file("b/c", "2"))))
			made, err := s.Create(background, layerstore.Layer{ID: "app", Parent: "base", Labels: map[string]string{"k": "v"}},
				layerstore.Tar(archive(file("b/d", "3"))))
			require.NoError(t, err)
			assert.Equal(t, []string{"base", "app"}, listIDs(t, s))

			other := openStore(t, path) // another handle, with another layout for new layers
			seen, err := other.Layer(background, "app")
			require.NoError(t, err)
			assert.Equal(t, made, seen)
			content, err := other.ReadFile(background, "app", "b/d")
			require.NoError(t, err)
			assert.Equal(t, "3", string(content))
			_, err = other.ReadFile(background, "app", "nothing")
			assert.ErrorIs(t, err, fs.ErrNotExist)
			assert.NotErrorIs(t, err, layerstore.ErrLayerUnknown)

			_, err = s.Delete(background, "base")
			assert.ErrorIs(t, err, layerstore.ErrHasChildren)
			assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
			deletion, err := other.Delete(background, "base", "app")
			require.NoError(t, err)
			assert.Equal(t, []string{"base", "app"}, deletion.Layers)
			assert.Empty(t, deletion.InPlace)
			wantInstances := 1
			if !driver.Deferred() {
				wantInstances = 0
			}
			assert.Len(t, deletion.Instances, wantInstances)
			assert.Empty(t, listIDs(t, s))
			assert.Empty(t, leftovers(path))
			exists, err := s.Exists(background, "base")
			assert.NoError(t, err)
			assert.False(t, exists)
			_, err = s.Delete(background, "base")
			assert.ErrorIs(t, err, layerstore.ErrLayerUnknown)
			assert.ErrorIs(t, s.Save(background, "base", nil), layerstore.ErrLayerUnknown)
		})
	}
}

// The three layouts as they are on disk.
func TestLayoutsOnDisk(t *testing.T) {
	short := regexp.MustCompile(`[A-Z2-7]{26}`)
	for _, c := range []struct {
		driver layerstore.Driver
		want   []string
	}{
		{layerstore.VFS, []string{
			"dir/", "dir/app/", "dir/app/a: 1", "dir/app/b: 2", "dir/base/", "dir/base/a: 1",
		}},
		{layerstore.Overlay, []string{
			"app/", "app/diff/", "app/diff/b: 2", "app/link: SHORT", "app/lower: l/SHORT",
			"base/", "base/diff/", "base/diff/a: 1", "base/link: SHORT",
			"l/", "l/SHORT -> ../app/diff", "l/SHORT -> ../base/diff",
		}},
		{layerstore.Direct, []string{
			"dir/", "dir/app/", "dir/app/a: 1", "dir/app/b: 2", "dir/base/", "dir/base/a: 1",
		}},
	} {
		t.Run(c.driver.Name(), func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(c.driver))
			create(t, s, "base", layerstore.Tar(archive(file("a", "1"))))
			_, err := s.Create(background, layerstore.Layer{ID: "app", Parent: "base"}, layerstore.Tar(archive(file("b", "2"))))
			require.NoError(t, err)
			var names []string
			for _, name := range tree(t, filepath.Join(path, c.driver.Name())) {
				names = append(names, short.ReplaceAllString(name, "SHORT"))
			}
			assert.ElementsMatch(t, c.want, names)
			if c.driver == layerstore.Overlay {
				link, err := os.ReadFile(filepath.Join(path, "overlay/app/link"))
				require.NoError(t, err)
				target, err := os.Readlink(filepath.Join(path, "overlay/l", string(link)))
				require.NoError(t, err)
				assert.Equal(t, "../app/diff", target)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "there", layerstore.Empty())
	before := tree(t, path)
	long := string(make([]byte, 129))
	for _, c := range []struct {
		layer layerstore.Layer
		kind  error
	}{
		{layerstore.Layer{ID: "there"}, layerstore.ErrLayerExists},
		{layerstore.Layer{ID: "there"}, fs.ErrExist},
		{layerstore.Layer{ID: ""}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "."}, layerstore.ErrBadID},
		{layerstore.Layer{ID: ".."}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "../x"}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "a/b"}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "a\x00"}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "ä"}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "-rf"}, layerstore.ErrBadID},
		{layerstore.Layer{ID: long}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "l"}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "tempdirs"}, layerstore.ErrBadID},
		{layerstore.Layer{ID: "child", Parent: "nobody"}, layerstore.ErrNoParent},
		{layerstore.Layer{ID: "self", Parent: "self"}, layerstore.ErrNoParent},
		{layerstore.Layer{ID: "image", Image: true}, layerstore.ErrNoImageStore},
	} {
		_, err := s.Create(background, c.layer, layerstore.Empty())
		assert.ErrorIs(t, err, c.kind, "%q", c.layer.ID)
		assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
		assert.Equal(t, before, tree(t, path), "%q", c.layer.ID)
	}
	_, err := s.Create(background, layerstore.Layer{ID: "ä"}, layerstore.Empty())
	assert.ErrorContains(t, err, `it contains "\xc3"`)
}

// Names that mean something in a root mean nothing as ids, in any layout.
func TestLayersThatAreNamedLikeLockFiles(t *testing.T) {
	for _, driver := range layouts {
		t.Run(driver.Name(), func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(driver))
			ids := []string{
				"lock-1", "temp-dir-1", "lock-a35af7d349fe103bc926ae8311718a96", "temp-dir-a35af7d349fe103bc926ae8311718a96",
				"store.lock", "layers.json", "0-addition", "link", "diff", "lower",
			}
			for _, id := range ids {
				create(t, s, id, someFiles(2, id))
			}
			_, err := s.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, ids, listIDs(t, s))
			for _, id := range ids {
				content, err := s.ReadFile(background, id, "dir1/file1")
				require.NoError(t, err)
				assert.Equal(t, id, string(content))
				_, err = s.Delete(background, id)
				require.NoError(t, err)
			}
			assert.Empty(t, leftovers(path))
		})
	}
}

// A closed handle does nothing, and what it had staged is nobody else's (F32).
func TestCloseTouchesNothingOfOthers(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", someFiles(3, "a"))
	other := openStore(t, path)
	receipt, err := other.DeferredDelete(background, "a")
	require.NoError(t, err)
	require.NotEmpty(t, leftovers(path))
	before := leftovers(path)
	require.NoError(t, s.Close())
	_, err = openStore(t, path).Recover(background)
	require.NoError(t, err)
	assert.Equal(t, before, leftovers(path), "the instance of a live receipt")
	open, err := proc.OpenDescriptors()
	require.NoError(t, err)
	_, err = s.List(background)
	assert.ErrorIs(t, err, layerstore.ErrClosed)
	assert.ErrorIs(t, s.Save(background, "a", nil), layerstore.ErrClosed)
	_, err = s.Load(background)
	assert.ErrorIs(t, err, layerstore.ErrClosed)
	assert.ErrorIs(t, s.Close(), layerstore.ErrClosed)
	assert.Empty(t, must(open.Leaked()))

	require.NoError(t, other.Close()) // the receipt outlives even its own handle
	_, err = receipt.Finish(background)
	require.NoError(t, err)
	assert.Empty(t, leftovers(path))
}

// What a caller does to the labels it got, or gave, changes nothing in the store.
func TestLabelsAreTheCallersOwn(t *testing.T) {
	s, path := newStore(t)
	given := map[string]string{"k": "v"}
	created, err := s.Create(background, layerstore.Layer{ID: "a", Labels: given}, layerstore.Empty())
	require.NoError(t, err)
	looked, err := s.Layer(background, "a")
	require.NoError(t, err)
	saved := map[string]string{"k": "v"}
	require.NoError(t, s.Save(background, "a", saved))
	listed, err := s.List(background)
	require.NoError(t, err)
	for _, labels := range []map[string]string{given, saved, created.Labels, looked.Labels, listed[0].Labels} {
		labels["k"] = "changed"
	}
	create(t, s, "b", layerstore.Empty()) // saves the record of a as well
	for _, s := range []*layerstore.Store{s, openStore(t, path)} {
		layer, err := s.Layer(background, "a")
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"k": "v"}, layer.Labels)
	}
}
