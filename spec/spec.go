// Package spec is the specification: TLA+ modules, one .cfg file for each
// model, and the manifest of what TLC saw. README.md says how to read it.
package spec

import "embed"

// Manifest is the text of manifest.json: every model with the verdict, the
// counts and the digest that TLC found. model.ParseManifest reads it.
//
//go:embed manifest.json
var Manifest []byte

// Configs is the .cfg files. model.Models parses them.
//
//go:embed *.cfg
var Configs embed.FS
