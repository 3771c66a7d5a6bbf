package linearizability

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A tickets is a counter that goroutines and processes share: a word in a file
// that all of them have mapped. It has no other order than that of its
// increments, and a kill cannot tear it.
type tickets struct {
	mapping []byte
	counter *atomic.Int64
}

// ticketBytes is the size of the file.
const ticketBytes = 8

// openTickets maps the file at path, and makes it if create is set.
func openTickets(path string, create bool) (*tickets, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if create {
		// Space is taken now: a hole on a full disk kills (SIGBUS) whoever draws from it.
		if _, err := file.Write(make([]byte, ticketBytes)); err != nil {
			return nil, err
		}
	}
	mapping, err := unix.Mmap(int(file.Fd()), 0, ticketBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &tickets{mapping, (*atomic.Int64)(unsafe.Pointer(&mapping[0]))}, nil
}

// next draws a ticket.
func (t *tickets) next() int64 { return t.counter.Add(1) }

// last returns the last ticket that was drawn.
func (t *tickets) last() int64 { return t.counter.Load() }

func (t *tickets) close() error { return unix.Munmap(t.mapping) }
