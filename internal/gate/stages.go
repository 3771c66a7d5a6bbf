package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/afterlock/afterlock/internal/stress"
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
		onFiles{blackBox{}},
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

// stressConfig translates the configuration for package stress.
func stressConfig(env Env) stress.Config {
	return stress.Config{
		Dir: env.Scratch, Keep: env.Dir, Tree: env.Tree, Seed: env.Seed, Duration: env.Duration,
		Creators: env.Creators, Recoverers: env.Recoverers,
		Log: env.Log, Progress: env.Progress,
	}
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

// stressFlags are the flags that a stage of package stress depends on.
func stressFlags(env Env, creators, recoverers int) []string {
	flags := []string{"--creators", strconv.Itoa(creators), "--recoverers", strconv.Itoa(recoverers), "--dir", env.Dir}
	if env.Duration > 0 {
		flags = append(flags, "--duration", env.Duration.String())
	}
	return flags
}

type lifecycle struct{}

func (lifecycle) Name() string { return "oldlifecycle" }

func (lifecycle) Description() string {
	return "processes delete and add layers of real files, are killed, and others recover"
}

func (lifecycle) Run(ctx context.Context, env Env) (Result, error) {
	r, err := stress.Lifecycle(ctx, stressConfig(env))
	flags, files := stressFlags(env, r.Creators, r.Recoverers), "files made for it"
	if env.Tree != "" {
		flags, files = append(flags, "--tree", env.Tree), env.Tree
	}
	return skipIfUnsupported(Result{
		Ran: fmt.Sprintf("%d creators and %d recoverers on %d layers of %s, on %s",
			r.Creators, r.Recoverers, r.Layers, files, r.FileSystem),
		Space: r.Space,
		Counts: []Count{
			AtLeast("layers", r.Layers, 40),
			AtLeast("files", r.Files, 40),
			AtLeast("deletions", r.Deletions, 10),
			AtLeast("additions", r.Additions, 10),
			AtLeast("hashed", r.Checked, 20),
			AtLeast("kills", r.Kills, stress.MinKills),
			AtLeast("inside removals", r.KillsInside, 1),
			AtLeast("recoveries", r.Recoveries, 20),
			AtLeast("instances recovered", r.Recovered, 1),
		},
		Problems: r.Problems,
		Flags:    flags,
	}, err)
}

// retiring are stages that [Select] knows and a run of all leaves out.
var retiring = []Stage{onFiles{race{}}, onFiles{lifecycle{}}}

type race struct{}

func (race) Name() string { return "oldrace" }

func (race) Description() string {
	return "creators and recoverers in tight loops; data is looked at after every step"
}

func (race) Run(ctx context.Context, env Env) (Result, error) {
	r, err := stress.Race(ctx, stressConfig(env))
	result := Result{
		Ran: fmt.Sprintf("%d creators and %d recoverers for %.1f s, on %s",
			r.Creators, r.Recoverers, r.Elapsed.Seconds(), r.FileSystem),
		Counts: []Count{
			AtLeast("instances", r.Instances, stress.MinInstances),
			Never("lost", r.Lost),
			Never("partial commits", r.Partial),
			AtLeast("commits", r.Commits, stress.MinCommits),
			AtLeast("recoveries", r.Recoveries, 100),
			AtLeast("live instances met", r.Met, 1),
		},
		Problems: r.Problems,
		Flags:    stressFlags(env, r.Creators, r.Recoverers),
	}
	if err == nil {
		result.Line = r.String()
	}
	return skipIfUnsupported(result, err)
}
