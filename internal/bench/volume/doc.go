// Package volume makes file systems in files, and mounts them.
package volume
