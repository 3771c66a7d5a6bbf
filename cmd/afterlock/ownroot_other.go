//go:build !unix

package main

// trusted does nothing: the library opens no root on this system.
func trusted(root, parent string) error { return nil }

// removeEmpty does nothing, for the same reason.
func removeEmpty(root string) {}
