package gate

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/afterlock/afterlock/spec"
	"github.com/afterlock/afterlock/tempdir"
)

// Stages returns the stages of the gate, in the order in which they run.
func Stages() []Stage {
	return []Stage{
		modelStage{spec.Manifest},
		onFiles{conformanceStage{}},
		onFiles{traces{}},
		onFiles{linearizabilityStage{}},
		onFiles{lifecycleStage{}},
		crash{},
		fuzzStage{},
		onFiles{blackBox{}},
		onFiles{worldStage{}},
	}
}

// An onFiles is a stage that is skipped where the library does not work, such as
// without open file description locks.
type onFiles struct{ Stage }

func (s onFiles) Run(ctx context.Context, env Env) (Result, error) {
	for _, dir := range []string{env.Scratch, env.Memory} {
		if err := supported(ctx, dir); err != nil {
			return skipIfUnsupported(Result{}, err)
		}
	}
	return s.Stage.Run(ctx, env)
}

// supported makes and closes an instance in the directory, and recovers. The error
// matches [errors.ErrUnsupported]; of any other the stage has more to say.
func supported(ctx context.Context, dir string) error {
	path := filepath.Join(dir, "supported")
	root, err := tempdir.Open(path, tempdir.Make(0o700))
	if err == nil {
		var instance *tempdir.Dir
		if instance, err = root.Create(); err == nil {
			err = instance.Close(ctx)
		}
		err = errors.Join(err, root.Close())
	}
	_ = os.RemoveAll(path)
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// skipIfUnsupported turns an error about the operating or the file system into
// a skipped stage.
func skipIfUnsupported(result Result, err error) (Result, error) {
	if errors.Is(err, errors.ErrUnsupported) {
		result.Skipped, result.Because = true, err.Error()
		return result, nil
	}
	return result, err
}
