package subjects

import (
	"embed"
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// adopted are the files that [Workshop.Adopt] adds to copies.
//
//go:embed testdata/adopt
var adopted embed.FS

func addFile(path, name string) edit {
	text, err := adopted.ReadFile("testdata/adopt/" + name)
	if err != nil {
		panic(err)
	}
	return writeFile(path, string(text))
}

// staleID is an id that a release could draw, in the place of the word that its
// tests use.
const staleID = "999999999"

func init() {
	// The two packages are compat, for their own tests, which stay.
	variants["compat-shim"] = slices.Concat(useCompat, []edit{
		addFile("internal/tempdir/tempdir.go", "tempdir.go"),
		addFile("internal/staging_lockfile/staging_lockfile.go", "staging_lockfile.go"),
	})
	variants["compat-shim-ids"] = slices.Concat(variants["compat-shim"], []edit{
		replaceString("internal/tempdir/tempdir_test.go", "TestRecoverStaleDirs", "stale", staleID),
		replaceString("internal/tempdir/tempdir_test.go", "TestRecoverStaleDirsSkipsActiveDirs", "stale", staleID),
	})
	// The release, and compat in one process with it.
	variants["released-together"] = []edit{
		requireOurs,
		addFile("internal/tempdir/together_test.go", "together_test.go"),
	}
	// What is printed when a write lock is given up.
	held := []edit{
		addFile("pkg/lockfile/held.go", "held.go"),
		atStart("pkg/lockfile/lockfile.go", "LockFile.Lock", "defer afterlockTaken(l.file)"),
		atStart("pkg/lockfile/lockfile.go", "LockFile.Unlock", "defer afterlockHeld(l.file)()"),
	}
	variants["released-held"] = held
	variants["compat-held"] = slices.Concat(useCompat, held)
	variants["patched-held"] = slices.Concat(variants["patched"], held)
	variants["patched-opened-held"] = slices.Concat(variants["patched-opened"], held)
	// And recovery out of the locks.
	variants["compat-out"] = slices.Concat(outOfLocks, useCompat)
	variants["compat-out-held"] = slices.Concat(variants["compat-out"], held)
}

// replaceString replaces a string, all of it, wherever a function has it.
func replaceString(path, function, from, to string) edit {
	return inFunction(path, function, func(s *source, f *ast.FuncDecl) error {
		body := s.of(f.Body)
		changed := strings.ReplaceAll(body, fmt.Sprintf("%q", from), fmt.Sprintf("%q", to))
		if changed == body {
			return fmt.Errorf("%s: %s has no %q", path, function, from)
		}
		return s.replace(f.Body.Pos(), f.Body.End(), changed)
	})
}
