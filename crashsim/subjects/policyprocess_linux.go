package subjects

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A serving is a driver that keeps its store open. One goroutine uses it.
type serving struct {
	process *exec.Cmd
	lines   *bufio.Reader
	in      io.WriteCloser
	failure bytes.Buffer
	once    sync.Once
	said    string                   // the words of the last answer
	held    map[string]time.Duration // how long it held each lock at most before that; of variants that say so
}

// arguments are those of a driver on the store, as [start] has them.
func (s *scene) arguments(words ...string) []string {
	line := []string{"--graph", s.path("graph"), "--run", s.path("run")}
	if s.layout != "" {
		line = append(line, "--driver", s.layout)
	}
	return append(line, words...)
}

// options are those of the store's own command.
func (s *scene) options(words ...string) []string {
	return append([]string{"--graph", s.path("graph"), "--run", s.path("run"), "--storage-driver", cmp.Or(s.layout, "overlay")}, words...)
}

// serve starts a driver without a command, by another program if there is one.
func (s *scene) serve(ctx context.Context, driver string, by ...string) (*serving, error) {
	line := append(append(by, driver), s.arguments()...)
	v := &serving{process: exec.CommandContext(ctx, line[0], line[1:]...)}
	v.process.Stderr = &v.failure
	out, err := v.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if v.in, err = v.process.StdinPipe(); err != nil {
		return nil, err
	}
	v.lines = bufio.NewReader(out)
	return v, v.process.Start()
}

// ask gives the server a command and waits for the answer. It returns how long the
// server says that it took.
func (v *serving) ask(words ...string) (time.Duration, error) {
	line, err := v.askUntil("", words...)
	if err != nil {
		return 0, err
	}
	took, said, err := answer(line)
	v.said = said
	return took, err
}

// askUntilHeld gives the server a command, and returns when it gives the lock up.
func (v *serving) askUntilHeld(lock string, words ...string) error {
	line, err := v.askUntil(lock, words...)
	if err == nil && line != "" {
		err = fmt.Errorf("%s: done, and %s was not held: %s", words, lock, line)
	}
	return err
}

// askUntil gives the server a command, and reads what it says until it gives the lock
// up or, if that comes first, until its answer, which is returned.
func (v *serving) askUntil(lock string, words ...string) (string, error) {
	if _, err := fmt.Fprintln(v.in, strings.Join(words, " ")); err != nil {
		return "", err
	}
	v.held = make(map[string]time.Duration)
	for {
		line, err := v.lines.ReadString('\n')
		if err != nil {
			v.end()
			return "", fmt.Errorf("driver %s, asked to %s: %w: %v: %s", v.process.Path, words, err, v.process.ProcessState, firstLine(v.failure.String()))
		}
		if !strings.HasPrefix(line, "held ") {
			return line, nil
		}
		var given string
		var took time.Duration
		if _, err := fmt.Sscanf(line, "held %s %d", &given, &took); err != nil {
			return "", err
		}
		if v.held[given] = max(v.held[given], took); given == lock {
			return "", nil
		}
	}
}

// end ends the server, and waits for it.
func (v *serving) end() {
	v.once.Do(func() {
		v.in.Close()
		_ = v.process.Wait()
	})
}

// kill ends the server in whatever it does, and waits for it.
func (v *serving) kill() {
	_ = v.process.Process.Kill() // it may have ended
	v.end()
}

// answer reads one line of a driver.
func answer(line string) (time.Duration, string, error) {
	line = strings.TrimSpace(line)
	rest, ok := strings.CutPrefix(line, "ok ")
	if !ok {
		return 0, "", errors.New(cmp.Or(strings.TrimPrefix(line, "error: "), "no answer"))
	}
	number, said, _ := strings.Cut(rest, " ")
	took, err := strconv.ParseInt(number, 10, 64)
	return time.Duration(took), said, err
}

// A watching kills processes that delete victims, and sees when these are gone. It is
// told by inotify, which follows a directory wherever it is renamed to.
type watching struct {
	file *os.File
	done chan struct{}

	mu      sync.Mutex
	victims map[int32]*victim
}

type victim struct {
	layer   TraceLayer
	gone    int // directories
	left    int // when the process is to be killed
	process *os.Process
	killed  time.Time
	back    time.Time // when the last of the data was gone
}

// watch watches the data of the victims.
func (s *scene) watch(trace Trace) (*watching, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	w := &watching{file: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{}), victims: map[int32]*victim{}}
	for _, l := range trace.Victims {
		wd, err := unix.InotifyAddWatch(fd, s.graph("overlay", l.ID, "diff"), unix.IN_DELETE|unix.IN_DELETE_SELF|unix.IN_ONLYDIR)
		if err != nil {
			w.file.Close()
			return nil, fmt.Errorf("watch layer %s: %w", l.ID, err)
		}
		w.victims[int32(wd)] = &victim{layer: l}
	}
	go w.listen()
	return w, nil
}

func (w *watching) listen() {
	defer close(w.done)
	buffer := make([]byte, 1<<16)
	for {
		n, err := w.file.Read(buffer)
		if err != nil {
			return // closed
		}
		now := time.Now()
		w.mu.Lock()
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			rest = rest[unix.SizeofInotifyEvent+int(event.Len):]
			w.take(event.Wd, event.Mask, now)
		}
		w.mu.Unlock()
	}
}

func (w *watching) take(wd int32, mask uint32, now time.Time) {
	v := w.victims[wd]
	switch {
	case v == nil:
	case mask&unix.IN_DELETE_SELF != 0:
		v.back = now
	case mask&unix.IN_DELETE != 0:
		v.gone++
		if v.process != nil && v.killed.IsZero() && v.layer.Directories()-v.gone <= v.left {
			if v.process.Kill() == nil {
				v.killed = now
			}
		}
	}
}

// arm has the process killed at the moment that the command names.
func (w *watching) arm(c TraceCommand, p *os.Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.victims {
		if v.layer.ID == c.Layer.ID {
			v.left, v.process = c.Left, p
		}
	}
}

// kills returns what the kills left.
func (w *watching) kills(end time.Time) (found []killing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.victims {
		if v.killed.IsZero() {
			continue
		}
		k := killing{bytes: int64(v.left) * 100 * traceFileSize, after: end.Sub(v.killed)}
		if !v.back.IsZero() {
			k.back, k.after = true, v.back.Sub(v.killed)
		}
		found = append(found, k)
	}
	return found
}

func (w *watching) close() {
	w.file.Close()
	<-w.done
}
