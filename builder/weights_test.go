package builder_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
)

// A uniform distribution on ±b has the mean 0 and the variance b²/3; the bounds
// are five standard errors (b/√(3n), and b²·√(4/45)/√n for the variance).
func TestInitialWeightsAreUniformWithinOneOverRootFanIn(t *testing.T) {
	network, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	fanIn := map[string]int{"conv1": 25, "conv2": 32 * 25, "fc1": 1024, "fc2": 128}
	for _, tensor := range network.InitialWeights(1) {
		layer, _, _ := strings.Cut(tensor.Name, ".")
		bound := 1 / math.Sqrt(float64(fanIn[layer]))
		sum, squares, largest := 0.0, 0.0, 0.0
		for _, x := range tensor.Data {
			sum += float64(x)
			squares += float64(x) * float64(x)
			largest = max(largest, math.Abs(float64(x)))
		}
		n := float64(len(tensor.Data))
		if largest > float64(float32(bound)) {
			t.Errorf("%s: a value of %v is beyond ±%v", tensor.Name, largest, bound)
		}
		if n > 1000 && largest < 0.99*bound {
			t.Errorf("%s: the largest of %v values is %v, far below %v", tensor.Name, n, largest, bound)
		}
		if mean := sum / n; math.Abs(mean) > 5*bound/math.Sqrt(3*n) {
			t.Errorf("%s: the mean is %v", tensor.Name, mean)
		}
		if variance := squares / n; math.Abs(variance-bound*bound/3) > 5*bound*bound*math.Sqrt(4.0/45/n) {
			t.Errorf("%s: the variance is %v, want %v", tensor.Name, variance, bound*bound/3)
		}
	}
}

func TestInitialWeightsDependOnTheSeedAndTheNameAlone(t *testing.T) {
	e1, err := builder.E1(10)
	if err != nil {
		t.Fatal(err)
	}
	e2, err := builder.E2(10, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	first, again, other, withDropout := e1.InitialWeights(1), e1.InitialWeights(1), e1.InitialWeights(
		2), e2.InitialWeights(1)
	seen := make(map[float32]string)
	for i, tensor := range first {
		if !slices.Equal(tensor.Data, again[i].Data) {
			t.Errorf("%s: the same seed gave other values", tensor.Name)
		}
		if !slices.Equal(tensor.Data, withDropout[i].Data) {
			t.Errorf("%s: another layer in the network gave other values", tensor.Name)
		}
		if slices.Equal(tensor.Data, other[i].Data) {
			t.Errorf("%s: seeds 1 and 2 gave the same values", tensor.Name)
		}
		// Streams that began alike would differ by the bound alone.
		parameter := e1.Parameters()[i]
		start := float32(float64(tensor.Data[0]) * math.Sqrt(float64(parameter.FanIn)))
		if twin, ok := seen[start]; ok {
			t.Errorf("%s and %s begin alike", tensor.Name, twin)
		}
		seen[start] = tensor.Name
	}
}

func TestCheckWeights(t *testing.T) {
	network := mustNew(t, "small", builder.Shape{4}, builder.Dense{Units: 3}, builder.Dense{Units: 2})
	good := network.InitialWeights(1)
	change := func(change func(w builder.Weights) builder.Weights) builder.Weights {
		return change(good.Clone())
	}
	for _, test := range []struct {
		name    string
		weights builder.Weights
		want    string
	}{
		{"none", nil, `"fc1.weight" is missing`},
		{"one missing", change(func(w builder.Weights) builder.Weights { return w[:3] }),
			`"fc2.bias" is missing`},
		{"one twice", change(func(w builder.Weights) builder.Weights { return append(w, w[1]) }),
			`"fc1.bias" is given twice`},
		{"one too many", change(func(w builder.Weights) builder.Weights {
			return append(w, builder.Tensor{Name: "fc3.bias", Shape: builder.Shape{1}, Data: []float32{0}})
		}), `no tensor "fc3.bias"`},
		{"transposed", change(func(w builder.Weights) builder.Weights {
			w[0].Shape = builder.Shape{4, 3}
			return w
		}), `"fc1.weight" is 4×3, the network needs 3×4`},
		{"of another rank", change(func(w builder.Weights) builder.Weights {
			w[1].Shape = builder.Shape{3, 1}
			return w
		}), `"fc1.bias" is 3×1, the network needs 3`},
		{"too few values", change(func(w builder.Weights) builder.Weights {
			w[0].Data = w[0].Data[:11]
			return w
		}), `"fc1.weight" of shape 3×4 holds 11 values`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := network.CheckWeights(test.weights); err == nil ||
				!strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "network small") {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
	shuffled := builder.Weights{good[2], good[0], good[3], good[1]}
	ordered, err := network.CheckWeights(shuffled)
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range ordered {
		if tensor.Name != good[i].Name {
			t.Errorf("tensor %d is %s, want %s", i, tensor.Name, good[i].Name)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	weights := mustNew(t, "small", builder.Shape{2}, builder.Dense{Units: 1}).InitialWeights(1)
	clone := weights.Clone()
	clone[0].Data[0], clone[0].Shape[0] = 99, 99
	if weights[0].Data[0] == 99 || weights[0].Shape[0] == 99 {
		t.Error("writing to the clone changed the original")
	}
}

func TestWeightsByName(t *testing.T) {
	weights := mustNew(t, "small", builder.Shape{2}, builder.Dense{Units: 1}).InitialWeights(1)
	for _, want := range weights {
		if got, ok := weights.Get(want.Name); !ok || got.Name != want.Name {
			t.Errorf("%s: %q, %t", want.Name, got.Name, ok)
		}
	}
	if got, ok := weights.Get("fc2.bias"); ok {
		t.Errorf("a tensor that is not there: %q", got.Name)
	}
}
