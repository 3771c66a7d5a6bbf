package fuzz

import "time"

// Options are what a campaign does.
type Options struct {
	Seed       uint64
	Executions int64         // how many programs are run
	Least      time.Duration // and how long at least
	Empty      bool          // begin without the corpus
	Blind      bool          // keep nothing: every program is drawn anew
	Canary     bool          // see [FuzzCanary]
	Complete   bool          // end when every class was met
}

// A Report is what a campaign did.
type Report struct {
	Corpus     int   // programs that it began with
	Executions int64 // with those
	Undecided  int64 // of them, without a verdict of the model
	Steps      int64 // of the model Gate that they took
	Kept       int   // programs that met a class that no other had met
	Classes    int   // of the model Gate
	Of         int
	Complete   int64    // programs after which every class was met; 0: not all were
	Problems   []string // of the first program that has any, made smaller
	Repeat     string   // its command
	Elapsed    time.Duration
}
