//go:build linux

package tempdir_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A naming is an operation on what is called like an instance with the id. put says
// which of the two names are there; what the operation did is one word.
type naming struct {
	name string
	lock bool
	data bool
	do   func(root *tempdir.Root, id string) (string, error)
}

var namings = []naming{
	{"`Recover`, both names", true, true, recovering},
	{"`Recover`, the lock file alone", true, false, recovering},
	{"`Recover`, the data alone", false, true, recovering},
	{"`Instances`", true, true, func(root *tempdir.Root, id string) (string, error) {
		instances, err := root.Instances(background)
		states := []string{}
		for _, instance := range instances {
			states = append(states, instance.State.String())
		}
		return strings.Join(slices.Compact(states), " "), err
	}},
	{"`Usage`", true, true, func(root *tempdir.Root, id string) (string, error) {
		usage, err := root.Usage(background, id)
		return map[bool]string{true: "counted", false: "empty"}[usage.Files > 0], err
	}},
	{"`StageDeletion` of the lock file, in the root", true, true, staging("lock-")},
	{"`StageDeletion` of the data, in the root", true, true, staging("temp-dir-")},
	{"`StageDeletion` of the like elsewhere", false, false, func(root *tempdir.Root, id string) (word string, err error) {
		for _, name := range []string{"lock-" + id, "temp-dir-" + id} {
			path := filepath.Join(filepath.Dir(root.Path()), name)
			if err == nil {
				err = os.Mkdir(path, 0o700)
			}
			if err == nil {
				word, err = stageOne(root, path)
			}
		}
		return word, err
	}},
	{"`Remove` of the lock file beside its data", true, true, removing("lock-")},
	{"`Remove` of the data beside its lock file", true, true, removing("temp-dir-")},
	{"`Remove` of a lock file alone that nobody holds", true, false, removing("lock-")},
	{"`Remove` of data alone", false, true, removing("temp-dir-")},
	{"`CreateLock`", false, false, func(root *tempdir.Root, id string) (string, error) {
		lock, err := root.CreateLock("lock-" + id)
		if err == nil {
			err = lock.Delete()
		}
		return "made", err
	}},
	{"`TryLock`", true, true, func(root *tempdir.Root, id string) (string, error) {
		lock, err := root.TryLock("lock-" + id)
		if err == nil {
			err = lock.Delete()
		}
		return "taken", err
	}},
}

func recovering(root *tempdir.Root, _ string) (string, error) {
	report, err := root.Recover(background)
	if len(report.Foreign) > 0 {
		return "foreign", err
	}
	outcomes := []string{}
	for _, result := range report.Results {
		outcomes = append(outcomes, result.Outcome.String())
	}
	return strings.Join(outcomes, " "), err
}

func stageOne(root *tempdir.Root, path string) (string, error) {
	dir, err := root.Create()
	if err != nil {
		return "", err
	}
	return "staged", errors.Join(dir.StageDeletion(path), dir.Close(background))
}

func staging(prefix string) func(*tempdir.Root, string) (string, error) {
	return func(root *tempdir.Root, id string) (string, error) {
		return stageOne(root, filepath.Join(root.Path(), prefix+id))
	}
}

func removing(prefix string) func(*tempdir.Root, string) (string, error) {
	return func(root *tempdir.Root, id string) (string, error) {
		return "removed", tempdir.Remove(background, filepath.Join(root.Path(), prefix+id))
	}
}

// ids are those of each sort; every one of a sort has to be treated alike.
var idSorts = [][]string{
	{idOf("1"), strings.Repeat("f", 32)},
	{"0", "7", "4294967295"},
	{"07", "+7", "4294967296", "7.", idOf("1")[:31], idOf("1") + "0", strings.ToUpper(idOf("a")), idOf("g"), "0x7"},
}

// What is called like an instance, for every operation that takes a name, is treated as
// docs/names.md says: a row an operation, a column for each sort of id.
func TestNamesAreTreatedAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/names.md")
	require.NoError(t, err)
	documented := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"); len(cells) == 7 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			documented[cells[0]] = cells[1:]
		}
	}
	assert.Len(t, documented, len(namings)+2, "a row for each, and the head of the table")
	for _, n := range namings {
		row := []string{}
		for _, options := range [][]tempdir.Option{{tempdir.OrphanGrace(0)}, {tempdir.MixedFleet(0, 0)}} {
			for _, ids := range idSorts {
				words := []string{}
				for _, id := range ids {
					words = append(words, n.word(t, id, options))
				}
				row = append(row, strings.Join(slices.Compact(words), " or "))
			}
		}
		assert.Equal(t, documented[n.name], row, "| %s | %s |", n.name, strings.Join(row, " | "))
	}
}

// word says what the operation did, and checks that a refusal left everything as it was.
func (n naming) word(t *testing.T, id string, options []tempdir.Option) string {
	base := t.TempDir()
	root, err := tempdir.Open(filepath.Join(base, "root"), append(options, tempdir.Make(0o700))...)
	require.NoError(t, err)
	defer root.Close()
	var there []string
	if n.lock {
		there = append(there, "lock-"+id)
		require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "lock-"+id), nil, 0o600))
	}
	if n.data {
		there = append(there, "temp-dir-"+id)
		require.NoError(t, os.MkdirAll(filepath.Join(root.Path(), "temp-dir-"+id, "0-layer"), 0o700))
	}
	word, err := n.do(root, id)
	if errors.Is(err, tempdir.ErrForeign) {
		word, err = "refused", nil
	}
	require.NoError(t, err, "%s: %s", n.name, id)
	if word == "refused" || word == "foreign" {
		require.Equal(t, there, rootNames(t, root), "%s: %s", n.name, id)
	}
	return word
}
