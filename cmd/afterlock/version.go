package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// A build is what this command was built from.
type build struct {
	Version  string `json:"version"`          // of the module; "(devel)" from a checkout
	Commit   string `json:"commit,omitempty"` // "" if it was built without version control
	Modified bool   `json:"modified"`         // the checkout had changes
	Go       string `json:"go"`
	System   string `json:"system"` // GOOS/GOARCH
}

func thisProgram() build {
	p := build{Version: "(devel)", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return p
	}
	if info.Main.Version != "" {
		p.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			p.Commit = setting.Value
		case "vcs.modified":
			p.Modified = setting.Value == "true"
		}
	}
	return p
}

// String is what --version says.
func (b build) String() string {
	text := b.Version
	if b.Commit != "" {
		text += " (commit " + b.Commit
		if b.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return fmt.Sprintf("%s, %s, %s", text, b.Go, b.System)
}
