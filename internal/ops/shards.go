package ops

import (
	"gorgonia.org/gorgonia"

	"slipway/internal/kernel"
)

// Shards says how the gradient of a learned tensor is computed of a batch that is several equal
// shards, one behind the other: each shard's by itself, to the bits that it has where the shard is
// a batch of its own, and the sum of all in a binary tree, neighbours first.
type Shards struct {
	// After is what the sum is multiplied by.
	After float32

	whole, part  affinePlan // for all images, and for those of a shard
	count        int
	weight, bias *kernel.ShardSum
	tree         *kernel.DenseTree // of a large dense layer's weights, nil otherwise
	ones         []float32
}

// ShardsOf returns how a node's values are computed of several shards, nil if they are not.
func ShardsOf(node *gorgonia.Node) *Shards {
	if op := writerOf(node); op != nil {
		return op.shards
	}
	return nil
}

// newShards returns what computes the gradients of a plan's parameters over so many shards of its
// batch, by the plan of one of them.
func newShards(kernels kernel.Engine, whole, part affinePlan, count int) (*Shards, error) {
	s := &Shards{After: 1, whole: whole, part: part, count: count, ones: make([]float32, count)}
	for k := range s.ones {
		s.ones[k] = 1
	}
	var err error
	if s.weight, err = kernel.NewShardSum(kernels, count); err != nil {
		return nil, err
	}
	if s.bias, err = kernel.NewShardSum(kernels, count); err != nil {
		return nil, err
	}
	if dense, ok := part.(*kernel.Dense); ok {
		if err := whole.(*kernel.Dense).InShares(dense); err != nil {
			return nil, err
		}
		if in, out := dense.Size(); in*out >= kernel.DenseTreeLeast {
			s.tree, err = kernel.NewDenseTree(kernels, in, out, count)
		}
	}
	return s, err
}

// backward computes the sums. db is nil where there is no bias.
func (s *Shards) backward(dw, db, dy, y, x []float32) error {
	s.weight.Begin(dw, s.After)
	s.bias.Begin(db, s.After)
	defer s.weight.End()
	defer s.bias.End()
	for k := range s.count {
		if err := s.shard(k, dw, db, dy, y, x); err != nil {
			return err
		}
	}
	if s.tree != nil {
		return s.tree.Run(dw, s.ones, s.After)
	}
	return nil
}

// shard adds a shard's gradients.
func (s *Shards) shard(k int, dw, db, dy, y, x []float32) error {
	if conv, ok := s.part.(*kernel.Conv2D); ok {
		if err := conv.Follow(s.whole.(*kernel.Conv2D), k); err != nil {
			return err
		}
	}
	weight, bias := dw, db
	if s.tree != nil {
		if err := s.part.(*kernel.Dense).SumIn(s.tree, k); err != nil {
			return err
		}
	} else {
		weight = s.weight.Next()
	}
	if db != nil {
		bias = s.bias.Next()
	}
	err := s.part.BackwardParameters(weight, bias,
		share(dy, k, s.count), share(y, k, s.count), share(x, k, s.count))
	if err == nil && s.tree == nil {
		err = s.weight.Add()
	}
	if err == nil && db != nil {
		err = s.bias.Add()
	}
	return err
}

// share is the k-th of equal parts of values; of none it is none.
func share[T any](values []T, k, parts int) []T {
	n := len(values) / parts
	return values[k*n : (k+1)*n]
}
