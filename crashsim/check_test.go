package crashsim_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"

	"github.com/afterlock/afterlock/crashsim"
)

const id = "00000000000000000000000000000001"

func TestCheckReturnsEveryFinding(t *testing.T) {
	file := &fstest.MapFile{}
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	layer := crashsim.Layer{Home: "layers/v", Files: []string{"f", "d", "d/g"}, Record: "meta/v"}
	want := crashsim.Want{Root: "root", Foreign: []string{"notes"}, Layers: []crashsim.Layer{layer}, NoOrphans: true}
	recovered, live := want, want
	recovered.Recovered, live.Live = true, []string{id}
	for _, test := range []struct {
		name   string
		files  fstest.MapFS
		want   crashsim.Want
		claims []crashsim.Claim
	}{
		{"whole", fstest.MapFS{"root/notes": file, "layers/v/f": file, "layers/v/d/g": file, "meta/v": text("complete")}, recovered, nil},
		{"gone", fstest.MapFS{"root/notes": file}, recovered, nil},
		{"half", fstest.MapFS{"root/notes": file, "layers/v/f": file, "meta/v": text("incomplete")}, want,
			[]crashsim.Claim{crashsim.ReachableWhole}},
		{"not ours", fstest.MapFS{"root/notes": file, "layers/v/f": file, "layers/v/x": file, "layers/v/d/g": file, "meta/v": text("incomplete")}, want,
			[]crashsim.Claim{crashsim.ReachableWhole}},
		{"everything", fstest.MapFS{"root/temp-dir-" + id + "/0-v": file, "layers/v/f": file, "meta/v": text("complete")}, recovered,
			[]crashsim.Claim{crashsim.DataHasLock, crashsim.NothingLeft, crashsim.ForeignKept, crashsim.ReachableWhole, crashsim.WholeOrFlagged}},
		{"leak", fstest.MapFS{"root/notes": file, "layers/v/f": file, "layers/v/d/g": file}, want, []crashsim.Claim{crashsim.NoLeak}},
		{"lost", fstest.MapFS{"root/notes": file, "meta/v": text("complete")}, want, []crashsim.Claim{crashsim.WholeOrFlagged}},
		{"half a record", fstest.MapFS{"root/notes": file, "meta/v": text("compl")}, want, []crashsim.Claim{crashsim.WholeOrFlagged}},
		{"an empty record", fstest.MapFS{"root/notes": file, "layers/v/f": file, "layers/v/d/g": file, "meta/v": file}, want,
			[]crashsim.Claim{crashsim.WholeOrFlagged}},
		{"a record that is a directory", fstest.MapFS{"root/notes": file, "meta/v/x": file}, want, []crashsim.Claim{crashsim.WholeOrFlagged}},
		{"a file in the layer's place", fstest.MapFS{"root/notes": file, "layers/v": file, "meta/v": text("incomplete")}, want,
			[]crashsim.Claim{crashsim.ReachableWhole}},
		{"litter in the root", fstest.MapFS{"root/notes": file, "root/litter": file}, want, []crashsim.Claim{crashsim.NothingLeft}},
		{"flag left", fstest.MapFS{"root/notes": file, "meta/v": text("incomplete")}, recovered, []crashsim.Claim{crashsim.NothingLeft}},
		{"live", fstest.MapFS{"root/notes": file, "root/lock-" + id: file, "root/temp-dir-" + id + "/0-v": file}, live, nil},
		{"live taken away", fstest.MapFS{"root/notes": file, "root/lock-" + id: file}, live, []crashsim.Claim{crashsim.LiveKept}},
		{"no root", fstest.MapFS{}, want, []crashsim.Claim{crashsim.ForeignKept, crashsim.ForeignKept}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var claims []crashsim.Claim
			for _, f := range crashsim.Check(crashsim.DirView(test.files), test.want) {
				claims = append(claims, f.Claim)
			}
			assert.Equal(t, test.claims, claims)
		})
	}
}
