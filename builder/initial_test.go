package builder_test

import (
	"math"
	"strings"
	"testing"

	"slipway/builder"
)

// Each way to draw has the deviation that its definition says, to six standard errors, and its
// bound.
func TestWaysToDraw(t *testing.T) {
	const in, out = 40, 100 // fan_in and fan_out
	for _, test := range []struct {
		init      builder.Initial
		deviation float64
		bound     float64 // infinite if there is none
	}{
		{"", 1 / math.Sqrt(3*in), 1 / math.Sqrt(in)},
		{builder.KaimingNormal, math.Sqrt(2.0 / out), math.Inf(1)},
		{builder.KaimingNormalFanIn, math.Sqrt(2.0 / in), math.Inf(1)},
		{builder.KaimingUniform, math.Sqrt(2.0 / in), math.Sqrt(6.0 / in)},
		{builder.XavierUniform, math.Sqrt(2.0 / (in + out)), math.Sqrt(6.0 / (in + out))},
		{builder.XavierNormal, math.Sqrt(2.0 / (in + out)), math.Inf(1)},
		{builder.Normal(0.02), 0.02, math.Inf(1)},
		{builder.TruncatedNormal(0.02), 0.02 * 0.8796, 0.04}, // that of a normal distribution within ±2
		{builder.Uniform(0.3), 0.3 / math.Sqrt(3), 0.3},
		{"uniform=0.25", 0.25 / math.Sqrt(3), 0.25},
		{builder.Zeros, 0, 0},
	} {
		network, err := builder.New("drawn", builder.Shape{in},
			builder.Dense{Units: out, Init: test.init})
		if err != nil {
			t.Error(err)
			continue
		}
		weight, _ := network.InitialWeights(3).Get("fc1.weight")
		squares, largest := 0.0, 0.0
		for _, x := range weight.Data {
			squares += float64(x) * float64(x) / float64(len(weight.Data))
			largest = max(largest, math.Abs(float64(x)))
		}
		within := 6 * test.deviation / math.Sqrt(2*in*out)
		if got := math.Sqrt(squares); !(math.Abs(got-test.deviation) <= within) { // NaN is none
			t.Errorf("%q: the deviation is %v, want %v", test.init, got, test.deviation)
		}
		if !(largest <= float64(float32(test.bound))) ||
			!math.IsInf(test.bound, 1) && largest < 0.95*test.bound {
			t.Errorf("%q: the largest is %v, the bound %v", test.init, largest, test.bound)
		}
	}
}

func TestWaysToDrawThatThereAreNot(t *testing.T) {
	for init, want := range map[builder.Initial]string{
		"kaiming":          "there are [kaiming_normal",
		"uniform=":         "the number must be one above 0",
		"uniform=-1":       "the number must be one above 0",
		"uniform=NaN":      "the number must be one above 0",
		"normal=0":         "the number must be one above 0",
		"truncated_normal": "there are",
		"normal=+Inf":      "the number must be one above 0",
		"normal=1e-60":     "the number must be one above 0",
		"normal=1e300":     "is a slip",
		"uniform=1e39":     "is a slip",
	} {
		_, err := builder.New("drawn", builder.Shape{4}, builder.Dense{Units: 2, Init: init})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", init, err, want)
		}
	}
}
