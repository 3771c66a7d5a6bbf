//go:build linux

package layerstore_test

import (
	"context"
	"io/fs"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Readers that come while a writer waits are served before it: one may be waited
// for by a reader that is in. That a writer can starve so is the price; nothing
// here depends on time.
func TestReadersOvertakeAWriterThatWaits(t *testing.T) {
	cancellable, cancel := context.WithCancel(background)
	defer cancel()
	for name, ctx := range map[string]context.Context{"waiting in the kernel": background, "asking again and again": cancellable} {
		t.Run(name, func(t *testing.T) {
			s, path := newStore(t)
			create(t, s, "a", someFiles(3, "a"))
			asked, waits := 0, make(chan struct{})
			var once sync.Once
			waiting := &calls{before: func(_ int64, name string) error {
				if name == "Disk.TakeLock" {
					asked++
				}
				assert.False(t, name == "Disk.AwaitLock" && ctx.Done() != nil, "it waits where nothing can call it back")
				if name == "Disk.AwaitLock" || asked > 2 { // the first was that of Open
					once.Do(func() { close(waits) })
				}
				return nil
			}}
			writer := openStore(t, path, append(waiting.options(), layerstore.WithoutRecovery())...)
			saved := make(chan error, 1)
			require.NoError(t, s.Read(ctx, "a", func(fs.FS) error {
				go func() { saved <- writer.Save(ctx, "a", label("v")) }()
				<-waits
				for range 50 {
					next := openStore(t, path, layerstore.WithoutRecovery())
					require.NoError(t, next.Read(ctx, "a", func(fs.FS) error { return nil }))
				}
				assert.Empty(t, saved, "the writer was served before them")
				return nil
			}))
			require.NoError(t, <-saved)
			assert.Equal(t, "v", labels(t, path))
		})
	}
}
