package powerloss_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/powerloss"
)

// write is a write of one sector.
func write(at int, text string) powerloss.Entry {
	data := make([]byte, 512)
	copy(data, text)
	return powerloss.Entry{Offset: int64(at) * 512, Size: 512, Data: data}
}

var (
	flush = powerloss.Entry{Flush: true}
	mark  = powerloss.Entry{Mark: "gone v1"}
)

func TestLogIsReadAsItWasWritten(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer file.Close()
	w, err := powerloss.NewLogWriter(file)
	require.NoError(t, err)
	durable := write(7, "fua")
	durable.FUA = true
	log := []powerloss.Entry{write(3, "a"), flush, mark, {Offset: 1024, Size: 4096}, durable, write(4, "b")}
	for i, e := range log {
		read, err := powerloss.ReadLog(file)
		require.NoError(t, err, "a log can be read at any time")
		require.Len(t, read, i)
		require.NoError(t, w.Append(e))
	}
	read, err := powerloss.ReadLog(file)
	require.NoError(t, err)
	assert.Equal(t, log, read)
	assert.Error(t, w.Append(powerloss.Entry{Offset: 1, Size: 512, Data: make([]byte, 512)}))

	require.NoError(t, file.Truncate(512*5))
	_, err = powerloss.ReadLog(file)
	assert.ErrorContains(t, err, "entry 3")
	_, err = file.WriteAt([]byte{1}, 0)
	require.NoError(t, err)
	_, err = powerloss.ReadLog(file)
	assert.ErrorContains(t, err, "no log")
}

func TestCutsLeaveEveryPrefixAndSubsetsOfTheOpenEpoch(t *testing.T) {
	log := []powerloss.Entry{
		write(0, "before"), {Mark: "begin"}, // not to be lost
		write(1, "a"), write(2, "b"), mark, write(3, "c"), flush,
		write(1, "d"), write(2, "e"), write(3, "f"), write(4, "g"), write(5, "h"), write(6, "i"), write(7, "j"),
	}
	image := func(c powerloss.Cut) string {
		disk := make([]string, 8)
		for i, e := range log[:c.At] {
			if e.Size > 0 && !slices.Contains(c.Lost, i) {
				disk[e.Offset/512] = string(e.Data[:6])
			}
		}
		return fmt.Sprintf("%q", disk)
	}
	images := func(budget int, seed uint64) map[string]bool {
		all := make(map[string]bool)
		for _, c := range powerloss.Cuts(log, 2, budget, seed) {
			for _, lost := range c.Lost {
				assert.True(t, lost >= 2 && lost < c.At && log[lost].Size > 0, "%v", c)
				assert.NotContains(t, log[lost:c.At], flush, "a flushed write was lost: %v", c)
			}
			all[image(c)] = true
		}
		return all
	}
	all := images(1000, 1)
	assert.Len(t, all, 7+128, "all subsets of both epochs; what keeps the whole first is what keeps nothing of the second")
	for at := 2; at <= len(log); at++ {
		assert.True(t, all[image(powerloss.Cut{At: at})])
	}
	some := images(80, 1)
	assert.Len(t, some, 80)
	for a := 7; a < 14; a++ {
		for b := a; b < 14; b++ {
			assert.True(t, some[image(powerloss.Cut{At: 14, Lost: slices.Compact([]int{a, b})})], "loses %d and %d", a, b)
		}
	}
	assert.Equal(t, some, images(80, 1))
	assert.NotEqual(t, images(100, 1), images(100, 2))
	assert.Len(t, images(5, 1), 5)

	assert.Equal(t, []powerloss.Cut{{At: 4}, {At: 5}}, powerloss.Cut{At: 4}.Same(log), "the mark promises more")
	assert.Equal(t, []string{"begin", "gone v1"}, powerloss.MarksBefore(log, 5))
}

// Every part is in one sector, or atom, of the disk; together they are the write.
func TestTornWritesAreTheSameWrites(t *testing.T) {
	const sector = 512
	data := func(s string) (all []byte) {
		for _, c := range []byte(s) {
			all = append(all, bytes.Repeat([]byte{c}, sector)...)
		}
		return all
	}
	log := []powerloss.Entry{
		{Mark: "m"},
		{Offset: sector, Size: 3 * sector, Data: data("abc"), Flush: true, FUA: true},
		{Offset: 7 * sector, Size: 2 * sector}, // a discard
		{Offset: 9 * sector, Size: sector, Data: data("d")},
		{Flush: true},
	}
	assert.Equal(t, []powerloss.Entry{
		{Mark: "m"},
		{Offset: sector, Size: sector, Data: data("a"), Flush: true, FUA: true},
		{Offset: 2 * sector, Size: sector, Data: data("b"), FUA: true},
		{Offset: 3 * sector, Size: sector, Data: data("c"), FUA: true},
		{Offset: 7 * sector, Size: sector},
		{Offset: 8 * sector, Size: sector},
		{Offset: 9 * sector, Size: sector, Data: data("d")},
		{Flush: true},
	}, powerloss.Torn(log, sector))
	assert.Equal(t, []powerloss.Entry{
		{Mark: "m"},
		{Offset: sector, Size: sector, Data: data("a"), Flush: true, FUA: true},
		{Offset: 2 * sector, Size: 2 * sector, Data: data("bc"), FUA: true},
		{Offset: 7 * sector, Size: sector},
		{Offset: 8 * sector, Size: sector},
		{Offset: 9 * sector, Size: sector, Data: data("d")},
		{Flush: true},
	}, powerloss.Torn(log, 2*sector))
}
