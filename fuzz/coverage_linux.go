package fuzz

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/afterlock/afterlock/model"
)

// A Coverage notes which classes of a model's steps were met, and makes Go's fuzzer
// see them. It is for one goroutine.
type Coverage struct {
	// Unseen makes the fuzzer see nothing of it.
	Unseen bool
	// Hidden are the classes that no trace shows.
	Hidden int

	classes []model.Class
	hits    []int // how often each class was met
	count   int   // of those that were
	latest  int   // the last that was met for the first time
	steps   int64
}

// NewCoverage explores the model of that name.
func NewCoverage(ctx context.Context, name string) (*Coverage, error) {
	m := model.Find(name)
	if m == nil {
		return nil, fmt.Errorf("no model is called %q", name)
	}
	classes, unseen, err := m.Classes(ctx)
	if err == nil && len(classes) > len(blocks()) {
		err = fmt.Errorf("%s has %d classes, and there are %d blocks", name, len(classes), len(blocks()))
	}
	return &Coverage{Hidden: unseen, classes: classes, hits: make([]int, len(classes))}, err
}

// Step notes a step. One that is none of the model's is nothing.
func (c *Coverage) Step(m *model.Protocol, from *model.State, action uint16) {
	i, ok := slices.BinarySearch(c.classes, m.Class(from, action))
	if !ok {
		return
	}
	if !c.Unseen {
		c.steps += blocks()[i]()
	}
	if c.hits[i]++; c.hits[i] == 1 {
		c.count++
		c.latest = i
	}
}

// Reached is how many classes were met, of how many.
func (c *Coverage) Reached() (n, of int) { return c.count, len(c.classes) }

// Missing are the classes that were not met, in words.
func (c *Coverage) Missing() (words []string) {
	for i, class := range c.classes {
		if c.hits[i] == 0 {
			words = append(words, class.String())
		}
	}
	return words
}

// blocks are functions that the fuzzer counts apart: a generic function is compiled
// once for each type, if they differ in size, and each copy has its counter. So
// these three make 4096 blocks of code.
var blocks = sync.OnceValue(func() []func() int64 {
	return slices.Concat(
		blocks256[[1]byte](), blocks256[[2]byte](), blocks256[[3]byte](), blocks256[[4]byte](),
		blocks256[[5]byte](), blocks256[[6]byte](), blocks256[[7]byte](), blocks256[[8]byte](),
		blocks256[[9]byte](), blocks256[[10]byte](), blocks256[[11]byte](), blocks256[[12]byte](),
		blocks256[[13]byte](), blocks256[[14]byte](), blocks256[[15]byte](), blocks256[[16]byte](),
	)
})

func blocks256[T any]() []func() int64 {
	return slices.Concat(
		blocks16[[1]T](), blocks16[[2]T](), blocks16[[3]T](), blocks16[[4]T](),
		blocks16[[5]T](), blocks16[[6]T](), blocks16[[7]T](), blocks16[[8]T](),
		blocks16[[9]T](), blocks16[[10]T](), blocks16[[11]T](), blocks16[[12]T](),
		blocks16[[13]T](), blocks16[[14]T](), blocks16[[15]T](), blocks16[[16]T](),
	)
}

func blocks16[T any]() []func() int64 {
	return []func() int64{
		block[[1]T], block[[2]T], block[[3]T], block[[4]T], block[[5]T], block[[6]T], block[[7]T], block[[8]T],
		block[[9]T], block[[10]T], block[[11]T], block[[12]T], block[[13]T], block[[14]T], block[[15]T], block[[16]T],
	}
}

func block[T any]() int64 { return 1 }
