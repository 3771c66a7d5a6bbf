//go:build amd64 || arm64

package blackbox

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// What /proc says of a descriptor costs about as much as a stop, so of one that
// leads into the scene it is asked once. If such a descriptor were closed unseen
// and led elsewhere now, there would be a stop too many, never one too few.

// concerns reports whether one of the paths of the stopped call is in the scene.
func (s *supervisor) concerns(p *process, at *stop) bool {
	remembers := s.closes && !p.warm && !at.started // sees each descriptor of its closed
	if remembers && s.known(p, at) {
		return true
	}
	c := s.resolve(at)
	if !slices.ContainsFunc(c.paths, s.inScene) {
		return false
	}
	if !remembers {
		return true
	}
	if c.fd > 0 && c.number != unix.SYS_CLOSE {
		p.inside.add(c.arguments[c.fd-1])
	}
	for _, a := range c.layout.paths {
		if a.dir >= 0 && s.inScene(descriptorPath(at.tid, int32(c.arguments[a.dir]))) {
			p.inside.add(c.arguments[a.dir])
		}
	}
	return true
}

// known is concerns, as far as the descriptors that the process was seen to have
// in the scene tell.
func (s *supervisor) known(p *process, at *stop) bool {
	c := &at.call
	if c.fd > 0 {
		fd := c.arguments[c.fd-1]
		known := p.inside.has(fd)
		if c.number == unix.SYS_CLOSE {
			p.inside.remove(fd)
		}
		return known
	}
	return slices.ContainsFunc(c.layout.paths, func(a pathArgument) bool {
		return a.dir >= 0 && p.inside.has(c.arguments[a.dir]) && !filepath.IsAbs(readString(at.tid, uintptr(c.arguments[a.path])))
	})
}

// inScene reports whether the path is the scene or below it.
func (s *supervisor) inScene(path string) bool {
	rest, ok := strings.CutPrefix(path, s.scene)
	return ok && (rest == "" || rest[0] == '/')
}

// A descriptors is a set of small descriptors. Others are never in it.
type descriptors uint64

func (d *descriptors) has(fd uint64) bool { return uint32(fd) < 64 && *d>>uint32(fd)&1 != 0 }
func (d *descriptors) remove(fd uint64)   { *d &^= 1 << uint32(fd) }
func (d *descriptors) add(fd uint64)      { *d |= 1 << uint32(fd) }
