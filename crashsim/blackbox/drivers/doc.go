// Package drivers has the small programs that the black box starts, crashes and
// schedules. They are roles of the afterlock command itself, see package proc, so
// an installed command needs nothing beside it:
//
//	tempdir                  package tempdir, as it is
//	layers                   package layerstore, as it is
//	upstream [HALF]          containers/storage's protocol as released, or with
//	                         half of the fix: creatorrechecks, recovererrechecks
//
// What they read and answer is in package driver.
package drivers
