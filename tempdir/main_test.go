package tempdir_test

import (
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

// must is for processes in a role, which have no *testing.T.
func must[V any](value V, err error) V {
	if err != nil {
		panic(err)
	}
	return value
}
