package linearizability

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzParse: whatever is in the file, it is refused, or it is a history that is
// written as it is read, and judged.
func FuzzParse(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*-*")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		if _, err := h.WriteTo(&once); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatalf("%v in\n%s", err, once.String())
		}
		if _, err := again.WriteTo(&twice); err != nil || once.String() != twice.String() {
			t.Fatalf("%s\nis not\n%s", twice.String(), once.String())
		}
		j, err := Judge(t.Context(), h, 20*time.Millisecond)
		switch {
		case errors.Is(err, ErrAssumption):
		case err != nil:
			t.Fatal(err)
		default:
			if err := j.WritePicture(&once); err != nil {
				t.Fatal(err)
			}
		}
	})
}
