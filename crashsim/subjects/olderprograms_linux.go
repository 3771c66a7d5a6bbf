package subjects

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// olderReleases are those that share a store with the workshop's. The first does
// not know the directories of instances, which came with v1.59.0.
var olderReleases = []Options{
	{Module: "github.com/containers/storage", Version: "v1.58.0"},
	{Module: "github.com/containers/storage", Version: "v1.59.1"},
	{Module: Storage, Version: "v1.61.0"},
	{Module: Storage, Version: "v1.62.3"},
	{Module: Storage, Version: "v1.64.2"},
}

// An older is a program that knows less than the newest release.
type older struct {
	name    string
	command func(ctx context.Context, s *shared, words string) *exec.Cmd
	prepare []string // puts something into the store
	actions []action
	loses   func(l layout, a action) []string // what is known to be lost
}

// An action is a command, and what is special beside it.
type action struct {
	words, title string
	unlinked     bool // the links of all layers are lost
	noStaging    bool // no partial pull is in progress
}

func (a action) String() string { return cmp.Or(a.title, a.words) }

// commands are actions with nothing special.
func commands(all ...string) (actions []action) {
	for _, words := range all {
		actions = append(actions, action{words: words})
	}
	return actions
}

// olderCommand builds the command of a release, and says whether that knows instances.
func olderCommand(ctx context.Context, o Options) (path string, knows bool, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return "", false, err
	}
	w, err := Open(ctx, o)
	if err != nil {
		return "", false, err
	}
	if path, err = w.Command(ctx, "released"); err != nil {
		return "", false, err
	}
	_, err = os.Stat(filepath.Join(w.release, "internal", "tempdir"))
	return path, err == nil, nil
}

// releaseAs is the containers-storage command of a release, which knows instances or not.
func releaseAs(version, path string, knows bool) older {
	const repair = "check --repair --max 1ns"
	o := older{
		name: version,
		command: func(ctx context.Context, s *shared, words string) *exec.Cmd {
			return s.storage(ctx, path, strings.Fields(words)...)
		},
		prepare: []string{"create-layer -i lower", "create-layer -i upper lower", "create-layer -i other"},
		actions: append(commands("layers", "delete-layer other", "check", repair, "gc", "shutdown"),
			action{words: "shutdown", title: "shutdown, which unmounts overlay/", noStaging: true},
			action{words: "mount upper", title: "mount upper, links of layers lost", unlinked: true}),
		loses: losesInstances(),
	}
	if !knows {
		o.loses = losesInstances("gc", repair)
	}
	return o
}

// engine runs podman or buildah on the store.
func engine(ctx context.Context, s *shared, words string) *exec.Cmd {
	args := strings.Fields(strings.ReplaceAll(words, "BASE", s.base))
	line := []string{"--root", s.graph, "--runroot", s.run, "--storage-driver", s.driver}
	if args[0] == "podman" {
		line = append(line, "--tmpdir", filepath.Join(s.run, "tmp"))
	}
	return exec.CommandContext(ctx, args[0], append(line, args[1:]...)...)
}

// losesInstances is what a program loses that takes overlay/tempdirs for a layer.
func losesInstances(by ...string) func(l layout, a action) []string {
	return func(l layout, a action) []string {
		if l.name == "overlay" && slices.Contains(by, a.words) {
			return []string{"overlay/tempdirs", "pull by released", "pull by compat"}
		}
		return nil
	}
}

// debians are the programs of Debian 12, if this machine has them. What they do to
// the whole machine, as "system renumber" does, is not tried.
func debians(ctx context.Context) ([]older, error) {
	for program, version := range map[string]string{"podman": "4.3.1", "buildah": "1.28.2"} {
		said, err := exec.CommandContext(ctx, program, "--version").Output()
		if err != nil {
			return nil, err
		}
		if !strings.Contains(string(said), version) {
			return nil, fmt.Errorf("%s is not %s", strings.TrimSpace(string(said)), version)
		}
	}
	return []older{{
		name:    "podman 4.3.1, buildah 1.28.2",
		command: engine,
		prepare: []string{
			"podman import -q BASE/content.tar localhost/base:1",
			"podman build -q --network=host --isolation=chroot -t localhost/derived:1 BASE/context",
			"buildah from --name working localhost/base:1",
		},
		actions: commands(
			"podman images", "podman build -q --network=host --isolation=chroot -t localhost/more:1 BASE/context",
			"buildah from scratch", "buildah commit -q working localhost/committed:1", "buildah rm working",
			"podman rmi -f localhost/derived:1", "buildah rmi --prune", "podman system prune -af"),
		// Every shutdown of its store removes overlay/staging.
		loses: func(l layout, _ action) []string {
			if l.driver == "overlay" {
				return []string{"staging"}
			}
			return nil
		},
	}}, nil
}
