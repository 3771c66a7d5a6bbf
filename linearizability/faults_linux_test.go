package linearizability

import (
	"encoding/json"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// What these stores do wrong is known, so that tests can look at the judgement,
// the core and the picture of a history. All others are in the catalogue of mutants.

var _ = func() bool { // before the role begins
	faults = map[string]fault{
		"lost create":   {disk: func(d kernel.Disk, _ string) kernel.Disk { return &loser{Disk: d} }},
		"full metadata": {disk: func(d kernel.Disk, _ string) kernel.Disk { return fullMetadata{d} }},
	}
	return true
}()

// A loser does not save that a new layer is complete.
type loser struct {
	kernel.Disk
	flagged, records int // in the last save
	lose             bool
}

func (d *loser) WriteSpare(path string, data []byte) (int, error) {
	var m struct{ Layers []struct{ Incomplete bool } }
	if err := json.Unmarshal(data, &m); err != nil {
		return -1, unix.EINVAL
	}
	flagged := 0
	for _, record := range m.Layers {
		if record.Incomplete {
			flagged++
		}
	}
	d.lose = flagged < d.flagged && len(m.Layers) == d.records
	d.flagged, d.records = flagged, len(m.Layers)
	return d.Disk.WriteSpare(path, data)
}

func (d *loser) Replace(spare, path string) error {
	if d.lose {
		return nil
	}
	return d.Disk.Replace(spare, path)
}

// A fullMetadata disk has no block for metadata.
type fullMetadata struct{ kernel.Disk }

func (fullMetadata) WriteSpare(string, []byte) (int, error) { return -1, unix.ENOSPC }
