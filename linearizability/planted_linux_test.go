package linearizability

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pictures keeps the pictures of the planted faults:
//
//	go test ./linearizability -run TestPlantedFaults -pictures /tmp/pictures
var pictures = flag.String("pictures", "", "existing `directory` to keep the pictures and the histories of planted faults in")

// Every fault is illegal, in a schedule of a few steps, and the same schedule on
// the store as it is is ok.
func TestPlantedFaults(t *testing.T) {
	plants := []struct {
		fault  string
		layout string
		play   func(p *player)
		reason string // part of the judgement
		core   int    // operations
	}{
		{"metadata before staging", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.die(2, "delete a", "StageDeletion", 1)
			p.do("1.1", "list", Done)
		}, "on disk: a.1.1.1", 5},
		{"no flag", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.die(2, "delete a", "Replace", 2)
		}, "read a → torn", 1},
		{"early success", "overlay", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.1", "delete a", Done)
			p.do("1.2", "look a", Done)
		}, "on disk: a.1.1.1", 3},
		{"list without lock", "vfs", listInTheMiddle, "list → ok a", 1},
		{"commit over", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.2", "create a", choose2(p.faulty, Done, AlreadyExists))
			p.do("1.1", "read a", Done)
		}, "create a a.1.2.1 → ok", 2},
		{"recovery of the live", "overlay", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.2", "recover", Done)
			p.do("1.1", "exists a", Done)
		}, "exists a → ok no", 2},
		{"forgotten link", "overlay", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.1", "delete a", Done)
			p.do("1.1", "look a", Done)
		}, "on disk: a link to a", 3},
		{"stale cache", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.2", "read a", Done)
			p.do("1.1", "delete a", Done)
			p.do("1.2", "exists a", Done)
		}, "exists a → ok yes", 3},
		{"lost create", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.2", "exists a", Done)
		}, "exists a → ok no", 2},
		{"idempotent create", "overlay", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.2", "create a", choose2(p.faulty, Done, AlreadyExists))
		}, "create a a.1.2.1 → ok", 2},
		{"no children", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.1", "create b on a", Done)
			p.do("1.2", "delete a", choose2(p.faulty, Done, HasChildren))
		}, "delete a → ok", 3},
		{"no mounts", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.1", "mount a", Done)
			p.do("1.2", "delete a", choose2(p.faulty, Done, Mounted))
		}, "delete a → ok", 3},
		{"forgotten parent", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.1", "create b on a", Done)
			p.do("1.2", "read b", Done)
		}, "read b → ok b.1.1.2", 3},
		{"shy recovery", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.1", "delete a", Done)
		}, "nobody else was at work", 1},
		{"left in place", "vfs", func(p *player) {
			p.do("1.1", "create a", Done)
			p.do("1.1", "delete a", Done)
			p.do("1.1", "look a", Done)
		}, "on disk: a.1.1.1", 3},
	}
	assert.Len(t, faults, len(plants)+1, "and one of the machine")
	for _, plant := range plants {
		t.Run(strings.ReplaceAll(plant.fault, " ", "-"), func(t *testing.T) {
			healthy := newPlayer(t, plant.layout, "no fault")
			plant.play(healthy)
			j, _ := healthy.judge()
			require.Equal(t, OK, j.Verdict, "%s", j)

			p := newPlayer(t, plant.layout, "planted: "+plant.fault)
			p.fault, p.faultName, p.faulty = faults[plant.fault], plant.fault, true
			plant.play(p)
			j, path := p.judge()
			t.Log(j)
			require.Equal(t, Illegal, j.Verdict)
			assert.Contains(t, j.Reason, plant.reason)
			assert.Len(t, j.Core, plant.core, "%s", j)

			// As the command does it: from the file, with the picture.
			dir := t.TempDir()
			if *pictures != "" {
				dir = *pictures
				kept := filepath.Join(dir, filepath.Base(t.Name()))
				require.NoError(t, os.Rename(path, kept))
				path = kept
			}
			html := filepath.Join(dir, filepath.Base(t.Name())+".html")
			verdict, err := Check(t.Context(), path, t.Output(), html, 0)
			require.NoError(t, err)
			assert.Equal(t, Illegal, verdict)
			page, err := os.ReadFile(html)
			require.NoError(t, err)
			drawn := requireWellFormed(t, string(page), Illegal)
			kills := 0
			for _, a := range drawn.Annotations {
				if a.Tag == "kills" {
					kills++
				}
			}
			assert.Equal(t, len(j.subject.h.Kills), kills)
			require.NotEmpty(t, drawn.Annotations, "the recovery at the end")
		})
	}
}

func choose2(yes bool, a, b Outcome) Outcome {
	if yes {
		return a
	}
	return b
}

// listInTheMiddle lists while a create is between the commit and the save that
// takes its flag away, which then fails: the layer never was.
func listInTheMiddle(p *player) {
	replaced := 0
	p.before = func(call string) error {
		switch {
		case call == "Writable" && replaced == 2:
			return unix.EIO // nor can it be saved without an exchange
		case call != "Replace":
			return nil
		}
		if replaced++; replaced != 2 {
			return nil
		}
		if p.faulty { // a list with the lock would wait for the create
			p.do("1.2", "list", Done)
		}
		return unix.EIO
	}
	p.client("1.1")
	p.before = nil
	p.client("1.2")
	p.do("1.1", "create a", Failed)
	p.do("1.2", "list", Done)
}
