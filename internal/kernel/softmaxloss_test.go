package kernel

import (
	"math/rand/v2"
	"testing"

	"slipway/internal/reference"
)

func TestSoftmaxLoss(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, size := range [][2]int{{1, 1}, {32, 10}, {200, 3}, {5, 1000}} {
			for _, gamma := range []float64{0, 2} {
				batch, classes := size[0], size[1]
				r := rand.New(rand.NewPCG(1, 6))
				z, dz := random(r, batch*classes), make([]float32, batch*classes)
				targets := SoftmaxTargets{Labels: make([]int32, batch), Others: make([]int32, batch),
					Shares: make([]float32, batch)}
				for i := range targets.Labels {
					targets.Labels[i], targets.Others[i] = int32(r.IntN(classes)), int32(r.IntN(classes))
					targets.Shares[i] = r.Float32()
				}
				z[0] += 500
				weights := make([]float64, classes)
				for k := range weights {
					weights[k] = r.Float64() + 0.1
				}
				config := SoftmaxLossConfig{Smoothing: 0.1, Gamma: gamma, Weights: weights}
				l, err := NewSoftmaxLoss(engine, batch, classes, config)
				must(t, err)
				want := reference.SoftmaxLoss{Batch: batch, Classes: classes, Gamma: gamma}
				want.Coefficients, want.Divisor = reference.Targets(classes, targets.Labels, targets.Others,
					targets.Shares, 0.1, weights)
				loss, err := l.Forward(z, targets)
				must(t, err)
				near(t, "loss", []float32{loss}, []float32{reference.SoftmaxLossForward(want, z)}, 1)
				must(t, l.Backward(dz, 1.5))
				near(t, "gradient", dz, reference.SoftmaxLossBackward(want, 1.5, z), 1)

				targets.Divisor, want.Divisor = 7, 7
				loss, err = l.Forward(z, targets)
				must(t, err)
				near(t, "loss over 7", []float32{loss}, []float32{reference.SoftmaxLossForward(want, z)}, 1)
			}
		}
	})
}
