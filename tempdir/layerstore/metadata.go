package layerstore

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/internal/kernel"
)

// formatVersion is that of the metadata. A file with another one is refused.
const formatVersion = 1

// metadata is the content of layers.json. It is never changed once it is shared:
// a change is made to a copy.
type metadata struct {
	Version int      `json:"version"`
	Serial  uint64   `json:"serial"` // the last one given out
	Layers  []record `json:"layers"` // in the order of their serials, so parents first
}

// A record is one layer in the metadata.
type record struct {
	Layer
	Short      string `json:"short"`
	Incomplete bool   `json:"incomplete,omitempty"` // the flag
	Boot       string `json:"boot,omitempty"`       // the boot that Mounts counts in
}

func (r *record) placed() Placed { return Placed{ID: r.ID, Short: r.Short} }
func (r *record) driver() Driver { return drivers[r.Driver] }

// same reports whether two records are of one layer, and not of two that had the
// same id one after the other.
func (r *record) same(other *record) bool { return r.ID == other.ID && r.Serial == other.Serial }

// find returns the record with the id, flagged or not, or nil.
func (m *metadata) find(id string) *record {
	for i := range m.Layers {
		if m.Layers[i].ID == id {
			return &m.Layers[i]
		}
	}
	return nil
}

// layer returns the record of a layer that is not flagged, or nil.
func (m *metadata) layer(id string) *record {
	if r := m.find(id); r != nil && !r.Incomplete {
		return r
	}
	return nil
}

// flagged returns the records with the flag.
func (m *metadata) flagged() []record {
	var found []record
	for _, r := range m.Layers {
		if r.Incomplete {
			found = append(found, r)
		}
	}
	return found
}

// belongs reports whether the record is the layer's of this id, or a descendant's.
func (m *metadata) belongs(r *record, id string) bool {
	for r != nil && r.ID != id {
		r = m.find(r.Parent)
	}
	return r != nil
}

// copy returns metadata whose records can be changed; their labels cannot.
func (m *metadata) copy() *metadata {
	c := *m
	c.Layers = slices.Clone(m.Layers)
	return &c
}

// without returns metadata without the flagged records of these layers, except
// those that a record which stays has as its parent: they go when that one goes.
func (m *metadata) without(records []record) *metadata {
	gone := make(map[uint64]bool, len(records))
	for _, r := range records {
		gone[r.Serial] = true
	}
	c := *m
	c.Layers = nil
	parents := map[string]bool{} // of the records that stay
	for _, r := range slices.Backward(m.Layers) {
		if !gone[r.Serial] || !r.Incomplete || parents[r.ID] {
			c.Layers = append(c.Layers, r)
			parents[r.Parent] = true
		}
	}
	slices.Reverse(c.Layers)
	return &c
}

// withFlag returns metadata in which the records of these layers are flagged.
func (m *metadata) withFlag(records []record) *metadata {
	serials := make(map[uint64]bool, len(records))
	for _, r := range records {
		serials[r.Serial] = true
	}
	c := m.copy()
	for i := range c.Layers {
		if serials[c.Layers[i].Serial] {
			c.Layers[i].Incomplete = true
		}
	}
	return c
}

const flagBytes = len(`"incomplete":true,`)

// encode returns the metadata as JSON, a line a layer, padded so that every
// layer could be flagged without another block: a deletion has to be possible on
// a full disk.
func (m *metadata) encode() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"version\":%d,\"serial\":%d,\"layers\":[", m.Version, m.Serial)
	for i, r := range m.Layers {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	room := b.Len() + (len(m.Layers)-len(m.flagged()))*flagBytes // the same for any flags
	room = (room + kernel.Block) / kernel.Block * kernel.Block
	b.Write(bytes.Repeat([]byte{' '}, room-b.Len()))
	return b.Bytes(), nil
}

// decode reads metadata and refuses what no save ever wrote. The kind is
// ErrCorrupt or ErrNewerVersion.
func decode(data []byte) (m *metadata, kind, reason error) {
	m = &metadata{}
	if err := json.Unmarshal(data, m); err != nil {
		// A newer version may have another shape, but says so.
		var later struct {
			Version int `json:"version"`
		}
		if json.Unmarshal(data, &later) != nil || later.Version <= formatVersion {
			return nil, ErrCorrupt, err
		}
		m.Version = later.Version
	}
	if m.Version > formatVersion {
		return nil, ErrNewerVersion, fmt.Errorf("version %d, and this is %d", m.Version, formatVersion)
	}
	if m.Version != formatVersion {
		return nil, ErrCorrupt, fmt.Errorf("version %d", m.Version)
	}
	seen := map[string]uint64{}
	for _, r := range m.Layers {
		why := checkID(r.ID)
		_, twice := seen[r.ID]
		parent, known := seen[r.Parent]
		switch {
		case why != "":
		case twice:
			why = "it occurs twice"
		case r.Parent != "" && (!known || parent >= r.Serial):
			why = fmt.Sprintf("its parent %s does not come before it", quote(r.Parent))
		case r.driver() == nil:
			why = fmt.Sprintf("its layout %s is not known", quote(r.Driver))
		case !isShort(r.Short):
			why = fmt.Sprintf("its short name %s is not one", quote(r.Short))
		case r.Serial == 0 || r.Serial > m.Serial:
			why = fmt.Sprintf("its serial %d is not one", r.Serial)
		}
		if why != "" {
			return nil, ErrCorrupt, fmt.Errorf("layer %s: %s", quote(r.ID), why)
		}
		seen[r.ID] = r.Serial
	}
	return m, nil, nil
}

// shortLetters is the alphabet of short names: that of base32.
const shortLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// drawShort returns 128 random bits as the 26 characters that overlay mounts
// like to be short.
func drawShort() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	return base32.NewEncoding(shortLetters).WithPadding(base32.NoPadding).EncodeToString(raw[:])
}

func isShort(s string) bool {
	return len(s) == 26 && !slices.ContainsFunc([]byte(s), func(c byte) bool { return bytes.IndexByte([]byte(shortLetters), c) < 0 })
}
