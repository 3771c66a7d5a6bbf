//go:build linux

package disk_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// deletion makes the changes of one deletion on a new disk: 0 mkdir data,
// 1 rename the layer in, 2 and 3 unlink its files, 4 rmdir, 5 rmdir data. A loose layer
// is a file itself.
func deletion(t *testing.T, sync string, loose bool) (d *disk.Disk, base *disk.Tree) {
	d = disk.New(disk.Options{})
	p := d.Process()
	for _, path := range []string{"/root", "/layers"} {
		require.NoError(t, p.Mkdir(path))
	}
	removed := []string{"/root/data/0/f", "/root/data/0/g", "/root/data/0", "/root/data"}
	if loose {
		removed = removed[2:]
		require.NoError(t, p.Make("/layers/v"))
	} else {
		require.NoError(t, p.Mkdir("/layers/v"))
		require.NoError(t, p.Make("/layers/v/f"))
		require.NoError(t, p.Make("/layers/v/g"))
	}
	base = new(disk.Tree)
	d.Freeze(base)
	d.Record()
	require.NoError(t, p.Mkdir("/root/data"))
	require.NoError(t, p.Rename("/layers/v", "/root/data/0"))
	if sync != "" {
		require.NoError(t, p.Sync(sync))
	}
	for _, path := range removed {
		require.NoError(t, p.Remove(path))
	}
	return d, base
}

// Every set that the log visits may survive, every set that may survive is
// visited, each once, and its hash is that of the tree that Redo makes.
func TestSurvivorsAreAllSetsThatMaySurviveEachOnce(t *testing.T) {
	for _, test := range []struct {
		model      disk.Durability
		sync       string
		loose      bool
		sets, ends int // ever; at the end
	}{
		{disk.Ordered, "", false, 7, 7},
		{disk.Ordered, "/root/data", false, 7, 5},
		{disk.PerDirectory, "", false, 11, 11},
		{disk.PerDirectory, "/root/data", false, 7, 5},
		{disk.Weak, "", false, 14, 14},
		{disk.Weak, "/root/data", false, 8, 6},
		{disk.PerDirectory, "", true, 5, 5},
		{disk.Weak, "", true, 8, 8},
		{disk.Weak, "/root/data", true, 8, 6},
		{disk.Weak, "/layers", true, 6, 3},
	} {
		d, base := deletion(t, test.sync, test.loose)
		other := disk.New(disk.Options{})
		seen := map[uint64]bool{}
		var log disk.Log
		log.Reset(test.model)
		log.Survivors(base.Sums(), func(set uint64, _ *disk.Sum) bool { seen[set] = true; return true })
		journal := d.Journal()
		for i := range journal {
			require.True(t, log.Append(&journal[i]))
			if journal[i].Kind == disk.Sync {
				continue
			}
			log.Survivors(base.Sums(), func(set uint64, sums *disk.Sum) bool {
				assert.False(t, seen[set], "%v: %b comes twice", test.model, set)
				assert.True(t, log.May(set), "%v: %b", test.model, set)
				seen[set] = true
				other.Restore(base, 0)
				for j := range log.Len() {
					if set>>j&1 != 0 {
						other.Redo(log.Change(j))
					}
				}
				assert.Equal(t, disk.Fold(*sums), other.Hash())
				return true
			})
		}
		ends := 0
		for set := range uint64(1) << log.Len() {
			if log.May(set) {
				ends++
				assert.True(t, seen[set], "%v: %b may survive and was not visited", test.model, set)
			}
		}
		assert.Equal(t, [2]int{test.sets, test.ends}, [2]int{len(seen), ends}, "%v, sync %q, loose %v", test.model, test.sync, test.loose)
	}
}

func TestASyncIsOfOneDirectory(t *testing.T) {
	for model, durable := range map[disk.Durability]uint64{disk.Ordered: 0b11, disk.PerDirectory: 0b10, disk.Weak: 0b10} {
		d := disk.New(disk.Options{})
		p := d.Process()
		require.NoError(t, p.Mkdir("/a"))
		require.NoError(t, p.Mkdir("/b"))
		d.Record()
		require.NoError(t, p.Mkdir("/a/x"))
		require.NoError(t, p.Mkdir("/b/y"))
		require.NoError(t, p.Sync("/b"))
		require.NoError(t, p.Mkdir("/a/x/z"))
		var log disk.Log
		log.Reset(model)
		journal := d.Journal()
		for i := range journal {
			require.True(t, log.Append(&journal[i]))
		}
		assert.Equal(t, durable, log.Durable(), "%v", model)
		assert.EqualValues(t, 0b01, log.Needs(2)&0b01, "%v: a name needs its directory", model)
	}
}

func TestRule11IsNeededWhereTheFileSystemDoesNotOrder(t *testing.T) {
	for _, model := range []disk.Durability{disk.Ordered, disk.PerDirectory, disk.Weak} {
		for _, sync := range []string{"", "/root/data"} {
			d, _ := deletion(t, sync, false)
			var log disk.Log
			log.Reset(model)
			journal := d.Journal()
			for i := range journal {
				log.Append(&journal[i])
			}
			// The unlink of f survives, the rename of its layer does not.
			half := log.May(1 << 2)
			assert.Equal(t, model != disk.Ordered && sync == "", half, "%v, sync %q", model, sync)
		}
	}
}
