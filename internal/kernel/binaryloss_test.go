package kernel

import (
	"math/rand/v2"
	"testing"

	"slipway/internal/reference"
)

func TestBinaryLoss(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine Engine) {
		for _, size := range [][2]int{{1, 1}, {32, 10}, {200, 3}, {5, 1000}} {
			batch, classes := size[0], size[1]
			r := rand.New(rand.NewPCG(1, 7))
			z, targets, dz := random(r, batch*classes), make([]float32, batch*classes), make([]float32,
				batch*classes)
			for i := range targets {
				targets[i] = r.Float32()
			}
			weights := make([]float64, classes)
			for k := range weights {
				weights[k] = r.Float64() + 0.1
			}
			l, err := NewBinaryLoss(engine, batch, classes, weights)
			must(t, err)
			loss, err := l.Forward(z, targets)
			must(t, err)
			near(t, "loss", []float32{loss},
				[]float32{reference.BinaryLossForward(classes, z, targets, weights)}, 1)
			must(t, l.Backward(dz, 1.5))
			near(t, "gradient", dz, reference.BinaryLossBackward(classes, 1.5, z, targets, weights), 1)
			if _, err := l.Forward(z, targets[1:]); err == nil {
				t.Error("too few targets are no error")
			}
		}
	})
}
