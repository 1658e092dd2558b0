//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"testing"

	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/ops"
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

// Each loss of two labels an image, and the binary ones, of one label, of two and of any number, are
// those of the plain loops.
func TestMixedAndBinaryLossesAreThoseOfTheTapeMachine(t *testing.T) {
	network := mustNew(t, "loss", builder.Shape{5}, builder.Dense{Units: 3})
	mixed := train.Mix{MixUp: 1}
	binary := train.Loss{Name: train.LossBinary, Smoothing: 0.1,
		ClassWeights: train.ClassWeights{Values: []float64{1, 2.5, 0.3}}}
	type graphOf struct {
		name         string
		loss         train.Loss
		mix          train.Mix
		combinations dataset.Combinations
	}
	several := dataset.Combinations{{}, {0, 2}, {1}, {0, 1, 2}}
	tests := []graphOf{
		{"binary", train.Loss{Name: train.LossBinary}, train.Mix{}, nil},
		{"binary of all", binary, train.Mix{}, nil},
		{"binary, mixed", binary, mixed, nil},
		{"several labels", train.Loss{Name: train.LossBinary}, train.Mix{}, several},
		{"several labels of all, mixed", binary, mixed, several},
	}
	for _, loss := range append(losses(), train.Loss{}) {
		tests = append(tests, graphOf{"mixed " + loss.String(), loss, mixed, nil})
	}
	for _, test := range tests {
		for _, batch := range []int{1, 3, 70} {
			t.Run(fmt.Sprintf("%s/%d", test.name, batch), func(t *testing.T) {
				config := train.Config{Seed: 4, Loss: test.loss, Mix: test.mix}
				graph := plainGraph(t, network, config, batch)
				targets := targetsOf(t, graph)
				targets.Combinations = test.combinations
				labels := graph.Labels.Value().(*tensor.Dense).Int32s()
				places := 3
				if test.combinations != nil {
					places = len(test.combinations)
				}
				for i := range labels {
					labels[i] = int32(i * 7 % places)
					if targets.Others != nil {
						targets.Others[i], targets.Shares[i] = int32(i*5%places), 0.5+float32(i%50)/100
					}
				}
				compareWithTape(t, graph, 2e-5)
			})
		}
	}
}

// targetsOf returns what the images of a graph should be, beside their labels.
func targetsOf(t *testing.T, graph *train.LossGraph) *ops.Targets {
	t.Helper()
	d, ok := ops.Describe(graph.Data.Op())
	if !ok || d.Targets == nil {
		t.Fatalf("the loss is %s, which has no targets", nodeName(graph.Data))
	}
	return d.Targets
}

// Labels of classes beyond a word of bits, and beyond a block's threads, are found.
func TestManyLabels(t *testing.T) {
	const classes = 300
	network := mustNew(t, "labels", builder.Shape{5}, builder.Dense{Units: classes})
	graph := plainGraph(t, network, train.Config{Seed: 4, Loss: train.Loss{Name: train.LossBinary}}, 3)
	targetsOf(t, graph).Combinations = dataset.Combinations{{0, 31, 32, 299}, {63, 64, 256}, {255}}
	labels := graph.Labels.Value().(*tensor.Dense).Int32s()
	labels[0], labels[1], labels[2] = 2, 0, 1
	compareWithTape(t, graph, 2e-5)
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
