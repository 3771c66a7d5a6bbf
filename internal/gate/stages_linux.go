package gate

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/afterlock/afterlock/tempdir"
)

// Stages returns the stages of the gate, in the order in which they run.
func Stages() []Stage {
	return []Stage{
		modelStage,
		proofStage,
		{"conformance", "every edge of the specification's graphs, executed by the library on real files", onFiles(runConformance)},
		{"traces", "what free-running goroutines and killed processes did is a behaviour of the specification", onFiles(runTraces)},
		{"linearizability", "histories of the layer store, from goroutines and from killed processes, judged by Porcupine", onFiles(runLinearizability)},
		{"lifecycle", "the layer store at size: killed processes make and delete layers of many files, others recover", onFiles(runLifecycle)},
		{"crash", "every crash and every power loss on a simulated disk; recovery from each", runCrash},
		{"powerloss", "every state that a power loss can leave of ext4, xfs and btrfs; their own recovery, and then ours", onFiles(runPowerLoss)},
		{"fuzz", "programs of several processes, drawn and mutated, against the model at every call", runFuzz},
		{"blackbox", "real processes, killed or refused at each of their calls, and scheduled call by call", onFiles(runBlackBox)},
		{"worlds", "what people met: every two of file system, user, /proc, refused calls, full disks, shapes, places and company", onFiles(runWorlds)},
	}
}

// onFiles is of a stage that is skipped where the library does not work, such as
// without open file description locks.
func onFiles(run func(context.Context, Env) (Result, error)) func(context.Context, Env) (Result, error) {
	return func(ctx context.Context, env Env) (Result, error) {
		for _, dir := range []string{env.Scratch, env.Memory} {
			if err := supported(ctx, dir); err != nil {
				return skipIfUnsupported(Result{}, err)
			}
		}
		return run(ctx, env)
	}
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
