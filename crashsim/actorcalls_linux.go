package crashsim

import (
	"github.com/afterlock/afterlock/crashsim/disk"
)

// do is a call of the store itself.
func (a *actor) do(method, path string, call func() error) error {
	if err := a.point(method, path); err != nil {
		return err
	}
	err := call()
	a.noteErr(err)
	if a.listen != nil {
		a.listen(method+" "+path, err)
	}
	return err
}

func (a *actor) save(path, content string) error {
	return a.do("Save "+content, path, func() error { return a.process.Save(path, content) })
}

func (a *actor) forget(path string) error {
	return a.do("Remove", path, func() error { return a.process.Remove(path) })
}

func (a *actor) sync(path string) error {
	return a.do("Sync", path, func() error { return a.process.Sync(path) })
}

func (a *actor) mkdir(path string) error {
	return a.do("Mkdir", path, func() error { return a.process.Mkdir(path) })
}

func (a *actor) create(path string) error {
	return a.do("Create", path, func() error { return a.process.Make(path) })
}

// read returns what a file contains, or an error.
func (a *actor) read(d *disk.Disk, path string) (content string, err error) {
	err = a.do("Read", path, func() error {
		n, err := a.process.Lookup(path)
		if err == nil {
			content = string(d.Content(n))
		}
		return err
	})
	a.note(text(content))
	return content, err
}
