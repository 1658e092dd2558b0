package train

import (
	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/internal/random"
)

// mixer mixes the images of a batch that lie in the input of a graph, on the engine's threads. They
// are fed in pairs, so that both of a pair are in the same part of the batch. In a steady step it
// allocates nothing.
type mixer struct {
	mix   Mix
	key   uint64
	pool  *kernel.Pool // nil if there is none
	task  func(worker, item int)
	pairs []int // the indices of a batch, pair by pair

	blend  blend // of the batch in progress
	images []float32
	size   dataset.Info
}

// newMixer returns the mixer of a run, nil if nothing is mixed.
func newMixer(config Config, engine *builder.Engine, info dataset.Info) *mixer {
	if config.Mix.IsZero() {
		return nil
	}
	m := &mixer{mix: config.Mix, key: random.Key(config.Seed, "mix"), size: info}
	if kernels, native := engine.Kernels(); native {
		m.pool = kernels.Pool
	}
	m.task = func(_, item int) { m.pair(item) }
	return m
}

// begin draws how the batch of a step is mixed, and returns its indices in pairs: image i, and
// image B−1−i behind it. The one in the middle of an odd batch is the last.
func (m *mixer) begin(step int, indices []int) []int {
	m.blend = m.mix.draw(m.key, step, m.size.Height, m.size.Width)
	m.pairs = m.pairs[:0]
	for i, j := 0, len(indices)-1; i <= j; i, j = i+1, j-1 {
		m.pairs = append(m.pairs, indices[i])
		if i < j {
			m.pairs = append(m.pairs, indices[j])
		}
	}
	return m.pairs
}

// apply mixes the pairs, and says so in the targets. Each image gets the label that has the larger
// share of it.
func (m *mixer) apply(images []float32, labels []int32, targets *ops.Targets) {
	copy(targets.Others, labels)
	for n := range targets.Shares {
		targets.Shares[n] = 1
	}
	if m.blend.share == 1 {
		return
	}
	m.images = images
	pairs := len(labels) / 2 // what is left over is mixed with itself
	if m.pool == nil {
		for item := range pairs {
			m.pair(item)
		}
	} else {
		m.pool.Run(pairs, m.task)
	}
	m.images = nil
	for n := 0; n < 2*pairs; n += 2 {
		a, b, share := labels[n], labels[n+1], m.blend.share
		if share < 0.5 {
			a, b, share = b, a, 1-share
		}
		labels[n], targets.Others[n], targets.Shares[n] = a, b, float32(share)
		labels[n+1], targets.Others[n+1], targets.Shares[n+1] = b, a, float32(share)
	}
}

// pair mixes two images, C×H×W each.
func (m *mixer) pair(item int) {
	channels, height, width := m.size.Channels, m.size.Height, m.size.Width
	size := channels * height * width
	x, other := m.images[2*item*size:][:size], m.images[(2*item+1)*size:][:size]
	if m.blend.cuts {
		wide := m.blend.right - m.blend.left
		for plane := range channels {
			for row := m.blend.top; row < m.blend.bottom; row++ {
				first := (plane*height+row)*width + m.blend.left
				a, b := x[first:][:wide], other[first:][:wide]
				for i := range a {
					a[i], b[i] = b[i], a[i]
				}
			}
		}
		return
	}
	share, rest := float32(m.blend.share), float32(1-m.blend.share)
	for i, a := range x {
		b := other[i]
		x[i] = float32(share*a) + float32(rest*b)
		other[i] = float32(share*b) + float32(rest*a)
	}
}
