package ops_test

import (
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

func binaryLoss(kernels *kernel.Engine, labels []int32, targets *ops.Targets,
	config ops.BinaryLossConfig) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		node, values := ops.NewLabels(in[0].Graph(), len(labels))
		copy(values, labels)
		if kernels == nil {
			return ops.BinaryLoss(in[0], node, targets, config)
		}
		return ops.NativeBinaryLoss(*kernels, in[0], node, targets, config, 1)
	}
}

func TestBinaryLossAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "binaryloss", func(t *testing.T, c goldentest.Case) {
		eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
			labels, targets, config := lossCase(t, c)
			apply := binaryLoss(kernels, labels, targets, ops.BinaryLossConfig{Smoothing: config.Smoothing,
				Weights: config.Weights})
			checkGolden(t, channelsFirst(t, c), apply, []string{"x"}, []string{"dx"}, summed)
		})
	})
}

func TestBinaryLossGradientIsTheFiniteDifference(t *testing.T) {
	mixed := &ops.Targets{Others: []int32{1, 3, 0}, Shares: []float32{0.75, 0.5, 1}}
	for name, test := range map[string]struct {
		targets *ops.Targets
		config  ops.BinaryLossConfig
	}{
		"plain":      {new(ops.Targets), ops.BinaryLossConfig{}},
		"everything": {mixed, ops.BinaryLossConfig{Smoothing: 0.1, Weights: []float64{0.5, 1, 2, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
				checkFiniteDifferences(t, binaryLoss(kernels, []int32{0, 3, 1}, test.targets, test.config),
					spaced(3, 4))
			})
		})
	}
}

func TestBinaryLossRejects(t *testing.T) {
	eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
		for name, test := range map[string]struct {
			targets *ops.Targets
			config  ops.BinaryLossConfig
			want    string
		}{
			"no targets": {nil, ops.BinaryLossConfig{}, "no targets"},
			"too many weights": {new(ops.Targets), ops.BinaryLossConfig{Weights: make([]float64, 4)},
				"4 weights of 3 classes"},
			"no such an other": {&ops.Targets{Others: []int32{1, 3}, Shares: []float32{1, 1}},
				ops.BinaryLossConfig{}, "outside 0…2"},
		} {
			g := gorgonia.NewGraph()
			logits := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 3), gorgonia.WithName("x"),
				gorgonia.WithValue(tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(make([]float32, 6)))))
			_, err := binaryLoss(kernels, []int32{0, 1}, test.targets, test.config)(gorgonia.Nodes{logits})
			if err == nil {
				machine := gorgonia.NewTapeMachine(g)
				err = machine.RunAll()
				_ = machine.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error %v, want %q", name, err, test.want)
			}
		}
	})
}
