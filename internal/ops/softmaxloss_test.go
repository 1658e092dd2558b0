package ops_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// softmaxLoss applies the loss on the kernels, and as plain loops where these are nil.
func softmaxLoss(kernels *kernel.Engine, labels []int32, targets *ops.Targets,
	config ops.SoftmaxLossConfig) build {
	return func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		node, values := ops.NewLabels(in[0].Graph(), len(labels))
		copy(values, labels)
		if kernels == nil {
			return ops.SoftmaxLoss(in[0], node, targets, config)
		}
		return ops.NativeSoftmaxLoss(*kernels, in[0], node, targets, config, 1)
	}
}

// eachLossEngine runs the test on each kernel set, and without kernels.
func eachLossEngine(t *testing.T, test func(t *testing.T, kernels *kernel.Engine)) {
	t.Run("plain", func(t *testing.T) { test(t, nil) })
	eachKernelSet(t, func(t *testing.T, kernels kernel.Engine) { test(t, &kernels) })
}

// lossCase reads what a golden case of a loss is of.
func lossCase(t *testing.T, c goldentest.Case) (labels []int32, targets *ops.Targets,
	config ops.SoftmaxLossConfig) {
	t.Helper()
	if err := json.Unmarshal(c.Loss, &config); err != nil {
		t.Fatal(err)
	}
	targets = new(ops.Targets)
	if c.Has("others") {
		targets.Others, targets.Shares = c.Ints(t, "others"), c.Floats(t, "shares")
	}
	return c.Ints(t, "labels"), targets, config
}

func TestSoftmaxLossAgreesWithPyTorch(t *testing.T) {
	eachCase(t, "softmaxloss", func(t *testing.T, c goldentest.Case) {
		eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
			labels, targets, config := lossCase(t, c)
			checkGolden(t, channelsFirst(t, c), softmaxLoss(kernels, labels, targets, config),
				[]string{"x"}, []string{"dx"}, summed)
		})
	})
}

func TestSoftmaxLossGradientIsTheFiniteDifference(t *testing.T) {
	mixed := &ops.Targets{Others: []int32{1, 3, 0}, Shares: []float32{0.75, 0.5, 1}}
	weights := []float64{0.5, 1, 2, 4}
	for name, test := range map[string]struct {
		targets *ops.Targets
		config  ops.SoftmaxLossConfig
	}{
		"cross-entropy": {new(ops.Targets), ops.SoftmaxLossConfig{}},
		"smoothed":      {new(ops.Targets), ops.SoftmaxLossConfig{Smoothing: 0.2}},
		"weighted": {new(ops.Targets),
			ops.SoftmaxLossConfig{Smoothing: 0.1, Weights: weights}},
		"focal": {new(ops.Targets), ops.SoftmaxLossConfig{Gamma: 2}},
		"everything": {mixed, ops.SoftmaxLossConfig{Smoothing: 0.1, Gamma: 1.5,
			Weights: weights}},
		"a part's own divisor": {&ops.Targets{Divisor: 7}, ops.SoftmaxLossConfig{Weights: weights}},
	} {
		t.Run(name, func(t *testing.T) {
			eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
				apply := softmaxLoss(kernels, []int32{0, 3, 1}, test.targets, test.config)
				checkFiniteDifferences(t, apply, spaced(3, 4))
			})
		})
	}
}

// Without settings it is the cross-entropy that was there before, gradients included.
func TestSoftmaxLossWithoutSettingsIsCrossEntropy(t *testing.T) {
	eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
		labels := []int32{0, 3, 1, 2, 2}
		loss := newTrial(t, softmaxLoss(kernels, labels, new(ops.Targets), ops.SoftmaxLossConfig{}),
			spaced(5, 4))
		plain := newTrial(t, crossEntropy(labels...), spaced(5, 4))
		loss.dy[0], plain.dy[0] = 1, 1
		y, dx := loss.run(t)
		wantY, wantDX := plain.run(t)
		goldentest.Compare(t, "loss", y, wantY, rounded)
		goldentest.Compare(t, "gradient", dx[0], wantDX[0], goldentest.Tolerance{OfLargest: 2e-7})
	})
}

// The gradient of focal loss has no limit that is not a number: an image that is answered with
// certainty adds nothing, with any γ, right or wrong.
func TestFocalLossAtCertainty(t *testing.T) {
	for _, gamma := range []float64{0.25, 1, 2} {
		eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
			apply := softmaxLoss(kernels, []int32{0, 1}, new(ops.Targets),
				ops.SoftmaxLossConfig{Gamma: gamma})
			tr := newTrial(t, apply, array{[]int{2, 2}, []float32{2000, 0, 2000, 0}})
			tr.dy[0] = 1
			y, dx := tr.run(t)
			goldentest.Compare(t, "loss", y, []float32{1000}, exact)
			goldentest.Compare(t, "gradient", dx[0], []float32{0, 0, 0.5, -0.5}, exact)
		})
	}
}

func TestSoftmaxLossRejects(t *testing.T) {
	eachLossEngine(t, func(t *testing.T, kernels *kernel.Engine) {
		for name, test := range map[string]struct {
			labels  []int32
			targets *ops.Targets
			config  ops.SoftmaxLossConfig
			want    string
		}{
			"no targets":     {[]int32{0, 1}, nil, ops.SoftmaxLossConfig{}, "no targets"},
			"too few labels": {[]int32{0}, new(ops.Targets), ops.SoftmaxLossConfig{}, "want N×K and N"},
			"too few others": {[]int32{0, 1}, &ops.Targets{Others: []int32{1}, Shares: []float32{1}},
				ops.SoftmaxLossConfig{}, "1 other labels"},
			"no shares": {[]int32{0, 1}, &ops.Targets{Others: []int32{1, 0}},
				ops.SoftmaxLossConfig{}, "0 shares of 2 images"},
			"too many weights": {[]int32{0, 1}, new(ops.Targets),
				ops.SoftmaxLossConfig{Weights: make([]float64, 4)}, "4 weights of 3 classes"},
			"no such label": {[]int32{0, 3}, new(ops.Targets), ops.SoftmaxLossConfig{}, "outside 0…2"},
			"no such an other": {[]int32{0, 1},
				&ops.Targets{Others: []int32{1, -1}, Shares: []float32{1, 1}}, ops.SoftmaxLossConfig{}, "-1"},
			"an other too many": {[]int32{0, 1},
				&ops.Targets{Others: []int32{1, 3}, Shares: []float32{1, 1}}, ops.SoftmaxLossConfig{}, "3"},
		} {
			g := gorgonia.NewGraph()
			logits := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(2, 3), gorgonia.WithName("x"),
				gorgonia.WithValue(tensor.New(tensor.WithShape(2, 3), tensor.WithBacking(make([]float32, 6)))))
			_, err := softmaxLoss(kernels, test.labels, test.targets, test.config)(gorgonia.Nodes{logits})
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

// The bits do not depend on how the rows are shared out among threads.
func TestSoftmaxLossIsTheSameOnAnyThreads(t *testing.T) {
	const batch, classes = 300, 7
	labels, targets := make([]int32, batch), &ops.Targets{Others: make([]int32, batch),
		Shares: make([]float32, batch)}
	for n := range labels {
		labels[n], targets.Others[n] = int32(n%classes), int32((n*3+1)%classes)
		targets.Shares[n] = float32(math.Mod(float64(n)*0.37, 1))
	}
	config := ops.SoftmaxLossConfig{Smoothing: 0.1, Gamma: 2, Weights: []float64{1, 2, 3, 4, 5, 6, 7}}
	var first []float32
	for _, threads := range []int{1, 2, 3} {
		kernels, err := kernel.NewEngine("", threads)
		if err != nil {
			t.Fatal(err)
		}
		defer kernels.Pool.Close()
		tr := newTrial(t, softmaxLoss(&kernels, labels, targets, config), spaced(batch, classes))
		tr.dy[0] = 1
		y, dx := tr.run(t)
		all := append(y, dx[0]...)
		if first == nil {
			first = all
		}
		if !slices.Equal(all, first) {
			t.Errorf("%d threads give other bits than one", threads)
		}
	}
}
