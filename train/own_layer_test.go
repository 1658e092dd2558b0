package train

import (
	"reflect"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// double is a layer of one's own, y = 2x.
type double struct {
	Name string `json:"name"`
}

func (double) Kind() string { return "Double" }

func (l double) Infer(inputs []builder.Shape) (builder.Inferred, error) {
	return builder.Inferred{Layer: l, Output: inputs[0]}, nil
}

func (double) Compute(builder.Call) (builder.Computation, error) {
	twice := func(y, x []float32) {
		for i := range y {
			y[i] = 2 * x[i]
		}
	}
	return builder.Computation{
		Forward: func(y []float32, in [][]float32) error { twice(y, in[0]); return nil },
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			twice(d[0], dy)
			return nil
		},
	}, nil
}

// A run whose network has a layer of one's own goes on, with the bits of an unbroken one; who does
// not know the layer is told so, and has the weights nevertheless: the best ones of a run that has
// ended.
func TestRunsWithLayersOfOnesOwn(t *testing.T) {
	network, err := builder.New("own", builder.Shape{1, 6, 6}, builder.Flatten{},
		builder.Dense{Units: 8}, double{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	config := smallConfig(builder.EngineNative)
	config.ValidationFraction, config.Patience = 0.25, 1
	set := datasettest.Bars(t, 60)
	fit := trained(t)
	whole := fit(New(network, set, config, nil))
	short := config
	short.Epochs = 1
	dir, _, err := CreateRun(t.TempDir() + "/own")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.WriteCheckpoint(fit(New(network, set, short, nil)).Checkpoint()); err != nil {
		t.Fatal(err)
	}
	checkpoint, path, _, err := dir.Latest(double{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(checkpoint.Network, network) {
		t.Errorf("read back: %v", checkpoint.Network)
	}
	resumed := fit(Resume(checkpoint, set, config))
	if !reflect.DeepEqual(resumed.Weights(), whole.Weights()) {
		t.Error("the resumed run has other weights than the unbroken one")
	}

	if _, err := ReadCheckpoint(path); err == nil ||
		!strings.Contains(err.Error(), `network own, layer 3 of 4: there is no layer "Double"`) {
		t.Errorf("without the layer: %v", err)
	}
	ended := resumed.Checkpoint()
	ended.Best[0].Data[0] = 42
	if err := WriteCheckpoint(path, ended); err != nil {
		t.Fatal(err)
	}
	weights, _, err := ReadWeights(path, network)
	if err != nil {
		t.Fatal(err)
	}
	if weights[0].Data[0] != 42 {
		t.Error("the weights are not the best ones")
	}
}
