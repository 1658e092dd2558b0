package reference

import (
	"math"
	"math/rand/v2"
	"testing"
)

// checkGradient compares an analytic gradient with central differences of loss as x varies, in
// float64.
func checkGradient(t *testing.T, name string, x, gradient []float64, loss func() float64) {
	t.Helper()
	const step = 1e-5
	for i := range x {
		keep := x[i]
		x[i] = keep + step
		up := loss()
		x[i] = keep - step
		down := loss()
		x[i] = keep
		want := (up - down) / (2 * step)
		if diff := math.Abs(gradient[i] - want); !(diff <= 1e-6*(1+math.Abs(want))) {
			t.Fatalf("%s: element %d: gradient %g, finite difference %g", name, i, gradient[i], want)
		}
	}
}

func random(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestConv2DGradient(t *testing.T) {
	for _, c := range []Conv2D{
		{Batch: 2, Channels: 3, Height: 5, Width: 6, Filters: 4, KernelHeight: 3, KernelWidth: 2,
			StrideHeight: 1, StrideWidth: 1},
		{Batch: 1, Channels: 2, Height: 7, Width: 5, Filters: 3, KernelHeight: 3, KernelWidth: 3,
			StrideHeight: 2, StrideWidth: 1, PaddingHeight: 1, PaddingWidth: 2},
		{Batch: 2, Channels: 1, Height: 4, Width: 4, Filters: 2, KernelHeight: 1, KernelWidth: 1,
			StrideHeight: 3, StrideWidth: 2},
		{Batch: 1, Channels: 2, Height: 3, Width: 3, Filters: 2, KernelHeight: 3, KernelWidth: 3,
			StrideHeight: 1, StrideWidth: 1},
		{Batch: 2, Channels: 4, Height: 6, Width: 5, Filters: 6, KernelHeight: 3, KernelWidth: 2,
			StrideHeight: 2, StrideWidth: 1, PaddingHeight: 1, Groups: 2, ExtraHeight: 1, DilationHeight: 1,
			DilationWidth: 3},
		{Batch: 1, Channels: 3, Height: 5, Width: 6, Filters: 3, KernelHeight: 2, KernelWidth: 3,
			StrideHeight: 1, StrideWidth: 2, PaddingWidth: 1, Groups: 3, ExtraWidth: 2, DilationHeight: 2},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		x, w, b := random(r, c.Batch*c.Channels*c.Height*c.Width), random(r,
			c.Filters*c.Channels*c.KernelHeight*c.KernelWidth), random(r, c.Filters)
		dy := random(r, len(Conv2DForward(c, x, w, b)))
		dx, dw, db := Conv2DBackward(c, dy, x, w)
		loss := func() float64 { return dot(dy, Conv2DForward(c, x, w, b)) }
		checkGradient(t, "dx", x, dx, loss)
		checkGradient(t, "dw", w, dw, loss)
		checkGradient(t, "db", b, db, loss)
	}
}

func TestPoolGradient(t *testing.T) {
	for _, p := range []Pool2D{
		{Batch: 2, Channels: 3, Height: 4, Width: 6, KernelHeight: 2, KernelWidth: 2, StrideHeight: 2,
			StrideWidth: 2},
		{Batch: 1, Channels: 2, Height: 7, Width: 5, KernelHeight: 3, KernelWidth: 3, StrideHeight: 2,
			StrideWidth: 2, PaddingHeight: 1, PaddingWidth: 1},
		{Batch: 2, Channels: 1, Height: 5, Width: 5, KernelHeight: 2, KernelWidth: 3, StrideHeight: 1,
			StrideWidth: 1, PaddingWidth: 1},
		{Batch: 1, Channels: 2, Height: 5, Width: 5, KernelHeight: 1, KernelWidth: 2, StrideHeight: 3,
			StrideWidth: 3},
		{Batch: 1, Channels: 2, Height: 6, Width: 4, KernelHeight: 3, KernelWidth: 3, StrideHeight: 2,
			StrideWidth: 2, PaddingHeight: 1, PaddingWidth: 1, CeilMode: true},
		{Batch: 1, Channels: 2, Height: 6, Width: 5, KernelHeight: 3, KernelWidth: 3, StrideHeight: 2,
			StrideWidth: 2, ExtraHeight: 1, ExtraWidth: 2, ExcludePadding: true},
	} {
		r := rand.New(rand.NewPCG(3, 4))
		x := random(r, p.Batch*p.Channels*p.Height*p.Width)
		y, index := MaxPool2DForward(p, x)
		dy := random(r, len(y))
		checkGradient(t, "max", x, MaxPool2DBackward(p, dy, index), func() float64 {
			y, _ := MaxPool2DForward(p, x)
			return dot(dy, y)
		})
		checkGradient(t, "average", x, AvgPool2DBackward(p, dy), func() float64 {
			return dot(dy, AvgPool2DForward(p, x))
		})
	}
}

func TestMaxPool2DTiesAndNaN(t *testing.T) {
	nan := math.NaN()
	p := Pool2D{Batch: 1, Channels: 1, Height: 2, Width: 2, KernelHeight: 2, KernelWidth: 2,
		StrideHeight: 2, StrideWidth: 2}
	for _, test := range []struct {
		x     []float64
		index int
	}{
		{[]float64{1, 1, 1, 1}, 0},
		{[]float64{0, 2, 2, 1}, 1},
		{[]float64{math.Inf(-1), math.Inf(-1), math.Inf(-1), math.Inf(-1)}, 0},
		{[]float64{5, nan, 9, 1}, 1},
		{[]float64{nan, 1, nan, 7}, 2},
	} {
		y, index := MaxPool2DForward(p, test.x)
		if index[0] != test.index || math.Float64bits(y[0]) != math.Float64bits(test.x[test.index]) {
			t.Errorf("%v: y = %v at %d, want the element at %d", test.x, y[0], index[0], test.index)
		}
	}
}

func TestDenseGradient(t *testing.T) {
	d := Dense{3, 5, 4}
	r := rand.New(rand.NewPCG(5, 6))
	x, w, b, dy := random(r, 15), random(r, 20), random(r, 4), random(r, 12)
	dx, dw, db := DenseBackward(d, dy, x, w)
	loss := func() float64 { return dot(dy, DenseForward(d, x, w, b)) }
	checkGradient(t, "dx", x, dx, loss)
	checkGradient(t, "dw", w, dw, loss)
	checkGradient(t, "db", b, db, loss)
}

func TestReLUGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	x, dy := random(r, 40), random(r, 40)
	checkGradient(t, "dx", x, ReLUBackward(dy, x), func() float64 { return dot(dy, ReLUForward(x)) })
	if y := ReLUForward([]float64{math.NaN(), -1, 0}); !math.IsNaN(y[0]) || y[1] != 0 || y[2] != 0 {
		t.Errorf("ReLU of NaN, -1, 0 is %v", y)
	}
}

func TestCrossEntropyGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	z := random(r, 12)
	labels := []int32{0, 3, 1}
	checkGradient(t, "cross-entropy", z, CrossEntropyBackward(3, 4, 1.5, z, labels), func() float64 {
		return 1.5 * CrossEntropyForward(3, 4, z, labels)
	})
}

func TestCrossEntropyIsStable(t *testing.T) {
	if loss := CrossEntropyForward(1, 2, []float64{1000, 0}, []int32{1}); math.Abs(loss-1000) > 1e-9 {
		t.Errorf("loss %g, want 1000", loss)
	}
}
