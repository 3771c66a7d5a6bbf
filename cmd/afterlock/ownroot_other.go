//go:build !unix

package main

// ownRoot is a name that is never made: the library opens no root on this system.
func ownRoot() string { return oldRoot }

// ours does nothing, for the same reason.
func ours(root string) error { return nil }

// removeEmpty does nothing, for the same reason.
func removeEmpty(root string) {}
