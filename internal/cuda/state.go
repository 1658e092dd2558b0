//go:build gpu && linux && amd64

package cuda

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"slipway/builder"
	"slipway/internal/device"
)

// prepareTensors allocates what a state is made of, all of it 0.
func (s *session) prepareTensors() (err error) {
	s.roles = rolesOf(s.job)
	specs := byRole(s.roles, s.job.Network.Tensors())
	s.layout = newLayout(specs[trained])
	if s.frozen, err = newResting(&s.memory, specs[frozen]); err != nil {
		return err
	}
	if s.statistics, err = newStatistics(&s.memory, specs[kept]); err != nil {
		return err
	}
	if s.weights, err = s.zeroed("weights", s.total); err != nil {
		return err
	}
	if s.gradients, err = s.zeroed("gradients", s.total); err != nil {
		return err
	}
	for _, name := range s.job.Slots {
		slot, err := s.zeroed("the optimizer's "+name, s.total)
		if err != nil {
			return err
		}
		s.slots = append(s.slots, slot)
	}
	return s.halves.prepare(s)
}

// zeroed allocates n float32 values, all of them 0; nil for none.
func (s *session) zeroed(what string, n int) (*buffer, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := s.memory.allocateFloats(what, n)
	if err != nil {
		return nil, err
	}
	return b, zeroAsync(b.address, b.bytes, s.gpu.stream)
}

// Load implements device.Session.
func (s *session) Load(state device.State) error {
	return s.do(func() error {
		if err := s.putWeights(state.Weights, s.weights, s.statistics.running); err != nil {
			return err
		}
		if err := s.roundFrozen(); err != nil {
			return err
		}
		if s.job.Averages {
			err := s.putWeights(state.Average, s.average.weights, s.average.running)
			if err != nil {
				return fmt.Errorf("average: %w", err)
			}
		}
		for i, name := range s.job.Slots {
			if err := putTensors(s.gpu, s.layout, s.slots[i], state.Optimizer[name]); err != nil {
				return fmt.Errorf("optimizer's %s: %w", name, err)
			}
		}
		return upload(s.gpu, s.ledger, []ledger{{Step: uint64(state.Steps)}})
	})
}

// putWeights brings all of a network's tensors to the device: those that are trained and those that
// layers keep to buffers of these, and the frozen ones to their own.
func (s *session) putWeights(all builder.Weights, weights, running *buffer) error {
	if len(all) != len(s.roles) {
		return fmt.Errorf("weights: %d tensors, the network has %d", len(all), len(s.roles))
	}
	divided := byRole(s.roles, all)
	for _, part := range []struct {
		what string
		layout
		to   *buffer
		role role
	}{
		{"weights", s.layout, weights, trained},
		{"frozen weights", s.frozen.layout, s.frozen.values, frozen},
		{"statistics", s.statistics.layout, running, kept},
	} {
		if err := putTensors(s.gpu, part.layout, part.to, divided[part.role]); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
	}
	return nil
}

// putTensors brings tensors to a buffer.
func putTensors(g *gpu, l layout, to *buffer, weights builder.Weights) error {
	all, err := l.pack(weights)
	if err != nil {
		return err
	}
	return upload(g, to, all)
}

// State implements device.Session.
func (s *session) State() (device.State, error) {
	state := device.State{Optimizer: make(map[string]builder.Weights)}
	err := s.do(func() error {
		var err error
		if state.Weights, err = s.tensors(s.weights, s.statistics.running); err != nil {
			return err
		}
		if s.job.Averages {
			state.Average, err = s.tensors(s.average.weights, s.average.running)
			if err != nil {
				return err
			}
		}
		for i, name := range s.job.Slots {
			if state.Optimizer[name], err = s.getWeights(s.slots[i]); err != nil {
				return err
			}
		}
		l, err := s.readLedger()
		state.Steps = int(l.Step)
		return err
	})
	return state, err
}

// tensors undoes putWeights.
func (s *session) tensors(weights, running *buffer) (builder.Weights, error) {
	var divided [roles][]builder.Tensor
	var err error
	if divided[trained], err = getTensors(s.gpu, s.layout, weights); err != nil {
		return nil, err
	}
	if divided[frozen], err = getTensors(s.gpu, s.frozen.layout, s.frozen.values); err != nil {
		return nil, err
	}
	if divided[kept], err = getTensors(s.gpu, s.statistics.layout, running); err != nil {
		return nil, err
	}
	return inOrder(s.roles, divided), nil
}

// getTensors returns the tensors of a buffer.
func getTensors(g *gpu, l layout, from *buffer) (builder.Weights, error) {
	all := make([]float32, l.total)
	if err := download(g, all, from); err != nil {
		return nil, err
	}
	return l.unpack(all), nil
}

// getWeights returns the tensors of a buffer of the parameters that are trained.
func (s *session) getWeights(from *buffer) (builder.Weights, error) {
	return getTensors(s.gpu, s.layout, from)
}

// resident says where the graph's parameters, gradients and statistics are, or the averages of
// parameters and statistics.
func (s *session) resident(graph *device.Graph, averaged bool) map[*gorgonia.Node]*buffer {
	weights, running := s.weights, s.statistics.running
	if averaged {
		weights, running = s.average.weights, s.average.running
	}
	at := make(map[*gorgonia.Node]*buffer)
	s.put(at, graph.Trained, weights, 4)
	s.put(at, graph.Gradients, s.gradients, 4)
	s.frozen.put(at, frozenOf(graph), s.frozen.values, 4)
	s.statistics.put(at, graph.Statistics, running, 4)
	return at
}
