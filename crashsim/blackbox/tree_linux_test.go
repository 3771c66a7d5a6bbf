//go:build amd64 || arm64

package blackbox

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRebuildMakesOneTreeOfAnother(t *testing.T) {
	trees := []tree{
		nil, layers(), join(leftovers(), layers(), tree{{Path: "root/link", Kind: 'l', Content: "keep"}}), leftovers(),
		join(directory("layers"), tree{{Path: "layers/v1", Kind: 'f', Content: "a file where a directory was"}}),
		join(directory("layers"), tree{{Path: "layers/v1", Kind: 'f', Content: "another content"}}),
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
	base := tree{{Path: "root", Kind: 'd'}, {Path: "root/lock-11", Kind: 'f', Content: "record"}, {Path: "root/temp-dir-11", Kind: 'd'}, {Path: "root/temp-dir-11/0-v", Kind: 'f', Content: "x"}}
	for _, tt := range []struct {
		name  string
		other tree
		same  bool
	}{
		{"another id", tree{{Path: "root", Kind: 'd'}, {Path: "root/lock-22", Kind: 'f', Content: "record"}, {Path: "root/temp-dir-22", Kind: 'd'}, {Path: "root/temp-dir-22/0-v", Kind: 'f', Content: "x"}}, true},
		{"another record", tree{{Path: "root", Kind: 'd'}, {Path: "root/lock-11", Kind: 'f'}, {Path: "root/temp-dir-11", Kind: 'd'}, {Path: "root/temp-dir-11/0-v", Kind: 'f', Content: "x"}}, true},
		{"two ids", tree{{Path: "root", Kind: 'd'}, {Path: "root/lock-22", Kind: 'f', Content: "record"}, {Path: "root/temp-dir-11", Kind: 'd'}, {Path: "root/temp-dir-11/0-v", Kind: 'f', Content: "x"}}, false},
		{"no lock file", tree{{Path: "root", Kind: 'd'}, {Path: "root/temp-dir-11", Kind: 'd'}, {Path: "root/temp-dir-11/0-v", Kind: 'f', Content: "x"}}, false},
		{"another content", tree{{Path: "root", Kind: 'd'}, {Path: "root/lock-11", Kind: 'f', Content: "record"}, {Path: "root/temp-dir-11", Kind: 'd'}, {Path: "root/temp-dir-11/0-v", Kind: 'f', Content: "y"}}, false},
		{"another entry", tree{{Path: "root", Kind: 'd'}, {Path: "root/lock-11", Kind: 'f', Content: "record"}, {Path: "root/temp-dir-11", Kind: 'd'}, {Path: "root/temp-dir-11/1-v", Kind: 'f', Content: "x"}}, false},
	} {
		assert.Equal(t, tt.same, base.text() == tt.other.text(), tt.name)
	}
}

func TestJudgeFindsWhatIsWrong(t *testing.T) {
	p := programs()[2] // replace: v1 and v2
	instance := tree{{Path: "root/lock-" + staleID, Kind: 'f'}, {Path: "root/temp-dir-" + staleID, Kind: 'd'}}
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
		{"a victim is gone for good, and nothing was committed", without("layers/v1"), true, true, "layers/v1: is lost"},
		{"a layer that nobody chose is gone", without("layers/keep"), false, false, "layers/keep: is lost"},
		{"half a victim", half, false, false, "layers/v1: is there and not whole"},
		{"a name that nobody made", join(p.scene, directory("layers/x")), false, false, "layers/x: there, and nobody made it"},
		{"a name beside the layers", join(p.scene, directory("x")), false, false, " x: there, and nobody made it"},
		{"a file in a victim's place", join(without("layers/v1"), tree{{Path: "layers/v1", Kind: 'f'}}), false, false, "layers/v1: is there, and of another type"},
		{"an instance after a crash", join(p.scene, instance), false, false, ""},
		{"an instance after the recovery", join(p.scene, instance), true, false, "left in the root"},
		{"data without lock file", join(p.scene, instance[1:]), false, false, "data without lock file"},
	} {
		problems := p.judge(tt.tree, tt.recovered, tt.done)
		if tt.wants == "" {
			assert.Empty(t, problems, tt.name)
		} else if assert.NotEmpty(t, problems, tt.name) {
			assert.Contains(t, problems[0], tt.wants, tt.name)
		}
	}
}
