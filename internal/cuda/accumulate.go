//go:build gpu && linux && amd64

package cuda

import "unsafe"

// sums mirrors the kernels' Sums (kernels/step.cuh): Total and Data are those of the losses by
// image, and the means, in float32, and Correct what a step is booked by.
type sums struct {
	Total, Data         float64
	Correct             uint64
	MeanTotal, MeanData float32
}

// stepSums are what the batches of a step come to together, where it has several.
type stepSums struct {
	losses    *buffer // sums
	gradients *buffer
	learned   *buffer // the running statistics as the step has them up to here, float64
	taken     *buffer // for each of them 1, with which the last launch takes it up
}

// prepare allocates them.
func (m *stepSums) prepare(s *session) (err error) {
	bytes := int64(unsafe.Sizeof(sums{}))
	if m.losses, err = s.memory.allocate("a step's losses", bytes); err != nil {
		return err
	}
	if err := zeroAsync(m.losses.address, m.losses.bytes, s.gpu.stream); err != nil {
		return err
	}
	if m.gradients, err = s.zeroed("a step's gradients", s.total); err != nil {
		return err
	}
	kept := s.statistics.total
	if m.learned, err = s.zeroed("a step's statistics", 2*kept); err != nil || kept == 0 {
		return err
	}
	if m.taken, err = s.memory.allocate("which statistics are taken up", 8*int64(kept)); err != nil {
		return err
	}
	ones := make([]float64, kept)
	for i := range ones {
		ones[i] = 1
	}
	return upload(s.gpu, m.taken, ones)
}

// accumulate appends the launch that adds a batch, of a step of so many images, to those before it,
// and returns what the step is booked by.
func (s *session) accumulate(p *program, b booking, batch span) (booking, error) {
	m := s.sums
	share := float64(batch.length) / float64(b.images)
	l, err := s.gpu.kernel("accumulate", s.total+b.statistics, 1, m.losses, b.total, b.data, b.correct,
		share, flag(batch.offset == 0), b.gradients, m.gradients, s.statistics.running, m.learned,
		b.learned, b.momenta, b.statistics, s.total)
	p.launches = append(p.launches, l)
	var at sums
	sum := booking{
		total:   m.losses.from(int(unsafe.Offsetof(at.MeanTotal))),
		data:    m.losses.from(int(unsafe.Offsetof(at.MeanData))),
		correct: m.losses.from(int(unsafe.Offsetof(at.Correct))),
		images:  b.images, learned: m.learned, statistics: b.statistics, gradients: m.gradients,
	}
	if b.statistics > 0 {
		sum.momenta = m.taken
	}
	return sum, err
}
