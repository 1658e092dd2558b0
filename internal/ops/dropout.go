package ops

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"slipway/internal/random"
)

// Masks draws dropout masks. The mask of a step is a pure function of the key
// and the step, so that a resumed run draws the masks of an unbroken one, and
// both engines draw the same.
type Masks struct {
	key   uint64
	step  uint64
	image int
}

// NewMasks returns the masks of one dropout layer.
func NewMasks(seed uint64, layer string) *Masks {
	return &Masks{key: random.Key(seed, "dropout "+layer)}
}

// Key returns the Philox key of the masks.
func (m *Masks) Key() uint64 { return m.key }

// Step returns the step whose mask the next run draws.
func (m *Masks) Step() uint64 { return m.step }

// Threshold returns the number below which a random word drops its value, p·2³²,
// and the factor of the values that stay, 1/(1−p).
func Threshold(p float64) (threshold uint64, keep float32) {
	return uint64(math.Round(p * (1 << 32))), float32(1 / (1 - p))
}

// SetStep chooses the step whose mask the next run of the graph draws, and which
// image of that step's batch is the graph's first: 0 unless the graph takes a part
// of the batch.
func (m *Masks) SetStep(step uint64, image int) { m.step, m.image = step, image }

// Fill writes the factors of that many images, one per value: 0 with probability p,
// else 1/(1−p). Value i, counted in channels-first order through the whole
// batch, takes word i mod 4 of Philox(key, {i / 4, step}), and is dropped if that is
// below p·2³².
func (m *Masks) Fill(factors []float32, images int, p float64) {
	threshold, keep := Threshold(p)
	counter := [4]uint32{2: uint32(m.step), 3: uint32(m.step >> 32)}
	first := uint64(m.image) * uint64(len(factors)/images)
	end := first + uint64(len(factors))
	for group := first / 4; 4*group < end; group++ {
		counter[0], counter[1] = uint32(group), uint32(group>>32)
		for j, word := range random.Philox(m.key, counter) {
			i := 4*group + uint64(j)
			if i < first || i >= end {
				continue
			}
			factor := keep
			if uint64(word) < threshold {
				factor = 0
			}
			factors[i-first] = factor
		}
	}
}

// Dropout applies y = x ∘ m, where each mᵢ is 0 with probability p and 1/(1−p)
// otherwise. Its gradient is dx = dy ∘ m with the same m. (Gorgonia's own
// scales the gradient by p's complement wrongly unless p = 0.5.)
func Dropout(x *gorgonia.Node, p float64, masks *Masks, layout Layout) (*gorgonia.Node, error) {
	if !(p >= 0 && p < 1) {
		return nil, fmt.Errorf("dropout: probability %v is outside 0 ≤ p < 1", p)
	}
	shape := x.Shape().Clone()
	count := shape.TotalSize()
	mask := make([]float32, count)
	drawn := mask
	if layout == ChannelsLast && shape.Dims() == 4 {
		drawn = make([]float32, count)
	}
	describe := func(kind Kind) Description {
		if layout != ChannelsFirst {
			return Description{} // the masks count in channels-first order
		}
		return Description{Kind: kind, P: p, Masks: masks}
	}
	return Apply(Computation{
		Name: fmt.Sprintf("Dropout(p=%v)", p), Output: shape, Description: describe(DropoutForward),
		Forward: func(y []float32, in [][]float32) error {
			masks.Fill(drawn, shape[0], p)
			if layout == ChannelsLast && shape.Dims() == 4 {
				ToChannelsLast(mask, drawn, shape)
			}
			multiply(y, in[0], mask)
			return nil
		},
		Gradients: []Gradient{{
			// The output is for executors that draw the masks again.
			Of: []int{0}, ReadsOutput: true, Description: describe(DropoutGradient),
			Run: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
				multiply(d[0], dy, mask)
				return nil
			},
		}},
	}, x)
}

func multiply(product, a, b []float32) {
	for i := range product {
		product[i] = a[i] * b[i]
	}
}
