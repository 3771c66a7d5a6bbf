package linearizability

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	BecomeWorker()
	os.Exit(m.Run())
}
