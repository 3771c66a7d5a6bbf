package subjects

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/afterlock/afterlock/tempdir/compat"
)

// A living is something that is under way. finish finishes it, and its error says
// that something of it is gone.
type living struct {
	name   string
	finish func() error
}

// liveIn has a live instance of compat, with an addition, in a root.
func liveIn(dir, root string) (living, error) {
	td, err := compat.NewTempDir(filepath.Join(dir, root))
	if err != nil {
		return living{}, err
	}
	addition, err := td.StageAddition()
	if err != nil {
		return living{}, err
	}
	file := filepath.Join(addition.Path, "file")
	if err := errors.Join(os.MkdirAll(addition.Path, 0o700), os.WriteFile(file, []byte("whole"), 0o600)); err != nil {
		return living{}, err
	}
	return living{filepath.Base(dir) + "/" + root, func() error {
		text, err := os.ReadFile(file)
		if err == nil && string(text) != "whole" {
			err = errors.New("incomplete")
		}
		return errors.Join(err, td.Cleanup())
	}}, nil
}

// liveStaging is the directory of a partial pull, with its lock held.
func (s *shared) liveStaging(wanted bool) (living, error) {
	if s.driver != "overlay" || !wanted {
		return living{}, nil
	}
	dir := filepath.Join(s.graph, "overlay", "staging", "7")
	if err := os.MkdirAll(filepath.Join(dir, "dir"), 0o700); err != nil {
		return living{}, err
	}
	lock, err := compat.TryLockPath(filepath.Join(dir, "staging.lock"))
	return living{"staging", func() error {
		_, err := os.Stat(filepath.Join(dir, "dir"))
		return errors.Join(err, lock.UnlockAndDelete())
	}}, err
}

// pull starts to import a layer, and goes on until the store has unpacked a part.
func (s *shared) pull(ctx context.Context, variant, path string) (living, error) {
	if s.driver != "overlay" {
		return living{}, nil // it has the locks while it unpacks, and everybody else waits
	}
	cmd := s.storage(ctx, path, "import-layer")
	content, err := cmd.StdinPipe()
	if err != nil {
		return living{}, err
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return living{}, err
	}
	// No pipe or buffer on the way holds as much as this, so that the first file is
	// unpacked when it is written.
	layer := pulledLayer()
	half := len(layer) / 2
	before := s.unpacked()
	if _, err := content.Write(layer[:half]); err != nil {
		return living{}, errors.Join(err, cmd.Wait(), errors.New(said.String()))
	}
	if s.unpacked() != before+1 {
		return living{}, fmt.Errorf("the pull has unpacked nothing into %s/tempdirs", s.driver)
	}
	return living{"pull by " + variant, func() error {
		_, err := content.Write(layer[half:])
		err = errors.Join(err, content.Close(), cmd.Wait())
		if err != nil {
			return fmt.Errorf("%w: %s", err, said.String())
		}
		return s.same(ctx, path, strings.Fields(said.String())[0], layer)
	}}, nil
}

// unpacked is how many pulls have their first file in an instance.
func (s *shared) unpacked() (n int) {
	// A walk does not follow a link that it starts at.
	_ = filepath.WalkDir(filepath.Join(s.graph, s.driver, "tempdirs")+"/.", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "first" {
			n++
		}
		return nil
	})
	return n
}

// same compares the layer that the store has with what was put.
func (s *shared) same(ctx context.Context, path, id string, layer []byte) error {
	content, err := s.storage(ctx, path, "diff", id).Output()
	if err == nil && !bytes.Equal(content, layer) {
		err = fmt.Errorf("%d bytes of the layer were put, and %d others are read", len(layer), len(content))
	}
	return err
}

// pulledLayer is a layer with a small file and a big one.
func pulledLayer() []byte {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range []struct {
		name string
		size int
	}{{"first", 6}, {"big", 8 << 20}} {
		_ = w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o600, Size: int64(file.size)})
		_, _ = w.Write(make([]byte, file.size))
	}
	_ = w.Close()
	return archive.Bytes()
}
