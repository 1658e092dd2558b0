package train

import (
	"context"
	"fmt"

	"gorgonia.org/tensor"

	"slipway/internal/collective"
)

// Ranks that read each other's memory share the optimizer's work: each updates the weights whose
// gradients it adds up, and takes the others' weights in the place of their gradients (stage 1 of
// Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
// 2020). What the optimizer keeps beside a weight is written by that rank alone, and read by the
// others when the run is saved.

// updatePiece is how many gradients are added up, and their weights updated, before the next, so
// that a core's second-level cache has them: 128 kB of each thread's.
const updatePiece = 1 << 15

// sharesUpdate reports whether a weight can be updated by whoever knows its gradient, and nothing
// of the others'.
func (c Config) sharesUpdate() bool { return c.ClipNorm == 0 && c.Optimizer.separable() }

// sharedSlots is how many numbers the optimizer keeps beside a weight where others can read them.
func (c Config) sharedSlots() int {
	if !c.sharesUpdate() {
		return 0
	}
	return len(c.Optimizer.slots())
}

// sharesUpdate reports whether ranks that read each other's memory share the optimizer's work.
func (t *Trainer) sharesUpdate() bool {
	return t.shards.neighbours.memory != nil && t.phase.sharesUpdate()
}

// keeper returns where the optimizer keeps what others read, nil if none do.
func (s *shards) keeper() func(slot, parameter int) []float32 {
	if s == nil || s.neighbours == nil || len(s.neighbours.rows) == 1 {
		return nil
	}
	return func(slot, parameter int) []float32 {
		at := s.places[parameter]
		return s.neighbours.rows[1+slot][at.first:at.end:at.end]
	}
}

// fetch has the optimizer know what other ranks keep.
func (s *shards) fetch() {
	if s != nil && s.neighbours != nil {
		s.neighbours.fetch()
	}
}

// sumUp adds up the gradients of all ranks, and takes the optimizer's step where ranks share it.
func (t *Trainer) sumUp(ctx context.Context) error {
	s := t.shards
	sum := collective.Near{Add: s.addPart}
	shares := t.sharesUpdate() && !diverged(s.result().total)
	if shares {
		t.setRates()
		t.optimizer.steps++
		sum.Done, sum.Take, sum.Piece = t.updatePart, t.takePart, updatePiece*t.threads()
	}
	err := s.neighbours.sum(ctx, t.together, sum)
	if err != nil && shares {
		t.tear(err)
	}
	s.updated = shares
	return err
}

// tear says that an exchange has failed when some ranks may have taken the step, and others not.
func (t *Trainer) tear(err error) {
	t.torn = fmt.Errorf("the weights are between two steps: %w", err)
}

// threads is how many update weights at the same time.
func (t *Trainer) threads() int {
	if kernels, native := t.engine.Kernels(); native {
		return kernels.Pool.Threads()
	}
	return 1
}

// updatePart updates the weights whose gradients lie in the row from first on, and leaves them
// there for other ranks.
func (t *Trainer) updatePart(first int, total []float32) error {
	for i, at := range t.shards.places {
		from, end := at.within(first, first+len(total))
		if from >= end {
			continue
		}
		weights, gradients := t.shards.weights(i)[from-at.first:end-at.first], total[from-first:end-first]
		if err := t.optimizer.updatePart(i, from-at.first, weights, gradients); err != nil {
			return err
		}
		if len(t.shards.neighbours.near.Block) > 1 {
			copy(gradients, weights)
		}
	}
	return nil
}

// takePart takes the weights that another rank has left in its row from first on, and what else the
// row has.
func (t *Trainer) takePart(first int, theirs []float32) error {
	s := t.shards
	for i, at := range s.places {
		if from, end := at.within(first, first+len(theirs)); from < end {
			copy(s.weights(i)[from-at.first:end-at.first], theirs[from-first:end-first])
		}
	}
	for _, at := range s.statistics {
		if from, end := at.within(first, first+len(theirs)); from < end {
			copy(s.tree.total[from:end], theirs[from-first:end-first])
		}
	}
	return nil
}

// weights returns those of a parameter.
func (s *shards) weights(parameter int) []float32 {
	return s.model[parameter].Value().(*tensor.Dense).Float32s()
}
