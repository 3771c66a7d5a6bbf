package gate

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// The functions from here to the tests are those of the documents, word for word:
// see TestGoCodeOfTheDocumentsIsWhatIsTestedHere.

func openRoot(ctx context.Context, store string) (*tempdir.Root, error) {
	root, err := tempdir.Open(filepath.Join(store, "tempdirs"), tempdir.Make(0o700))
	if err != nil {
		return nil, err
	}
	_, err = root.Recover(ctx) // finishes what crashed processes left, without a lock
	return root, err           // with an error, root is open: what is left is no reason to refuse service
}

func deleteLayer(ctx context.Context, root *tempdir.Root, store *Store, id string) error {
	dir, err := root.Create() // where the layer goes; before the store lock
	if err != nil {
		return err
	}
	store.Lock()
	err = dir.StageDeletion(store.Path(id)) // one rename: out of reach, intact
	if err == nil || errors.Is(err, tempdir.ErrVictimGone) {
		err = store.Forget(id) // after any other error the layer is still there
	}
	store.Unlock()
	return errors.Join(err, dir.Close(ctx)) // the slow part
}

func addLayer(ctx context.Context, root *tempdir.Root, store *Store, id string, build func(path string) error) error {
	dir, err := root.Create()
	if err != nil {
		return err
	}
	addition, err := dir.StageAddition()
	if err == nil {
		err = build(addition.Path()) // without the store lock
	}
	if err == nil {
		store.Lock()
		if err = addition.Commit(store.Path(id)); err == nil { // one rename, never over a name that exists
			err = store.Record(id)
		}
		store.Unlock()
	}
	return errors.Join(err, dir.Close(ctx)) // removes what was not committed
}

// A Store stands for the reader's.
type Store struct {
	sync.Mutex
	dir     string
	records map[string]bool
}

func (s *Store) Path(id string) string { return filepath.Join(s.dir, id) }

func (s *Store) Forget(id string) error {
	delete(s.records, id)
	return nil
}

func (s *Store) Record(id string) error {
	s.records[id] = true
	return nil
}

// refuse lets one method of the kernel fail.
func refuse(method kernel.Method, errno unix.Errno) kernel.HookFunc {
	return func(c *kernel.Call) error {
		if c.Method == method {
			return errno
		}
		return nil
	}
}

// nothing fails.
func nothing(*kernel.Call) error { return nil }

// newStore makes a store with one layer, and a root whose kernel fails.
func newStore(t *testing.T, fails kernel.HookFunc) (*Store, *tempdir.Root) {
	t.Helper()
	s := &Store{dir: t.TempDir(), records: map[string]bool{}}
	require.NoError(t, os.MkdirAll(filepath.Join(s.Path("layer"), "usr", "bin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(s.Path("layer"), "usr", "file"), []byte("content"), 0o644))
	require.NoError(t, s.Record("layer"))
	root, err := openRoot(t.Context(), s.dir)
	require.NoError(t, err)
	require.NoError(t, root.Close())
	root, err = tempdir.Open(filepath.Join(s.dir, "tempdirs"), kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), fails)))
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return s, root
}

// emptyRoot wants nothing to be left in the root.
func emptyRoot(t *testing.T, root *tempdir.Root) {
	t.Helper()
	entries, err := os.ReadDir(root.Path())
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// Whatever refuses the rename, the record stays as long as the layer is there.
func TestTheSnippetKeepsTheRecordOfALayerThatCouldNotBeStaged(t *testing.T) {
	for _, errno := range []unix.Errno{
		unix.EACCES, unix.EPERM, unix.EXDEV, unix.ENOSPC, unix.EDQUOT, unix.EROFS, unix.EBUSY,
		unix.EIO, unix.EMLINK, unix.EINVAL, unix.ENAMETOOLONG, unix.ESTALE,
	} {
		store, root := newStore(t, refuse(kernel.StageDeletion, errno))
		err := deleteLayer(t.Context(), root, store, "layer")
		if assert.ErrorIs(t, err, errno) {
			assert.NotErrorIs(t, err, fs.ErrNotExist, "%v is not taken for 'already deleted'", errno)
		}
		assert.True(t, store.records["layer"], "%v", errno)
		assert.FileExists(t, filepath.Join(store.Path("layer"), "usr", "file"))
		emptyRoot(t, root)
	}
}

func TestTheSnippetForgetsALayerThatIsStagedOrGone(t *testing.T) {
	store, root := newStore(t, nothing)
	require.NoError(t, deleteLayer(t.Context(), root, store, "layer"))
	assert.Empty(t, store.records)
	assert.NoDirExists(t, store.Path("layer"))
	emptyRoot(t, root)

	store.records["layer"] = true // as after a crash between the rename and Forget
	require.NoError(t, deleteLayer(t.Context(), root, store, "layer"))
	assert.Empty(t, store.records)
	emptyRoot(t, root)
}

// The layer is out of reach, its record is gone; the rest is for a recovery.
func TestTheSnippetReportsWhatCouldNotBeRemoved(t *testing.T) {
	store, root := newStore(t, refuse(kernel.RemoveEntry, unix.EIO))
	assert.ErrorIs(t, deleteLayer(t.Context(), root, store, "layer"), tempdir.ErrLeftover)
	assert.Empty(t, store.records)
	assert.NoDirExists(t, store.Path("layer"))
	again, err := openRoot(t.Context(), store.dir)
	require.NoError(t, err)
	defer again.Close()
	emptyRoot(t, again)
}

func TestTheSnippetAddsALayerAsAWholeOrNotAtAll(t *testing.T) {
	build := func(path string) error { return os.MkdirAll(filepath.Join(path, "etc"), 0o755) }
	store, root := newStore(t, nothing)
	require.NoError(t, addLayer(t.Context(), root, store, "new", build))
	assert.True(t, store.records["new"])
	assert.DirExists(t, filepath.Join(store.Path("new"), "etc"))

	assert.ErrorIs(t, addLayer(t.Context(), root, store, "new", build), fs.ErrExist)
	failed := errors.New("no such image")
	assert.ErrorIs(t, addLayer(t.Context(), root, store, "other", func(path string) error {
		return errors.Join(build(path), failed)
	}), failed)
	assert.NotContains(t, store.records, "other")
	assert.NoDirExists(t, store.Path("other"))
	emptyRoot(t, root)

	store, root = newStore(t, refuse(kernel.Commit, unix.ENOSPC))
	assert.ErrorIs(t, addLayer(t.Context(), root, store, "new", build), syscall.ENOSPC)
	assert.NotContains(t, store.records, "new")
	emptyRoot(t, root)
}

// goBlocks are the blocks of Go code of a document: fenced ones in Markdown, the
// indented ones that begin with "func" in a package comment.
func goBlocks(t *testing.T, document string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", document))
	require.NoError(t, err)
	if strings.HasSuffix(document, ".md") {
		for _, match := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			blocks = append(blocks, match[1])
		}
		return blocks
	}
	for _, match := range regexp.MustCompile(`(?ms)^//\tfunc .*?^//\t\}\n`).FindAllString(string(text), -1) {
		blocks = append(blocks, regexp.MustCompile(`(?m)^//\t?`).ReplaceAllString(match, ""))
	}
	return blocks
}

func TestGoCodeOfTheDocumentsIsWhatIsTestedHere(t *testing.T) {
	tested, err := os.ReadFile("snippets_linux_test.go")
	require.NoError(t, err)
	for document, least := range map[string]int{"README.md": 2, "tempdir/doc.go": 1} {
		blocks := goBlocks(t, document)
		assert.GreaterOrEqual(t, len(blocks), least, document)
		for _, block := range blocks {
			assert.Contains(t, string(tested), "\n"+block, document)
			assert.Regexp(t, `^func `, block, "%s: code that stands alone can be compiled", document)
		}
	}
}
