//go:build linux

package conformance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/model"
)

// Roles of processes.
const (
	forkedRole    = "conformance process"       // takes upstream's steps
	namespaceRole = "conformance in namespaces" // runs a model
)

func init() {
	proc.Register(forkedRole, func([]string) { proc.Fail(serve()) })
	proc.Register(namespaceRole, func([]string) { proc.Fail(serveNamespace()) })
}

// A child is the forked process, seen from inside: a caller of upstream's code.
type child struct {
	job
	talk   func(stop) turn // says where it stands, and waits for its turn
	turn   turn
	last   string     // action
	making bool       // it stood before MakeData already
	broken unix.Errno // the disk that failed goes on failing
}

func serve() error {
	c := &child{talk: talk}
	if err := proc.Parent.Receive(&c.job); err != nil {
		return err
	}
	return c.live(upstream.Options{})
}

// live is the life of the process: its caller does what it is ordered to, until an
// order cannot be followed.
func (c *child) live(o upstream.Options) error {
	o.CreatorRechecks, o.RecovererRechecks, o.Before = c.Rechecks, c.Rechecks, c.before
	root, err := upstream.New(c.Root, o)
	for err == nil {
		if c.pause(stop{Place: atIdle}); c.turn.Order.Op == opRecover {
			_ = root.Recover()
			c.idle()
		} else if c.turn.Order.Op == opCreate {
			if dir, failed := root.Create(); failed == nil {
				err = c.own(dir)
			}
			c.idle()
		} else {
			err = fmt.Errorf("order %v without an instance", c.turn.Order.Op)
		}
	}
	return err
}

func (c *child) pause(at stop) { c.turn = c.talk(at) }

// talk is with the parent. Without one there is nothing to do.
func talk(at stop) (t turn) {
	if proc.Parent.Send(at) != nil || proc.Parent.Receive(&t) != nil {
		os.Exit(0)
	}
	return t
}

// idle ends an operation.
func (c *child) idle() { c.broken, c.making, c.last = 0, false, "" }

// before stops before every call that takes a step.
func (c *child) before(action, name string) error {
	look := action == "" && c.Creator && strings.HasPrefix(name, dataPrefix) &&
		(c.last == "UpstreamTakeLock" || c.last == "UpstreamStatName")
	switch {
	case look: // the step of MakeData begins with a look whether it is there
		action, c.making = "MakeData", true
	case action == "MakeData" && c.making:
		c.making = false
		return errorOf(c.turn.Errno)
	case action == "UpstreamRemoveLock", action == "Close":
		c.broken = 0
	case c.broken != 0:
		return c.broken
	}
	if action == "" {
		return nil
	}
	c.last = action
	if c.turn.Free {
		return nil
	}
	c.pause(stop{Place: atCall, Call: action, Name: name})
	if c.turn.Errno != 0 && (action == "RemoveData" || action == "OpenEntry" || action == "RemoveEntry") {
		c.broken = c.turn.Errno
	}
	return errorOf(c.turn.Errno)
}

func errorOf(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// own is the life of an owner, from Create's response to Cleanup's. An error is
// about the order, not about upstream.
func (c *child) own(dir *upstream.Dir) error {
	c.making = false
	additions := map[model.Item]*upstream.Addition{}
	c.pause(stop{Place: atReply, Reply: model.OK})
	for at := (stop{Place: atLive}); ; at = (stop{Place: atLive}) {
		c.pause(at)
		x := c.turn.Order.Item
		switch c.turn.Order.Op {
		case opStageDeletion:
			c.reply(dir.StageDeletion(c.Homes[x]))
		case opStageAddition:
			a := dir.StageAddition()
			additions[x] = a
			if err := makeFiles(a.Path(), c.Files); err != nil {
				return err
			}
		case opCommit:
			c.reply(additions[x].Commit(c.Homes[x]))
		case opClose, opCloseStaged:
			_ = dir.Cleanup() // what it leaves is what the observer sees
			return nil
		default:
			return fmt.Errorf("order %v with an instance", c.turn.Order.Op)
		}
	}
}

// reply is the stop after an operation on an instance has responded. Upstream
// does not tell what is missing.
func (c *child) reply(err error) {
	at := stop{Place: atReply, Reply: model.OK, Err: errorText(err)}
	switch {
	case errors.Is(err, unix.ENOENT):
		at.Reply = model.Missing
	case err != nil:
		at.Reply = model.Failed
	}
	c.pause(at)
}

// makeFiles makes a tree.
func makeFiles(path string, files int) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	for i := range files {
		fd, err := unix.Open(filepath.Join(path, fileNames[i]), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		_ = unix.Close(fd)
	}
	return nil
}
