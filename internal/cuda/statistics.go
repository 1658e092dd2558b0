//go:build gpu && linux && amd64

package cuda

import (
	"errors"

	"gorgonia.org/gorgonia"

	"slipway/builder"
)

// resting are tensors that no step changes, such as frozen parameters.
type resting struct {
	layout
	values *buffer
}

func newResting(memory *pool, specs []builder.TensorSpec) (resting, error) {
	r := resting{layout: newLayout(specs)}
	if r.total == 0 {
		return r, nil
	}
	var err error
	if r.values, err = memory.allocateFloats("frozen weights", r.total); err != nil {
		return r, err
	}
	return r, zeroAsync(r.values.address, r.values.bytes, memory.gpu.stream)
}

// statistics are what a network's layers keep beside its weights, such as running means, on the
// device.
type statistics struct {
	layout
	// running are their values, float32, and batch, float64, what the batch under way says of
	// each. That goes into the running ones when the step is booked, so that one that diverges
	// leaves nothing.
	running, batch *buffer
}

// newStatistics allocates them; there are none in most networks.
func newStatistics(memory *pool, specs []builder.TensorSpec) (statistics, error) {
	s := statistics{layout: newLayout(specs)}
	if s.total == 0 {
		return s, nil
	}
	var err error
	if s.running, err = memory.allocateFloats("running statistics", s.total); err != nil {
		return s, err
	}
	if s.batch, err = memory.allocate("the batch's statistics", 8*int64(s.total)); err != nil {
		return s, err
	}
	return s, errors.Join(zeroAsync(s.running.address, s.running.bytes, memory.gpu.stream),
		zeroAsync(s.batch.address, s.batch.bytes, memory.gpu.stream))
}

// batchOf says where what the batch says of each statistic goes.
func (s statistics) batchOf(nodes gorgonia.Nodes) map[*gorgonia.Node]*buffer {
	at := make(map[*gorgonia.Node]*buffer)
	s.put(at, nodes, s.batch, 8)
	return at
}

// momenta returns, for each value, how much of the batch's goes into the running one: nothing
// where no layer learns it.
func (s statistics) momenta(nodes gorgonia.Nodes, learned []learnedStatistic) []float64 {
	all := make([]float64, s.total)
	places := make(map[*gorgonia.Node]span)
	for i, node := range nodes {
		places[node] = s.spans[i]
	}
	for _, l := range learned {
		at := places[l.node]
		for i := at.offset; i < at.offset+at.length; i++ {
			all[i] = l.momentum
		}
	}
	return all
}

// learned returns how many statistics the last launch of a step brings up to date, and their
// momenta on the device; none if no layer learns any.
func (s statistics) learned(p *pass) (n int, momenta *buffer, err error) {
	if len(p.machine.learned) == 0 {
		return 0, nil, nil
	}
	if momenta, err = p.memory.allocate("momenta", 8*int64(s.total)); err != nil {
		return 0, nil, err
	}
	return s.total, momenta, upload(p.memory.gpu, momenta,
		s.momenta(p.graph.Statistics, p.machine.learned))
}
