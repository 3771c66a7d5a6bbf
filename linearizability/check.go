package linearizability

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// Check judges the history in the file at path and prints the verdict to out. If
// html is not empty, it writes the picture there, whatever the verdict.
//
// The error says that there is no verdict: the file is no history, it breaks an
// assumption ([ErrAssumption]), or the picture cannot be written.
func Check(ctx context.Context, path string, out io.Writer, html string, timeout time.Duration) (Verdict, error) {
	h, err := Load(path)
	if err != nil {
		return "", err
	}
	j, err := Judge(ctx, h, timeout)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintf(out, "%s: %v (%.3f s)\n", path, j, j.Elapsed.Seconds())
	for _, op := range j.Core {
		fmt.Fprintf(out, "  %s\n", op)
	}
	if html == "" {
		return j.Verdict, nil
	}
	if err := j.SavePicture(html); err != nil {
		return j.Verdict, err
	}
	fmt.Fprintf(out, "picture: %s\n", html)
	return j.Verdict, nil
}

// IsHistory reports whether a file that begins so is meant to hold a history.
func IsHistory(beginning []byte) bool { return bytes.HasPrefix(beginning, []byte(Magic)) }

// Load reads the history in the file at path.
func Load(path string) (*History, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	h, err := Parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

// Save writes the history to the file at path.
func (h *History) Save(path string) error {
	return writeFile(path, func(w io.Writer) error {
		_, err := h.WriteTo(w)
		return err
	})
}

// SavePicture writes the picture to the file at path.
func (j *Judgement) SavePicture(path string) error { return writeFile(path, j.WritePicture) }

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = write(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
