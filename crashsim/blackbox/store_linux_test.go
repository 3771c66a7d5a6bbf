//go:build amd64 || arm64

package blackbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// changed is the tree with the node in place of the one that has its path.
func (t tree) changed(path, content string) tree {
	c := slices.Clone(t)
	for i := range c {
		if c[i].Path == path {
			c[i].Content = content
		}
	}
	return c
}

// dropped is the tree without the path and what is below.
func (t tree) dropped(path string) tree {
	return slices.DeleteFunc(slices.Clone(t), func(n node) bool { return n.Path == path || strings.HasPrefix(n.Path, path+"/") })
}

func TestJudgeFindsWhereMetadataAndDataDisagree(t *testing.T) {
	var p program
	for _, q := range storePrograms() {
		if q.name == "deletechain-overlay" {
			p = q
		}
	}
	scene := p.scene
	flagged := storeScene("overlay", "v1", "v2")
	link := "store/overlay/l/" + strings.Repeat("V", shortLength)
	gone := scene.dropped("store/overlay/v1").dropped("store/overlay/v2").dropped(link).dropped(strings.Replace(link, "V", "W", -1))
	instance := tree{{Path: "store/tempdirs/lock-" + staleID, Kind: 'f'}, {Path: "store/tempdirs/temp-dir-" + staleID, Kind: 'd'}}
	for _, tt := range []struct {
		name            string
		tree            tree
		recovered, done bool
		wants           string
	}{
		{"all as before", scene, true, false, ""},
		{"all as before, and success", scene, true, true, "it reported success"},
		{"both flagged, a part is left", join(flagged, tree{{Path: link, Kind: 'l', Content: "../v1/diff"}}), false, false, ""},
		{"both flagged, and recovered", flagged, true, false, "is still flagged"},
		{"one of two flagged", storeScene("overlay", "v2"), false, false, "were to be"},
		{"a bystander is flagged", storeScene("overlay", "keep").dropped("store/overlay/keep"), false, false, "were to be"},
		{"a file has other bytes", scene.changed("store/overlay/v1/diff/v1", "else"), false, false, "lost or not what it was"},
		{"a file is missing", scene.dropped("store/overlay/v1/diff/sub/v1"), false, false, "lost or not what it was"},
		{"the short name is missing", scene.dropped("store/overlay/v1/link"), false, false, "lost or not what it was"},
		{"the link leads elsewhere", scene.changed(link, "../v2/diff"), false, false, "lost or not what it was"},
		{"the parents are others", scene.changed("store/overlay/v2/lower", "l/x"), false, false, "lost or not what it was"},
		{"data without a record", join(scene, directory("store/overlay/x")), false, false, "of no layer that has a record"},
		{"a link without a record", join(scene, tree{{Path: "store/overlay/l/x", Kind: 'l', Content: "../x/diff"}}), false, false, "of no layer that has a record"},
		{"a stray name in the store", join(scene, directory("store/x")), false, false, "of no layer that has a record"},
		{"data is gone and the record is not", gone, false, false, "lost or not what it was"},
		{"an instance, recovered", join(scene, instance), true, false, "left in the root"},
		{"an instance without lock file", join(scene, instance[1:]), false, false, "data without lock file"},
		{"no metadata", scene.dropped(metadataPath), false, false, "is lost"},
		{"half the metadata", scene.changed(metadataPath, `{"version":`), false, false, "unexpected end"},
	} {
		problems := strings.Join(p.judge(tt.tree, tt.recovered, tt.done), "\n")
		if tt.wants == "" {
			assert.Empty(t, problems, tt.name)
		} else {
			assert.Contains(t, problems, tt.wants, tt.name)
		}
	}
	assert.NotEmpty(t, p.judgeRecovery(flagged, scene, false), "a recovery takes a deletion back")
	assert.NotEmpty(t, p.judgeEffect("error: took effect: x", scene))
	assert.NotEmpty(t, p.judgeEffect("error: no effect: x", flagged))
	assert.NotEmpty(t, p.judgeEffect("error: x", scene))
	assert.Empty(t, p.judgeEffect("error: may have taken effect: x", scene))
	assert.Empty(t, p.judgeEffect("error: may have taken effect: x", flagged))
}

func TestEveryStoreSceneIsAsItShouldBe(t *testing.T) {
	for _, p := range storePrograms() {
		assert.Empty(t, p.judge(p.scene, false, false), p.name)
	}
}

// O has the store lock. A wants it, and does not run until O has dropped it.
func TestAProcessThatWaitsForALockDoesNotRun(t *testing.T) {
	_, w := newCampaign(t)
	contest := findContest("store-vfs")
	m, err := w.newMatch(contest, 2)
	require.NoError(t, err)
	renames := func(i int) bool { return w.super.resolve(m.processes[i].at).name == "renameat2" }
	for !renames(0) {
		_, err := m.step(0)
		require.NoError(t, err)
	}
	moved := true
	for moved {
		moved, err = m.step(1)
		require.NoError(t, err)
	}
	require.True(t, m.processes[1].busy())
	assert.Equal(t, "fcntl", m.processes[1].at.call.name)
	assert.False(t, m.ended[1])
	problems, err := m.finish()
	require.NoError(t, err)
	assert.Empty(t, problems)
	assert.True(t, m.over())
}

// When the last layer of the group has moved, all are flagged, and no record is dropped:
// what each kill leaves is that of a group, and not of one deletion after another.
func TestTheDeletionsOfAGroupShareSaves(t *testing.T) {
	_, w := newCampaign(t)
	for _, layout := range []string{"vfs", "overlay"} {
		saves, before := 0, []int(nil)
		w.watch(t, findProgram("deletegroup-"+layout), func(at *stop) {
			switch c := w.super.resolve(at); {
			case c.name == "renameat2" && strings.HasSuffix(c.paths[1], metadataPath):
				saves++
			case c.name == "renameat2":
				before = append(before, saves)
			}
		})
		assert.Equal(t, 2, saves)
		assert.Equal(t, map[string][]int{"vfs": {1, 1}, "overlay": {1, 1, 1, 1}}[layout], before)
	}
}
