//go:build gpu && linux && amd64

package cuda

import (
	"slices"

	"gorgonia.org/gorgonia"

	"slipway/internal/device"
)

// halfWeights are copies of a session's weights, rounded to bfloat16, which steps in bf16 multiply
// by. Those that are trained are rounded again by each step, before its first batch; the frozen
// ones when they are loaded. Buffers are nil where there are none, or steps are not in bf16.
type halfWeights struct{ trained, frozen *buffer }

// products is what a session's steps multiply in.
func (s *session) products() arithmetic {
	switch {
	case s.job.BF16:
		return bf16
	case s.job.TF32:
		return tf32
	}
	return float32s
}

// prepare allocates them.
func (h *halfWeights) prepare(s *session) (err error) {
	if !s.job.BF16 {
		return nil
	}
	if err := s.gpu.loadHalfKernels(); err != nil {
		return err
	}
	for _, copied := range []struct {
		to     **buffer
		values int
	}{{&h.trained, s.total}, {&h.frozen, s.frozen.total}} {
		if copied.values == 0 {
			continue
		}
		*copied.to, err = s.memory.allocate("weights in bf16", 2*int64(copied.values))
		if err != nil {
			return err
		}
	}
	return nil
}

// narrow returns the launch that rounds n float32 values, none where nothing is to have them.
func (s *session) narrow(from, to *buffer, n int) ([]launch, error) {
	if to == nil {
		return nil, nil
	}
	l, err := s.gpu.kernel("narrow"+bf16Suffix, n, 1, from, to, n)
	return []launch{l}, err
}

// roundFrozen rounds the frozen weights, which were loaded.
func (s *session) roundFrozen() error {
	launches, err := s.narrow(s.frozen.values, s.halves.frozen, s.frozen.total)
	if err != nil {
		return err
	}
	return runAll(s.gpu, launches)
}

// rounded says where the copies of the graph's parameters are.
func (s *session) rounded(graph *device.Graph) map[*gorgonia.Node]*buffer {
	at := make(map[*gorgonia.Node]*buffer)
	if s.halves.trained != nil {
		s.put(at, graph.Trained, s.halves.trained, 2)
	}
	if s.halves.frozen != nil {
		s.frozen.put(at, frozenOf(graph), s.halves.frozen, 2)
	}
	return at
}

// frozenOf returns the graph's parameters that no step changes.
func frozenOf(graph *device.Graph) gorgonia.Nodes {
	return slices.DeleteFunc(slices.Clone(graph.Parameters), func(p *gorgonia.Node) bool {
		return slices.Contains(graph.Trained, p)
	})
}
