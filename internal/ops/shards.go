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
	return s, err
}

// sumInTree has the gradient of a dense layer's weights, if they are large, summed by a tree of its
// own.
func (s *Shards) sumInTree(kernels kernel.Engine) (err error) {
	if in, out := s.part.(*kernel.Dense).Size(); in*out >= kernel.DenseTreeLeast {
		s.tree, err = kernel.NewDenseTree(kernels, in, out, s.count)
	}
	return err
}

// backward computes the sums. db is nil where there is no bias.
func (s *Shards) backward(dw, db, dy, y, x []float32) error {
	return s.sum(dw, db, func(k int, dw, db []float32) error {
		return s.part.BackwardParameters(dw, db,
			kernel.ShareOf(dy, k, s.count), kernel.ShareOf(y, k, s.count), kernel.ShareOf(x, k, s.count))
	})
}

// together computes the sums, and, unless it is nil, the gradient of x, where normalisations are
// next to the plans. It overwrites dy as they do.
func (s *Shards) together(dx, dw, db, dy, y, x, w []float32) error {
	part, whole := s.part.(normalisedPlan), s.whole.(normalisedPlan)
	err := s.sum(dw, db, func(k int, dw, db []float32) error {
		return part.Backward(nil, dw, db,
			kernel.ShareOf(dy, k, s.count), kernel.ShareOf(y, k, s.count), kernel.ShareOf(x, k, s.count), w)
	})
	if err != nil || dx == nil {
		return err
	}
	return whole.BackwardNormalised(dx, dy, y, x, w)
}

// sum adds up what gradients computes of each shard.
func (s *Shards) sum(dw, db []float32, gradients func(k int, dw, db []float32) error) error {
	s.weight.Begin(dw, s.After)
	s.bias.Begin(db, s.After)
	defer s.weight.End()
	defer s.bias.End()
	for k := range s.count {
		if err := s.shard(k, dw, db, gradients); err != nil {
			return err
		}
	}
	if s.tree != nil {
		return s.tree.Run(dw, s.ones, s.After)
	}
	return nil
}

// shard adds a shard's gradients.
func (s *Shards) shard(k int, dw, db []float32,
	gradients func(k int, dw, db []float32) error) error {
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
	err := gradients(k, weight, bias)
	if err == nil && s.tree == nil {
		err = s.weight.Add()
	}
	if err == nil && db != nil {
		err = s.bias.Add()
	}
	return err
}
