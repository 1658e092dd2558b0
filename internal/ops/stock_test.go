package ops_test

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/ops"
	"slipway/scripts/golden/goldentest"
)

// The tests in this file say why an operator of Gorgonia's is not used. One
// that fails after an update of Gorgonia means that its operator can be.

func TestStockRectifyIsWrongAtMinusInfinityAndAtZero(t *testing.T) {
	x := array{[]int{1, 4}, []float32{float32(math.Inf(-1)), -1, 0, 1}}
	run := func(apply build) (y, dx []float32) {
		tr := newTrial(t, apply, x)
		fill(tr.dy, 1, 0)
		y, gradients := tr.run(t)
		return y, gradients[0]
	}
	y, dx := run(func(in gorgonia.Nodes) (*gorgonia.Node, error) { return gorgonia.Rectify(in[0]) })
	if !math.IsNaN(float64(y[0])) {
		t.Errorf("stock Rectify(−∞) is %v, no longer NaN", y[0])
	}
	if dx[2] == 0 {
		t.Error("stock Rectify no longer passes the gradient at 0")
	}
	y, dx = run(relu)
	goldentest.Compare(t, "ReLU", y, []float32{0, 0, 0, 1}, exact)
	goldentest.Compare(t, "gradient of ReLU", dx, []float32{0, 0, 0, 1}, exact)
}

func TestStockDropoutGradientIsWrongUnlessPIsHalf(t *testing.T) {
	x := array{[]int{8, 32}, make([]float32, 256)}
	fill(x.values, 1, 0)
	for _, test := range []struct {
		p     float64
		right bool
	}{{0.5, true}, {0.2, false}, {0.8, false}} {
		// With x = 1, y is the mask, and the gradient is y·dy.
		wrong := func(apply build) int {
			tr := newTrial(t, apply, x)
			fill(tr.dy, 1, 1)
			y, gradients := tr.run(t)
			wrong, kept := 0, 0
			for i := range y {
				if y[i] != 0 {
					kept++
				}
				if want := float64(y[i] * tr.dy[i]); math.Abs(float64(gradients[0][i])-want) > 1e-5*want {
					wrong++
				}
			}
			if kept == 0 || kept == len(y) {
				t.Fatalf("p = %v kept %d of %d values; the test shows nothing", test.p, kept, len(y))
			}
			return wrong
		}
		stock := wrong(func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return gorgonia.Dropout(in[0], test.p)
		})
		if (stock == 0) != test.right {
			t.Errorf("p = %v: %d of stock Dropout's gradients are wrong", test.p, stock)
		}
		ours := wrong(func(in gorgonia.Nodes) (*gorgonia.Node, error) {
			return ops.Dropout(in[0], test.p, ops.NewMasks(1, "dropout"), ops.ChannelsFirst)
		})
		if ours != 0 {
			t.Errorf("p = %v: %d of Dropout's gradients are wrong", test.p, ours)
		}
	}
}

func TestStockMaxPool2DLosesNaNAndPanics(t *testing.T) {
	nan := float32(math.NaN())
	values := []float32{nan, nan, 1, 2, nan, nan, 3, 4}
	g := gorgonia.NewGraph()
	input := tensor.New(tensor.WithShape(1, 1, 2, 4), tensor.WithBacking(values))
	x := gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(1, 1, 2, 4),
		gorgonia.WithValue(input), gorgonia.WithName("x"))
	pooled, err := gorgonia.MaxPool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2})
	if err != nil {
		t.Fatal(err)
	}
	dy := tensor.New(tensor.WithShape(1, 1, 1, 2), tensor.WithBacking([]float32{1, 1}))
	upstream := gorgonia.NewTensor(g, tensor.Float32, 4, gorgonia.WithShape(1, 1, 1, 2),
		gorgonia.WithValue(dy), gorgonia.WithName("dy"))
	gradients, err := gorgonia.Backpropagate(gorgonia.Nodes{pooled}, gorgonia.Nodes{upstream},
		gorgonia.Nodes{x})
	if err != nil {
		t.Fatal(err)
	}
	// The operators are run by hand: in a TapeMachine the panic is in a
	// goroutine of its own and ends the process.
	y, err := pooled.Op().Do(input)
	if err != nil {
		t.Fatal(err)
	}
	if got := floats(t, y); got[0] != got[0] {
		t.Error("stock MaxPool2D no longer loses the NaN of a window")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the gradient of stock MaxPool2D no longer panics on a window of NaN")
			}
		}()
		_, _ = gradients[0].Op().Do(input, y, dy)
	}()

	tr := newTrial(t,
		maxPool(ops.Window{KernelHeight: 2, KernelWidth: 2, StrideHeight: 2, StrideWidth: 2}),
		array{[]int{1, 1, 2, 4}, values})
	fill(tr.dy, 1, 0)
	ours, dx := tr.run(t)
	goldentest.Compare(t, "MaxPool2D", ours, []float32{nan, 4}, exact)
	goldentest.Compare(t, "gradient of MaxPool2D", dx[0], []float32{0, 0, 0, 0, 0, 1, 0, 1}, exact)
}

// Gorgonia's Reshape may change the shape of its input's own value. Ours must
// leave the parameter that it looks at as it is.
func TestReshapeLeavesItsInputsShape(t *testing.T) {
	tr := newTrial(t, func(in gorgonia.Nodes) (*gorgonia.Node, error) {
		node, err := ops.Reshape(in[0], 1, 6, 1, 1)
		if err == nil && !in[0].Value().Shape().Eq(tensor.Shape{6}) {
			t.Errorf("Reshape changed its input to %v", in[0].Value().Shape())
		}
		t.Cleanup(func() {
			if !in[0].Value().Shape().Eq(tensor.Shape{6}) {
				t.Errorf("running Reshape changed its input to %v", in[0].Value().Shape())
			}
		})
		return node, err
	}, spaced(6))
	tr.run(t)
	tr.run(t)
}
