package subjects

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Storage is the module of the store since v1.60.
const Storage = "go.podman.io/storage"

// ours is the module of this repository.
const ours = "github.com/afterlock/afterlock"

// driverSource is where the source of the driver is in a checkout.
const driverSource = "crashsim/subjects/containers-storage"

// Options are what a workshop is made for.
type Options struct {
	Module   string    // of the store, [Storage] by default
	Version  string    // of it, the newest by default
	Dir      string    // where copies and binaries are put; it has to exist
	Checkout string    // of this repository; by default it is looked for
	Log      io.Writer // progress, a line for each build; may be nil
}

// A Workshop has copies of one release of the store, and what was built from
// them. Any number of goroutines may use it.
type Workshop struct {
	Module  string
	Version string // as the proxy has it, never "latest"

	dir, release, checkout string
	log                    io.Writer

	mu   sync.Mutex
	made map[string]*made
}

// made is something that is made once.
type made struct {
	once sync.Once
	path string
	err  error
}

// Open looks up the release, downloading it if the module cache lacks it. Its
// error matches [ErrUnavailable] if that is what fails.
func Open(ctx context.Context, o Options) (*Workshop, error) {
	w := &Workshop{Module: cmp.Or(o.Module, Storage), log: o.Log, made: make(map[string]*made)}
	var err error
	if w.dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if w.log == nil {
		w.log = io.Discard
	}
	if w.checkout, err = checkout(o.Checkout); err != nil {
		return nil, err
	}
	if err := startsPrograms(w.dir); err != nil {
		return nil, err
	}
	module := w.Module + "@" + cmp.Or(o.Version, "latest")
	output, err := run(ctx, w.dir, []string{"GOFLAGS="}, "mod", "download", "-json", module)
	var found struct{ Version, Dir, Error string }
	if bad := json.Unmarshal(output, &found); bad != nil || found.Error != "" || err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrUnavailable, module, cmp.Or(found.Error, fmt.Sprint(err)))
	}
	w.Version, w.release = found.Version, found.Dir
	return w, nil
}

// startsPrograms returns an error if a program in the directory cannot be started,
// because of a mount option, say.
func startsPrograms(dir string) error {
	file, err := os.CreateTemp(dir, "program-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := errors.Join(file.Chmod(0o700), file.Close()); err != nil {
		return err
	}
	if _, err := exec.LookPath(file.Name()); err != nil {
		return fmt.Errorf("%w: no program can be started in %s: %w", ErrUnavailable, dir, err)
	}
	return nil
}

// checkout finds the checkout of this repository: dir, if it is given, else the
// working directory or one above it, else where this program was built.
func checkout(dir string) (string, error) {
	candidates := []string{dir}
	if dir == "" {
		candidates = nil
		here, err := os.Getwd()
		for ; err == nil && filepath.Dir(here) != here; here = filepath.Dir(here) {
			candidates = append(candidates, here)
		}
		_, file, _, _ := runtime.Caller(0)
		candidates = append(candidates, filepath.Join(filepath.Dir(file), "..", ".."))
	}
	for _, c := range candidates {
		text, err := os.ReadFile(filepath.Join(c, "go.mod"))
		if err != nil || !bytes.HasPrefix(text, []byte("module "+ours+"\n")) {
			continue
		}
		if _, err := os.Stat(filepath.Join(c, driverSource, "go.mod")); err == nil {
			return filepath.Abs(c)
		}
	}
	return "", fmt.Errorf("%w: this needs a checkout of %s, as working directory or by --checkout", ErrUnavailable, ours)
}

// once makes what is called name, unless that has been done.
func (w *Workshop) once(name string, do func() (string, error)) (string, error) {
	w.mu.Lock()
	m := w.made[name]
	if m == nil {
		m = &made{}
		w.made[name] = m
	}
	w.mu.Unlock()
	m.once.Do(func() { m.path, m.err = do() })
	return m.path, m.err
}

// Copy returns the directory of the variant: the files of the release with the
// variant's edits, and a package that exports its package tempdir, if additions can be
// staged in that.
func (w *Workshop) Copy(ctx context.Context, variant string) (string, error) {
	return w.once("copy "+variant, func() (string, error) {
		edits, ok := variants[variant]
		if !ok {
			return "", fmt.Errorf("no variant %q", variant)
		}
		c := &tree{Workshop: w, dir: filepath.Join(w.dir, variant, "storage")}
		if err := os.CopyFS(c.dir, os.DirFS(w.release)); err != nil {
			return "", err
		}
		for _, edit := range append([]edit{exportInternals}, edits...) {
			if err := edit(ctx, c); err != nil {
				return "", fmt.Errorf("%s %s, variant %s: %w", w.Module, w.Version, variant, err)
			}
		}
		return c.dir, nil
	})
}

// Command returns the path of the containers-storage command of the variant.
func (w *Workshop) Command(ctx context.Context, variant string) (string, error) {
	return w.once("command "+variant, func() (string, error) {
		dir, err := w.Copy(ctx, variant)
		if err != nil {
			return "", err
		}
		return w.build(ctx, dir, variant, "containers-storage", "./cmd/containers-storage")
	})
}

// Driver returns the path of our driver, linked with the variant. Its source says
// what it does.
func (w *Workshop) Driver(ctx context.Context, variant string) (string, error) {
	return w.once("driver "+variant, func() (string, error) {
		dir, err := w.Copy(ctx, variant)
		if err != nil {
			return "", err
		}
		source, err := w.driverModule(ctx, variant, dir)
		if err != nil {
			return "", err
		}
		return w.build(ctx, source, variant, "driver", ".")
	})
}

// driverModule copies the module of the driver, and has it require the variant.
func (w *Workshop) driverModule(ctx context.Context, variant, storage string) (string, error) {
	dir := filepath.Join(w.dir, variant, "source")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(w.checkout, driverSource))); err != nil {
		return "", err
	}
	c := &tree{Workshop: w, dir: dir}
	if err := c.rewrite(func(_, text string) string { return strings.ReplaceAll(text, `"`+Storage, `"`+w.Module) }); err != nil {
		return "", err
	}
	if (&tree{w, storage}).hasInternals() {
		if err := linkInternals(ctx, c); err != nil {
			return "", err
		}
	}
	// Anew, since what the newest release requires may be too new for this one.
	mod := fmt.Sprintf("module %s/%s\n\ngo 1.23.0\n\nrequire %s %s\n\nreplace %s => %q\n\nreplace %s => %q\n",
		ours, driverSource, w.Module, w.Version, w.Module, storage, ours, w.checkout)
	err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o644)
	return dir, err
}

// tags leave out what needs cgo, and libraries of the machine.
const tags = "exclude_graphdriver_btrfs,exclude_graphdriver_devicemapper,containers_image_openpgp"

func (w *Workshop) build(ctx context.Context, dir, variant, name, pkg string) (string, error) {
	fmt.Fprintf(w.log, "building %s of %s %s, %s\n", name, w.Module, w.Version, variant)
	path := filepath.Join(w.dir, variant, name)
	// Without the paths of this machine the cache serves all variants.
	_, err := run(ctx, dir, nil, "build", "-trimpath", "-tags", tags, "-o", path, pkg)
	return path, err
}

// Go runs the go command in the copy of the variant and returns what it printed
// on standard output. The environment's variables are added; tags of ours are not.
func (w *Workshop) Go(ctx context.Context, variant string, env []string, args ...string) ([]byte, error) {
	dir, err := w.Copy(ctx, variant)
	if err != nil {
		return nil, err
	}
	return run(ctx, dir, env, args...)
}

// unreachable is what the go command says of a module that it cannot get.
var unreachable = []string{"module lookup disabled by GOPROXY=off", "dial tcp"}

// run runs the go command in the directory. Its error has what was printed on
// standard error, and matches [ErrUnavailable] if there is no go command, or a
// module cannot be got.
func run(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	temporary, err := filepath.Abs(os.TempDir()) // it runs in another directory
	if err != nil {
		return nil, err
	}
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off", "TMPDIR="+temporary), env...)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	output, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		err = fmt.Errorf("%w: there is no go command: %w", ErrUnavailable, err)
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
		err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(failure.Bytes()))
		if slices.ContainsFunc(unreachable, func(what string) bool { return strings.Contains(failure.String(), what) }) {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return output, err
}
