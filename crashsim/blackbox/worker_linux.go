//go:build amd64 || arm64

package blackbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

// A worker runs programs, one after another, in a directory of its own. One
// goroutine uses it.
type worker struct {
	command string // path; see image
	super   *supervisor
	changes *supervisor // of recoveries whose changes alone matter
	scene   string      // what supervised processes work on
	copy    string      // what is recovered without supervision

	drivers map[string]*process      // idle ones, by binary and first argument
	servers map[string]*proc.Process // by binary: drivers without supervision
	here    tree                     // what is in scene
	there   tree                     // what is in copy
}

func newWorker(dir string, processor int, command string) (*worker, error) {
	w := &worker{
		command: command, drivers: make(map[string]*process), servers: make(map[string]*proc.Process),
		scene: filepath.Join(dir, "scene"), copy: filepath.Join(dir, "copy"),
	}
	for _, path := range []string{w.scene, w.copy} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	if w.super, err = newSupervisor(w.scene, allCalls, processor, patience, false); err != nil {
		return nil, err
	}
	if w.changes, err = newSupervisor(w.scene, changes, processor, patience, false); err != nil {
		w.super.close()
		return nil, err
	}
	for _, binary := range []string{"tempdir", "layers"} {
		server, err := w.startServer(binary)
		if err != nil {
			w.close()
			return nil, err
		}
		w.servers[binary] = server
	}
	return w, nil
}

func (w *worker) close() {
	w.super.close()
	w.changes.close()
	for _, s := range w.servers {
		_ = s.End()
	}
}

// prepare makes the scene the tree.
func (w *worker) prepare(t tree) error { return rebuild(w.scene, &w.here, t) }

// rebuild makes dir, which holds what old says, the tree: what both have stays.
func rebuild(dir string, old *tree, t tree) error {
	gone, fresh := old.difference(t)
	*old = nil
	if err := gone.raze(dir); err != nil {
		return err
	}
	if err := fresh.build(dir); err != nil {
		return err
	}
	*old = t
	return nil
}

// look captures the scene.
func (w *worker) look() (tree, error) {
	t, err := capture(w.scene)
	if err == nil {
		w.here = t
	}
	return t, err
}

// begin starts the program on the scene and runs it to its first stop.
func (w *worker) begin(p *program) (*process, error) {
	if !p.serves {
		image, err := w.image(p.binary)
		if err != nil {
			return nil, err
		}
		return w.super.start(p.name, image, at(p.words, w.scene)...)
	}
	d, err := w.driver(p.binary, p.arguments...)
	if err != nil {
		return nil, err
	}
	return d, w.super.command(d, at(p.words, w.scene)...)
}

// driver returns an idle driver, which it starts if there is none.
func (w *worker) driver(binary string, arguments ...string) (*process, error) {
	return w.driverAs(w.super, strings.Join(append([]string{binary}, arguments...), " "), binary, arguments...)
}

// driverAs is driver for several of one binary, told apart by their keys.
func (w *worker) driverAs(super *supervisor, key, binary string, arguments ...string) (*process, error) {
	d := w.drivers[key]
	if d == nil || d.dead {
		image, err := w.image(binary)
		if err != nil {
			return nil, err
		}
		if d, err = super.start(key, image, arguments...); err != nil {
			return nil, err
		}
		d.strays = binary == "layers"
		w.drivers[key] = d
	}
	if !d.idle() {
		return nil, fmt.Errorf("%s did not end its last command", key)
	}
	return d, nil
}

// end takes the answer of a process that is idle or about to exit, and says
// whether that was success.
func (w *worker) end(d *process) (answer string, ok bool, err error) {
	if d.idle() {
		answer = d.reply()
		ok = answer == "ok"
		d.warm = d.warm || ok && !d.strays
		return answer, ok, nil
	}
	for !d.dead {
		if err := d.super.step(d); err != nil {
			return "", false, err
		}
	}
	answer = d.reply()
	unix.Close(d.output)
	return answer, d.code == 0, nil
}

// follow runs a process that works on the scene, which is the tree disk, to its end. It
// calls before, before each call, with the disk, and whether that is fresh: the last
// call may have changed it.
func (w *worker) follow(d *process, disk tree, before func(k int, disk tree, fresh bool) error) (after tree, answer string, ok bool, err error) {
	fresh, changed := true, false
	for k := 1; d.busy(); k++ {
		if changed {
			if disk, err = w.look(); err != nil {
				return nil, "", false, err
			}
			fresh = true
		}
		if err := before(k, disk, fresh); err != nil {
			return nil, "", false, err
		}
		fresh, changed = false, d.at.call.mutating()
		if err := d.super.step(d); err != nil {
			return nil, "", false, err
		}
	}
	if answer, ok, err = w.end(d); err != nil {
		return nil, "", false, err
	}
	after, err = w.look()
	return after, answer, ok, err
}

// kill kills the process, and forgets it.
func (w *worker) kill(d *process) {
	d.super.kill(d)
	unix.Close(d.output)
}

// recoverCopy makes the copy the tree, and lets a process without supervision
// recover it: a third one, with nothing in common with those before but the
// disk. It returns what is there afterwards.
func (w *worker) recoverCopy(p *program, t tree) (tree, error) {
	if err := rebuild(w.copy, &w.there, t); err != nil {
		return nil, err
	}
	recovered := w.recoverAlone(p, w.copy, t)
	if recovered != nil && !isRefusal(recovered) {
		return nil, recovered
	}
	after, err := capture(w.copy) // whatever the recovery said: it is built upon
	if err != nil {
		return nil, err
	}
	w.there = after
	return after, recovered
}

func (w *worker) startServer(binary string) (*proc.Process, error) {
	image, err := w.image(binary)
	if err != nil {
		return nil, err
	}
	p := proc.New(DriverRole(binary))
	p.Path, p.Env, p.Stderr = image.path, image.env, os.Stderr
	return p, p.Start()
}

// recoverAlone lets the process without supervision recover what is in dir, if
// the tree, which is there, has something to recover.
func (w *worker) recoverAlone(p *program, dir string, t tree) error {
	binary, command, below := p.recovery()
	if _, there := t.below(below); !there {
		return nil
	}
	if p.store != "" {
		command = "open" // as anybody would
	}
	server := w.servers[binary]
	if err := server.Say("%s %s", command, filepath.Join(dir, below)); err != nil {
		return err
	}
	answer, err := server.Line()
	if err != nil {
		return fmt.Errorf("the recovering process: %w", err)
	}
	if answer != "ok" {
		return refusal{strings.TrimSpace(answer)}
	}
	return nil
}

// A refusal is an error that a program reported: a finding, and no trouble of
// the supervision.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

func isRefusal(err error) bool {
	var r refusal
	return errors.As(err, &r)
}
