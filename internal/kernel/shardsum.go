package kernel

import (
	"fmt"
	"math/bits"
)

// ShardSum adds up the gradients of a batch's shards, a power of two, in a binary tree, neighbours
// first, as they come. A sum takes the place of its left operand at once, so that as few gradients
// are in memory, and near the cores, as the tree is high.
type ShardSum struct {
	engine Engine
	sum    *TreeSum
	shards int

	total   []float32
	after   float32
	scratch [][]float32 // by depth
	open    [][]float32 // nodes that wait for their right neighbours, and what is computed now
	pair    [][]float32
	weights []float32
	done    int // shards
}

// NewShardSum returns a plan for a power of two of shards, at least two.
func NewShardSum(engine Engine, shards int) (*ShardSum, error) {
	if shards < 2 || bits.OnesCount(uint(shards)) != 1 {
		return nil, fmt.Errorf("kernel: a tree's sum of %d shards", shards)
	}
	sum, err := NewTreeSum(engine)
	if err != nil {
		return nil, err
	}
	return &ShardSum{engine: engine, sum: sum, shards: shards, pair: make([][]float32, 2),
		weights: []float32{1, 1}}, nil
}

// Begin makes total the place of a sum, which is multiplied by after.
func (s *ShardSum) Begin(total []float32, after float32) {
	s.total, s.after, s.done = total, after, 0
	s.open = s.open[:0]
}

// Next returns memory for the next shard's gradient, whatever is in it.
func (s *ShardSum) Next() []float32 {
	into := s.total
	if depth := len(s.open); depth > 0 {
		if len(s.scratch) < depth {
			s.scratch = append(s.scratch, s.engine.Pool.scratch.take(len(s.total)))
		}
		into = s.scratch[depth-1][:len(s.total)]
	}
	s.open = append(s.open, into)
	return into
}

// Add takes the gradient that lies where Next said up the tree.
func (s *ShardSum) Add() error {
	s.done++
	for range bits.TrailingZeros(uint(s.done)) {
		last := len(s.open) - 1
		s.pair[0], s.pair[1] = s.open[last-1], s.open[last]
		factor := float32(1)
		if last == 1 && s.done == s.shards {
			factor = s.after
		}
		if err := s.sum.Run(s.pair, s.weights, factor); err != nil {
			return err
		}
		s.open = s.open[:last]
	}
	return nil
}

// End gives the memory beside the sum back.
func (s *ShardSum) End() {
	for _, scratch := range s.scratch {
		s.engine.Pool.scratch.give(scratch)
	}
	s.scratch, s.total = s.scratch[:0], nil
}
