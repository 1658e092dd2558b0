//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"testing"

	"slipway/builder"
	"slipway/train"
)

// losses are those of softmax(logits) that a device computes beside the plain cross-entropy, for
// three classes.
func losses() []train.Loss {
	weights := train.ClassWeights{Values: []float64{1, 2.5, 0.3}}
	return []train.Loss{
		{Smoothing: 0.1}, {ClassWeights: weights}, {Name: train.LossFocal}, {Name: train.LossFocal, Gamma: 0.5, Smoothing: 0.2, ClassWeights: weights},
	}
}

// Each loss and its gradient are those of the plain loops, in batches with more rows than sums,
// too.
func TestLossesAreThoseOfTheTapeMachine(t *testing.T) {
	network := mustNew(t, "loss", builder.Shape{5}, builder.Dense{Units: 3})
	for _, loss := range losses() {
		for _, batch := range []int{1, 3, 70} {
			t.Run(fmt.Sprintf("%v/%d", loss, batch), func(t *testing.T) {
				compareWithTape(t, plainGraph(t, network, train.Config{Seed: 4, Loss: loss}, batch), 2e-5)
			})
		}
	}
}

// A run with such a loss has the native engine's history.
func TestARunWithALossHasTheNativeEnginesHistory(t *testing.T) {
	for _, loss := range losses() {
		t.Run(loss.String(), func(t *testing.T) {
			config := smallConfig()
			config.Epochs, config.Loss = 2, loss
			native := fit(t, config)
			defer native.Close()
			config.Device = openDevice(t)
			device := fit(t, config)
			defer device.Close()
			for i, want := range native.Progress().History {
				got := device.Progress().History[i]
				if got.TrainAccuracy != want.TrainAccuracy {
					t.Errorf("epoch %d: accuracy %v, the native engine has %v", i+1, got.TrainAccuracy, want.TrainAccuracy)
				}
				for _, pair := range [][2]float64{{got.MeanLoss, want.MeanLoss}, {got.MeanCrossEntropy, want.MeanCrossEntropy}} {
					if math.Abs(pair[0]-pair[1]) > 1e-4*math.Abs(pair[1]) {
						t.Errorf("epoch %d: %v, the native engine has %v", i+1, pair[0], pair[1])
					}
				}
			}
		})
	}
}
