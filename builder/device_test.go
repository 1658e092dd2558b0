package builder

import (
	"strings"
	"testing"
)

func TestCheckDevice(t *testing.T) {
	described := func(layers ...Layer) *Network {
		n, err := New("n", Shape{2, 8, 8}, layers...)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := described(Conv2D{Filters: 3, Kernel: Square(3), NoBias: true}, ReLU{},
		MaxPool2D{Kernel: Square(2)}, Flatten{}, Dropout{P: 0.5}, Dense{Units: 4}).
		CheckDevice(); err != nil {
		t.Errorf("all layers have a form: %v", err)
	}
	g := NewGraph("sum", Shape{4})
	x := g.Then(g.Input(), Dense{Units: 3})
	sum, err := g.Network(g.Join(Add{}, x, g.Then(x, ReLU{})))
	if err != nil {
		t.Fatal(err)
	}
	if err := sum.CheckDevice(); err != nil {
		t.Errorf("a sum has a form: %v", err)
	}
	err = described(Flatten{}, ofNobody{}, Dense{Units: 4}).CheckDevice()
	if err == nil ||
		err.Error() != "layer ofnobody1 (OfNobody) has no GPU form; train this network with -device cpu" {
		t.Errorf("%v", err)
	}
	err = described(Flatten{}, ofNobody{Name: "first"}, Dense{Units: 4}, ofNobody{}, ofNobody{}).
		CheckDevice()
	if err == nil || !strings.HasPrefix(err.Error(),
		"layer first (OfNobody) has no GPU form, as 2 more layers (OfNobody);") {
		t.Errorf("%v", err)
	}
}

// Every layer of the registry has a form for a device, with any settings.
func TestEveryLayerHasADeviceForm(t *testing.T) {
	eachCase(t, func(t *testing.T, network *Network, _ int) {
		if err := network.CheckDevice(); err != nil {
			t.Error(err)
		}
	})
	classifier, err := New("n", Shape{4}, Dense{Units: 3}, Softmax{})
	if err != nil {
		t.Fatal(err)
	}
	if err := classifier.CheckDevice(); err != nil {
		t.Errorf("a network that ends in Softmax: %v", err)
	}
}

// ofNobody is a layer that only its Computation computes.
type ofNobody struct{ Name string }

func (ofNobody) Kind() string                             { return "OfNobody" }
func (l ofNobody) Infer(inputs []Shape) (Inferred, error) { return unchanged(l, inputs) }
func (ofNobody) Compute(Call) (Computation, error) {
	return Computation{
		Forward: func(y []float32, in [][]float32) error { copy(y, in[0]); return nil },
		Backward: func(d [][]float32, dy, _ []float32, _ [][]float32) error {
			copy(d[0], dy)
			return nil
		},
	}, nil
}
