package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// untilEnded returns a context that a signal to end cancels, so that a command
// ends its processes and removes its scratch directories first. The second
// signal ends the program at once.
func untilEnded() (ctx context.Context, end context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup wants it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, end = signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, end)
	// A reader that has gone away makes a write fail, and ends nothing by itself.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return ctx, end
}

// A watched pipe ends the program in order when its reader has gone away.
type watched struct {
	io.Writer
	end context.CancelFunc
}

// watch returns file, watched if it is a pipe; a terminal stays one.
func watch(file *os.File, end context.CancelFunc) io.Writer {
	if info, err := file.Stat(); err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return file
	}
	return watched{file, end}
}

func (w watched) Write(text []byte) (int, error) {
	n, err := w.Writer.Write(text)
	if errors.Is(err, syscall.EPIPE) {
		w.end()
	}
	return n, err
}
