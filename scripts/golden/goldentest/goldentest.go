// Package goldentest reads golden files, which scripts/golden/make-golden
// writes, and compares with them.
package goldentest

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"slipway/internal/safetensors"
)

// File is a golden file.
type File struct {
	// Seed and InputsSHA256 are those of an experiment.
	Seed         uint64 `json:"seed"`
	InputsSHA256 string `json:"inputs_sha256"`
	Cases        []Case `json:"cases"`
}

// Case is one case of a golden file: the settings, of which each operator has
// some, and the tensors.
type Case struct {
	Name string `json:"name"`
	// Kernel, Stride and Padding are heights and widths.
	Kernel  [2]int `json:"kernel"`
	Stride  [2]int `json:"stride"`
	Padding [2]int `json:"padding"`
	// P is dropout's probability; Seed, Layer and Step decide its mask.
	P     float64 `json:"p"`
	Seed  uint64  `json:"seed"`
	Layer string  `json:"layer"`
	Step  uint64  `json:"step"`
	// Modes are those in which a layer computes these values: "training", "evaluation".
	Modes []string `json:"modes"`
	// L1 and L2 are a penalty's factors, Parameters the number of tensors.
	L1         float64 `json:"l1"`
	L2         float64 `json:"l2"`
	Parameters int     `json:"parameters"`
	// Optimizer is a train.OptimizerConfig.
	Optimizer json.RawMessage `json:"optimizer"`
	// Rates are those of a parameter each, Factors of all of them by step, and Joins the number of
	// steps before the last parameter is trained.
	Rates   []float64 `json:"rates"`
	Factors []float64 `json:"factors"`
	Joins   int       `json:"joins"`
	// Batch and Size are of a network's training: the images of a step, and their height and width.
	Batch int `json:"batch"`
	Size  int `json:"size"`
	// Schedule is a train.Schedule.
	Schedule json.RawMessage `json:"schedule"`
	// Loss is a loss's settings: smoothing, gamma, and weights by class.
	Loss json.RawMessage `json:"loss"`
	// Mix says how the images of a batch are mixed.
	Mix json.RawMessage `json:"mix"`
	// Beta are the parameters of a distribution.
	Beta [2]float64 `json:"beta"`
	// Best is a train.Config.Best that a schedule watches.
	Best string `json:"best"`
	// ClipNorm is a train.Config.ClipNorm.
	ClipNorm float64 `json:"clip_norm"`
	// EMA is a train.EMA.
	EMA json.RawMessage `json:"ema"`
	// Steps is how many steps there are: of an average all, of a schedule those of an epoch.
	Steps int `json:"steps"`

	tensors *safetensors.File
}

// Read reads the golden file at path. The test ends if it cannot.
func Read(t testing.TB, path string) *File {
	t.Helper()
	tensors, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	file := new(File)
	if err := json.Unmarshal([]byte(tensors.Metadata["golden"]), file); err != nil {
		t.Fatalf("%s: metadata: %v", path, err)
	}
	if len(file.Cases) == 0 {
		t.Fatalf("%s holds no case", path)
	}
	for i := range file.Cases {
		file.Cases[i].tensors = tensors
	}
	return file
}

func (c Case) tensor(t testing.TB, name string) safetensors.Tensor {
	t.Helper()
	tensor, ok := c.tensors.Tensor(c.Name + "/" + name)
	if !ok {
		t.Fatalf("the golden file has no tensor %q of case %q", name, c.Name)
	}
	return tensor
}

// Has reports whether the case has a tensor of that name.
func (c Case) Has(name string) bool {
	_, ok := c.tensors.Tensor(c.Name + "/" + name)
	return ok
}

// Shape returns the shape of a tensor, empty for a scalar.
func (c Case) Shape(t testing.TB, name string) []int {
	t.Helper()
	return slices.Clone(c.tensor(t, name).Shape)
}

// Floats returns the values of a float32 tensor.
func (c Case) Floats(t testing.TB, name string) []float32 {
	t.Helper()
	values, err := c.tensor(t, name).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// Ints returns the values of an int32 tensor.
func (c Case) Ints(t testing.TB, name string) []int32 {
	t.Helper()
	values, err := c.tensor(t, name).Int32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// Tolerance bounds |got − want| by Relative·|want| + OfLargest·max|want|. The
// second term is for sums that cancel: their error is a share of the summands,
// not of what is left of them.
type Tolerance struct {
	Relative, OfLargest float64
}

// Compare reports an error at the value that is furthest outside the tolerance. NaN
// equals NaN alone, and an infinity itself.
func Compare(t testing.TB, what string, got, want []float32, tolerance Tolerance) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", what, len(got), len(want))
		return
	}
	largest := 0.0
	for _, w := range want {
		if a := math.Abs(float64(w)); a > largest && !math.IsInf(a, 0) {
			largest = a
		}
	}
	wrong, worst, worstExcess := 0, 0, 0.0
	for i := range want {
		excess := difference(got[i], want[i]) - tolerance.OfLargest*largest
		if size := math.Abs(float64(want[i])); !math.IsInf(size, 0) && !math.IsNaN(size) {
			excess -= tolerance.Relative * size
		}
		if excess > 0 {
			wrong++
			if excess > worstExcess {
				worst, worstExcess = i, excess
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%s: %d of %d values are wrong; the worst, value %d, is %v, want %v (largest %g)",
			what, wrong, len(want), worst, got[worst], want[worst], largest)
	}
}

// difference is |a − b|, and infinite where only one is NaN or an infinity.
func difference(a, b float32) float64 {
	switch {
	case a == b, a != a && b != b:
		return 0
	case a != a, b != b:
		return math.Inf(1)
	}
	return math.Abs(float64(a) - float64(b))
}
