package subjects

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

func TestMain(m *testing.M) { proc.Main(m) } // many files

// released opens the workshop of a release that is in the module cache.
func released(t *testing.T) *Workshop {
	t.Setenv("GOPROXY", "off")
	w, err := Open(t.Context(), Options{Version: "v1.65.1", Dir: t.TempDir()})
	if err != nil {
		t.Skip("skipped, because the module cache has no release: ", err)
	}
	return w
}

func TestEveryVariantCanBeMadeOfTheNewestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short, because it copies the store a dozen times")
	}
	w := released(t)
	for variant := range variants {
		_, err := w.Copy(t.Context(), variant)
		require.NoError(t, err)
	}
	_, err := w.Copy(t.Context(), "other")
	require.EqualError(t, err, `no variant "other"`)
}

// The go command runs in another directory, and reads paths from go.mod.
func TestPathsWithBlanksAndARelativeTemporaryDirectory(t *testing.T) {
	w := released(t)
	w.dir = filepath.Join(w.dir, "a blank")
	dir, err := w.Copy(t.Context(), "released")
	require.NoError(t, err)
	source, err := w.driverModule(t.Context(), "released", dir)
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("relative", 0o700))
	t.Setenv("TMPDIR", "relative")
	_, err = run(t.Context(), source, nil, "build", "-o", os.DevNull, "errors")
	require.NoError(t, err)
}

// The module cache may have a release, and not all that it requires.
func TestABuildWithoutAModuleIsUnavailable(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		proxy, require, imports string
		unavailable             bool
	}{
		{"off", "", "example.com/none", true},
		{"off", "example.com/none v1.0.0", "example.com/none", true},
		{"http://127.0.0.1:1", "example.com/none v1.0.0", "example.com/none", true},
		{"off", "", "none", false}, // of the standard library
	} {
		t.Setenv("GOPROXY", c.proxy)
		mod := "module m\n\ngo 1.23.0\n"
		if c.require != "" {
			mod += "\nrequire " + c.require + "\n"
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "m.go"), []byte("package m\n\nimport _ \""+c.imports+"\"\n"), 0o600))
		_, err := run(t.Context(), dir, nil, "build")
		require.Error(t, err)
		require.Equal(t, c.unavailable, Unavailable(err), err)
	}
}

func TestWhatCannotBeHadIsUnavailable(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	_, err := Open(t.Context(), Options{Version: "v0.0.1", Dir: t.TempDir()})
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "go.podman.io/storage@v0.0.1")

	_, err = Open(t.Context(), Options{Checkout: t.TempDir(), Dir: t.TempDir()})
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "needs a checkout")

	t.Setenv("PATH", t.TempDir())
	_, err = Open(t.Context(), Options{Dir: t.TempDir()})
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "there is no go command")
}
