//go:build !unix

package scratch

import "os"

func mine(info os.FileInfo) bool { return info.IsDir() }
