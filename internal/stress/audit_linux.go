package stress

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A fate is what the journal says happened to one layer.
type fate struct {
	source    string
	added     bool // not part of the layout
	committed bool // its commit responded
	chosen    bool // a deletion was invoked
	deleted   bool // a deletion responded
}

// An audit compares the layers on disk with the journal.
type audit struct {
	deletions, additions int64 // that responded
	checked              int64 // layers hashed
	problems             []string
}

func (a *audit) problem(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// auditLayers looks at every layer that was laid out, is in the journal or is
// on disk: after the last recovery, what was deleted is gone for good, what was
// never chosen is whole, and what a pending operation was about is whole or
// gone, never partial.
func auditLayers(layers, journal string, laidOut map[string]layer) (audit, error) {
	var a audit
	fates, err := a.readJournal(journal, laidOut)
	if err != nil {
		return a, err
	}
	entries, err := os.ReadDir(layers)
	if err != nil {
		return a, err
	}
	present := make(map[string]bool)
	for _, entry := range entries {
		present[entry.Name()] = true
		if fates[entry.Name()] == nil {
			a.problem("%s is there, and nobody made it", entry.Name())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fates)) {
		a.judge(name, fates[name], present[name], filepath.Join(layers, name), laidOut)
	}
	return a, nil
}

// judge compares one layer with its fate.
func (a *audit) judge(name string, f *fate, present bool, path string, laidOut map[string]layer) {
	settled := !f.added || f.committed // it was there at some time, for certain
	switch {
	case f.deleted && present:
		a.problem("%s was deleted, and is there again", name)
		return
	case f.deleted:
		return
	case !present && settled && !f.chosen:
		a.problem("%s is gone, and nobody deleted it", name)
		return
	case !present:
		return
	}
	hash, err := hashTree(path)
	a.checked++
	if err != nil || hash != laidOut[f.source].Hash {
		a.problem("%s is damaged (chosen as a victim: %v, commit pending: %v, error: %v)", name, f.chosen, !settled, err)
	}
}

// readJournal returns the fate of every layer that was laid out or added.
func (a *audit) readJournal(journal string, laidOut map[string]layer) (map[string]*fate, error) {
	fates := make(map[string]*fate)
	for name := range laidOut {
		fates[name] = &fate{source: name}
	}
	content, err := os.ReadFile(journal)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("journal: %w in %q", err, lines.Text())
		}
		f := fates[r.Layer]
		if f == nil {
			f = &fate{source: r.Source, added: true}
			fates[r.Layer] = f
		}
		switch {
		case r.Operation == commit && r.Event == responded:
			f.committed = true
			a.additions++
		case r.Operation == deletion && r.Event == responded:
			f.deleted = true
			a.deletions++
		case r.Operation == deletion:
			f.chosen = true
		}
	}
	return fates, lines.Err()
}
