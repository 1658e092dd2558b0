package ops_test

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
	"slipway/internal/ops"
)

func TestOperatorsRejectWrongShapes(t *testing.T) {
	node := func(shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(gorgonia.NewGraph(), tensor.Float32, len(shape),
			gorgonia.WithShape(shape...), gorgonia.WithName("x"))
	}
	good := ops.Window{KernelHeight: 2, KernelWidth: 2, StrideHeight: 2, StrideWidth: 2}
	window := func(change func(*ops.Window)) ops.Window {
		w := good
		change(&w)
		return w
	}
	pool := func(of *gorgonia.Node, w ops.Window) func() (*gorgonia.Node, error) {
		return func() (*gorgonia.Node, error) {
			largest, err := ops.MaxPool2D(of, w)
			if _, other := ops.AvgPool2D(of, w); (err == nil) != (other == nil) {
				t.Errorf("window %+v: MaxPool2D says %v, AvgPool2D %v", w, err, other)
			}
			return largest, err
		}
	}
	crossEntropy := func(logits *gorgonia.Node, labels int) func() (*gorgonia.Node, error) {
		return func() (*gorgonia.Node, error) {
			node, _ := ops.NewLabels(logits.Graph(), labels)
			return ops.SoftmaxCrossEntropy(logits, node)
		}
	}
	dropout := func(p float64) func() (*gorgonia.Node, error) {
		return func() (*gorgonia.Node, error) {
			return ops.Dropout(node(2, 3), p, ops.NewMasks(1, "dropout"), ops.ChannelsFirst)
		}
	}
	kernels, err := kernel.NewEngine("portable", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer kernels.Pool.Close()
	for _, test := range []struct {
		name  string
		apply func() (*gorgonia.Node, error)
		want  string
	}{
		{"scaling a cube", func() (*gorgonia.Node, error) {
			return ops.NativeScale(kernels, "Scale", node(2, 3, 4), node(4))
		}, "Scale: rows of channels"},
		{"normalising a cube", func() (*gorgonia.Node, error) {
			return ops.NativeLayerNorm(kernels, node(2, 3, 4), node(4), node(4), 1)
		}, "N×H×W×C or N×C"},
		{"dropping channels of a cube", func() (*gorgonia.Node, error) {
			return ops.NativeDropChannels(kernels, "Dropout2D", node(2, 3, 4), 0.5,
				ops.NewMasks(1, "dropout"), false)
		}, "N×H×W×C or N×C"},
		{"joining maps of other sizes", func() (*gorgonia.Node, error) {
			return ops.NativeConcat(kernels, node(2, 3, 4, 5), node(2, 3, 3, 5))
		}, "maps of (2, 3, 4, 5) and (2, 3, 3, 5)"},
		{"padding a vector", func() (*gorgonia.Node, error) {
			return ops.NativePad(kernels, node(2, 3), []int{0}, []int{0})
		}, "padding takes N×H×W×C"},
		{"joining a map and a vector", func() (*gorgonia.Node, error) {
			return ops.NativeConcat(kernels, node(2, 3, 4, 5), node(2, 5))
		}, "concatenation"},
		{"pooling a matrix", pool(node(2, 3), good), "N×C×H×W"},
		{"window larger than the input", pool(node(1, 1, 1, 5), good), "larger than the input"},
		{"kernel of 0", pool(node(1, 1, 4, 4), window(func(w *ops.Window) { w.KernelWidth = 0 })),
			"kernel"},
		{"negative kernel", pool(node(1, 1, 4, 4), window(func(w *ops.Window) { w.KernelHeight = -1 })),
			"kernel"},
		{"stride of 0", pool(node(1, 1, 4, 4), window(func(w *ops.Window) { w.StrideHeight = 0 })),
			"stride"},
		{"negative stride", pool(node(1, 1, 4, 4), window(func(w *ops.Window) { w.StrideWidth = -2 })),
			"stride"},
		{"negative padding", pool(node(1, 1, 4, 4), window(func(w *ops.Window) { w.PaddingWidth = -1 })),
			"padding"},
		{"padding over half the kernel",
			pool(node(1, 1, 4, 4), window(func(w *ops.Window) { w.PaddingHeight = 2 })), "padding"},
		{"logits of four dimensions", crossEntropy(node(2, 3, 1, 1), 2), "want N×K and N"},
		{"more labels than logits", crossEntropy(node(2, 3), 3), "want N×K and N"},
		{"reshape to another size", func() (*gorgonia.Node, error) { return ops.Reshape(node(2, 3), 7) },
			"other number of values"},
		{"dropout of probability 1", dropout(1), "0 ≤ p < 1"},
		{"dropout of negative probability", dropout(-0.1), "0 ≤ p < 1"},
		{"dropout of probability NaN", dropout(math.NaN()), "0 ≤ p < 1"},
		{"a layer of uneven shards", func() (*gorgonia.Node, error) {
			return ops.NativeDense(kernels, node(3, 4), node(2, 4), node(2), false, 2, true)
		}, "3 images in 2 shards"},
		{"three shards", func() (*gorgonia.Node, error) {
			return ops.NativeDense(kernels, node(3, 4), node(2, 4), node(2), false, 3, true)
		}, "3 shards"},
		{"the loss of uneven shards", func() (*gorgonia.Node, error) {
			logits := node(3, 4)
			labels, _ := ops.NewLabels(logits.Graph(), 3)
			return ops.NativeSoftmaxCrossEntropy(kernels, logits, labels, 2)
		}, "3 images in 2 shards"},
		{"penalty of no parameters", func() (*gorgonia.Node, error) {
			return ops.ParameterPenalty(ops.Penalty{L1: 1})
		}, "no parameters"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.apply(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestSoftmaxCrossEntropyRejectsLabelsOutOfRange(t *testing.T) {
	for _, label := range []int32{-1, 3, math.MaxInt32, math.MinInt32} {
		tr := newTrial(t, crossEntropy(0, label), spaced(2, 3))
		tr.machine.Reset()
		err := tr.machine.RunAll()
		if err == nil || !strings.Contains(err.Error(), "label 1 of the batch") ||
			!strings.Contains(err.Error(), "0…2") {
			t.Errorf("label %d: error is %v, want one that names the label and the range", label, err)
		}
	}
}

func TestSoftmaxCrossEntropyRejectsLabelsThatAreNotIntegers(t *testing.T) {
	tr := newTrial(t, func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		labels := gorgonia.NewVector(in[0].Graph(), tensor.Float32, gorgonia.WithShape(2),
			gorgonia.WithName("labels"),
			gorgonia.WithValue(tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{0, 1}))))
		return ops.SoftmaxCrossEntropy(in[0], labels)
	}, spaced(2, 3))
	tr.machine.Reset()
	if err := tr.machine.RunAll(); err == nil || !strings.Contains(err.Error(), "int32") {
		t.Errorf("error is %v, want one that asks for int32", err)
	}
}
