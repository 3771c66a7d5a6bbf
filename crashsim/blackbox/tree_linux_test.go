//go:build amd64 || arm64

package blackbox

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATreeIsBuiltCapturedAndRazed(t *testing.T) {
	dir := t.TempDir()
	want := join(leftovers(), layers(), tree{{"root/link", 'l', "keep"}})
	require.NoError(t, want.build(dir))
	got, err := capture(dir)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	require.NoError(t, got.raze(dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestRebuildMakesOneTreeOfAnother(t *testing.T) {
	trees := []tree{
		nil, layers(), join(leftovers(), layers()), leftovers(),
		join(directory("layers"), tree{{"layers/v1", 'f', "a file where a directory was"}}),
		join(directory("layers"), tree{{"layers/v1", 'f', "another content"}}),
	}
	dir, here := t.TempDir(), tree(nil)
	for range trees {
		for i, want := range trees {
			require.NoError(t, rebuild(dir, &here, want))
			got, err := capture(dir)
			require.NoError(t, err)
			assert.Equal(t, append(tree(nil), want...), got, "tree %d", i)
		}
		trees = append(trees[1:], trees[0]) // other neighbours
	}
}

func TestTextForgetsIdsAndRecordsAndNothingElse(t *testing.T) {
	base := tree{{"root", 'd', ""}, {"root/lock-11", 'f', "record"}, {"root/temp-dir-11", 'd', ""}, {"root/temp-dir-11/0-v", 'f', "x"}}
	for _, tt := range []struct {
		name  string
		other tree
		same  bool
	}{
		{"another id", tree{{"root", 'd', ""}, {"root/lock-22", 'f', "record"}, {"root/temp-dir-22", 'd', ""}, {"root/temp-dir-22/0-v", 'f', "x"}}, true},
		{"another record", tree{{"root", 'd', ""}, {"root/lock-11", 'f', ""}, {"root/temp-dir-11", 'd', ""}, {"root/temp-dir-11/0-v", 'f', "x"}}, true},
		{"two ids", tree{{"root", 'd', ""}, {"root/lock-22", 'f', "record"}, {"root/temp-dir-11", 'd', ""}, {"root/temp-dir-11/0-v", 'f', "x"}}, false},
		{"no lock file", tree{{"root", 'd', ""}, {"root/temp-dir-11", 'd', ""}, {"root/temp-dir-11/0-v", 'f', "x"}}, false},
		{"another content", tree{{"root", 'd', ""}, {"root/lock-11", 'f', "record"}, {"root/temp-dir-11", 'd', ""}, {"root/temp-dir-11/0-v", 'f', "y"}}, false},
		{"another entry", tree{{"root", 'd', ""}, {"root/lock-11", 'f', "record"}, {"root/temp-dir-11", 'd', ""}, {"root/temp-dir-11/1-v", 'f', "x"}}, false},
	} {
		assert.Equal(t, tt.same, base.text() == tt.other.text(), tt.name)
	}
}

func TestJudgeFindsWhatIsWrong(t *testing.T) {
	p := programs()[2] // replace: v1 and v2
	instance := tree{{"root/lock-" + staleID, 'f', ""}, {"root/temp-dir-" + staleID, 'd', ""}}
	without := func(path string) tree {
		gone, _ := layer(path), 0
		left, _ := gone.difference(nil)
		rest, _ := p.scene.difference(left)
		return rest
	}
	half := join(without("layers/v1"), directory("layers/v1"))
	for _, tt := range []struct {
		name            string
		tree            tree
		recovered, done bool
		wants           string
	}{
		{"all as before", p.scene, true, true, ""},
		{"a victim is gone", without("layers/v1"), true, false, ""},
		{"a victim is gone for good, and nothing was committed", without("layers/v1"), true, true, "layers/v1 is lost"},
		{"a layer that nobody chose is gone", without("layers/keep"), false, false, "layers/keep is lost"},
		{"half a victim", half, false, false, "layers/v1 is there and not whole"},
		{"a name that nobody made", join(p.scene, directory("layers/x")), false, false, "layers/x is there"},
		{"a name beside the layers", join(p.scene, directory("x")), false, false, "x is there, and nobody made it"},
		{"a file in a victim's place", join(without("layers/v1"), tree{{"layers/v1", 'f', ""}}), false, false, "layers/v1 is there, and no directory"},
		{"an instance after a crash", join(p.scene, instance), false, false, ""},
		{"an instance after the recovery", join(p.scene, instance), true, false, "left in the root"},
		{"data without lock file", join(p.scene, instance[1:]), false, false, "data without lock file"},
	} {
		problems := p.judge(tt.tree, tt.recovered, tt.done)
		if tt.wants == "" {
			assert.Empty(t, problems, tt.name)
		} else if assert.Len(t, problems, 1, tt.name) {
			assert.Contains(t, problems[0], tt.wants, tt.name)
		}
	}
}
