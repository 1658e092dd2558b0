package native

import (
	"sync"

	"slipway/internal/kernel"
)

// Weights are packed once for all sessions, and for all numbers of images, as far as the kernels
// read them in the same order.

// sharedFilters are the packed weights of a convolution whose weights are the same in every run.
type sharedFilters struct {
	mu     sync.Mutex
	packed []*kernel.Packed
}

// give makes a plan read the packed weights, which it packs where no plan like it has: into so many
// bytes beside those that are counted with the plan.
func (s *sharedFilters) give(r *run, plan *kernel.Conv2D, weights []float32, bytes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.packed {
		if plan.Share(p) {
			return nil
		}
	}
	if err := r.reserve(bytes, "transformed weights"); err != nil {
		return err
	}
	p, err := plan.Pack(weights)
	if err != nil {
		return err
	}
	s.packed = append(s.packed, p)
	return nil
}

// sharedRow is the packed matrix of products with a single vector.
type sharedRow struct {
	mu   sync.Mutex
	plan *kernel.Row // whose matrix others share
}

// new returns a plan for the run's engine; pack makes the first.
func (s *sharedRow) new(r *run, pack func() (*kernel.Row, error)) (*kernel.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan != nil {
		return s.plan.Share(r.engine)
	}
	plan, err := pack()
	if err == nil {
		s.plan = plan
	}
	return plan, err
}
