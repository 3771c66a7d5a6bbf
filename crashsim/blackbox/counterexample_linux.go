//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
)

// An Action is one step of a counterexample.
type Action struct {
	Name    string // in the spec
	Process int    // 0: the creator; 1, 2: the recoverers
}

// Counterexample is how the model, one of upstream that is refuted, says that
// live data is lost. It takes some milliseconds.
func Counterexample(ctx context.Context, name string) ([]Action, error) {
	r, err := model.Find(name).Refute(ctx, model.Options{})
	if err != nil {
		return nil, err
	}
	if r.Counterexample == nil {
		return nil, fmt.Errorf("the model %s is not refuted", name)
	}
	var actions []Action
	for _, s := range r.Counterexample.States[1:] {
		name, arguments, _ := strings.Cut(strings.TrimSuffix(s.Action, ")"), "(")
		who, _, _ := strings.Cut(arguments, ",")
		i := map[string]int{"c1": 0, "r1": 1, "r2": 2}[who]
		actions = append(actions, Action{name, i})
	}
	return actions, nil
}

// Takes reports whether upstream's call, in a root of its instances, is the action's.
func (a Action) Takes(c Call) bool {
	last := ""
	if len(c.Paths) > 0 {
		last = path.Base(c.Paths[len(c.Paths)-1])
	}
	lock, data := strings.HasPrefix(last, "lock-"), strings.HasPrefix(last, "temp-dir-")
	flags := func(argument int, mask uint64) bool { return c.Arguments[argument]&mask != 0 }
	switch a.Name {
	case "UpstreamCreateLock":
		return c.Name == "openat" && lock && flags(2, unix.O_EXCL)
	case "UpstreamOpenLock":
		return lock && (c.Name == "openat2" || c.Name == "openat" && !flags(2, unix.O_EXCL))
	case "UpstreamStatName":
		return c.Name == "newfstatat" && lock
	case "UpstreamTakeLock":
		return c.Name == "fcntl"
	case "MakeData":
		return c.Name == "mkdirat" && data
	case "List":
		return c.Name == "getdents64"
	case "OpenDirectory":
		return c.Name == "unlinkat" && data && !flags(2, unix.AT_REMOVEDIR)
	case "RemoveData":
		return c.Name == "unlinkat" && data && flags(2, unix.AT_REMOVEDIR)
	case "UpstreamRemoveLock":
		return c.Name == "unlinkat" && lock
	case "Close":
		return c.Name == "close" && lock
	}
	return false
}
