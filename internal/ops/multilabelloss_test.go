package ops_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// combinationsOf makes combinations of rows of 0 and 1, each its own, in another order than the
// images have: a label is a place among them.
func combinationsOf(rows []int32, classes int) (labels []int32, combinations [][]int32) {
	batch := len(rows) / classes
	combinations = make([][]int32, batch)
	for n := range batch {
		place := batch - 1 - n
		labels = append(labels, int32(place))
		for k, has := range rows[n*classes : (n+1)*classes] {
			if has == 1 {
				combinations[place] = append(combinations[place], int32(k))
			}
		}
	}
	return labels, combinations
}

func TestMultiLabelLossAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "multilabelloss", func(t *testing.T, c goldentest.Case) {
		eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
			var config ops.BinaryLossConfig
			if err := json.Unmarshal(c.Loss, &config); err != nil {
				t.Fatal(err)
			}
			sets := c.Ints(t, "sets")
			labels, combinations := combinationsOf(sets, c.Shape(t, "sets")[1])
			targets := &ops.Targets{Combinations: combinations}
			if c.Has("shares") {
				targets.Others, targets.Shares = slices.Clone(labels), c.Floats(t, "shares")
				slices.Reverse(targets.Others)
			}
			checkGolden(t, channelsFirst(t, c), binaryLoss(kernels, labels, targets, config), []string{"x"},
				[]string{"dx"}, summed)
		})
	})
}

func TestMultiLabelLossGradientIsTheFiniteDifference(t *testing.T) {
	combinations := [][]int32{{}, {0, 2, 3}, {1}, {0, 1, 2, 3}}
	mixed := &ops.Targets{Others: []int32{1, 3, 0}, Shares: []float32{0.75, 0.5, 1},
		Combinations: combinations}
	for name, test := range map[string]struct {
		targets *ops.Targets
		config  ops.BinaryLossConfig
	}{
		"plain":      {&ops.Targets{Combinations: combinations}, ops.BinaryLossConfig{}},
		"everything": {mixed, ops.BinaryLossConfig{Smoothing: 0.1, Weights: []float64{0.5, 1, 2, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
				checkFiniteDifferences(t, binaryLoss(kernels, []int32{0, 1, 2}, test.targets, test.config),
					spaced(3, 4))
			})
		})
	}
}

// Combinations may be more than there are classes, and what is none of them is an error.
func TestMultiLabelLossRejects(t *testing.T) {
	many := [][]int32{{}, {0}, {1}, {0, 1}}
	eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
		for name, test := range map[string]struct {
			labels  []int32
			targets *ops.Targets
			want    string
		}{
			"more than classes":   {[]int32{3, 2}, &ops.Targets{Combinations: many}, ""},
			"no such combination": {[]int32{0, 4}, &ops.Targets{Combinations: many}, "outside 0…3"},
			"no such other": {[]int32{0, 1}, &ops.Targets{Combinations: many, Others: []int32{4, 0},
				Shares: []float32{1, 1}}, "outside 0…3"},
			"no such label": {[]int32{0, 1}, &ops.Targets{Combinations: [][]int32{{0}, {2}}},
				"2 is outside 0…1"},
			"a label below 0": {[]int32{0, 1}, &ops.Targets{Combinations: [][]int32{{0}, {-1}}},
				"-1 is outside 0…1"},
			"no such label, another": {[]int32{0, 0}, &ops.Targets{Combinations: [][]int32{{0}, {2}},
				Others: []int32{1, 0}, Shares: []float32{1, 1}}, "2 is outside 0…1"},
		} {
			g := gorgonia.NewGraph()
			logits := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 2), gorgonia.WithName("x"),
				gorgonia.WithValue(tensor.New(tensor.WithShape(2, 2), tensor.WithBacking(make([]float32, 4)))))
			_, err := binaryLoss(kernels, test.labels, test.targets,
				ops.BinaryLossConfig{})(gorgonia.Nodes{logits})
			if err == nil {
				machine := gorgonia.NewTapeMachine(g)
				err = machine.RunAll()
				_ = machine.Close()
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("%s: %v", name, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s: error %v, want %q", name, err, test.want)
			}
		}
	})
}
