//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// receive waits for a stop of any thread under the filter.
func (s *supervisor) receive() (notification, error) {
	for {
		n, err := receive(s.listener)
		switch {
		case err == unix.ENOENT:
			continue // killed meanwhile
		case err == nil && s.stalled.Load():
			return n, fmt.Errorf("no process stopped for %v", s.patience)
		}
		s.received.Add(1)
		return n, err
	}
}

// watch wakes the supervisor if nothing has stopped for too long while it
// waits for that: the launcher's own stop does.
func (s *supervisor) watch() {
	for last := int64(-1); ; {
		select {
		case <-s.done:
			return
		case <-time.After(s.patience):
		}
		if now := s.received.Load(); now != last || !s.waiting.Load() {
			last = now
			continue
		}
		s.stalled.Store(true)
		s.launcher.requests <- launch{}
		return
	}
}
