package subjects

import "io"

// KilledOptions are what [Workshop.Killed] is told.
type KilledOptions struct {
	Dir  string    // scratch
	Only []string  // VARIANT/DRIVER/ERRAND/POINT, or how one begins; all, if there are none
	Log  io.Writer // progress; may be nil
}
