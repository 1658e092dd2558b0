package builder_test

import (
	"encoding/json"
	"strings"
	"testing"

	"slipway/builder"
)

// Layers are exchanged in their places: names and inputs stay.
func TestWithExchangesLayersInTheirPlaces(t *testing.T) {
	g := builder.NewGraph("fork", builder.Shape{2, 6, 6})
	x := g.Then(g.Input(), builder.Conv2D{Name: "stem", Filters: 3, Kernel: builder.Square(3),
		Padding: builder.Square(1)})
	y := g.Then(x, builder.Dropout{P: 0.5}, builder.ReLU{})
	network, err := g.Network(g.Then(g.Join(builder.Add{}, y, x), builder.Flatten{},
		builder.Dense{Units: 2}))
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(network)
	if err != nil {
		t.Fatal(err)
	}
	same, err := network.With(func(node builder.Node) builder.Layer { return node.Layer })
	if err != nil {
		t.Fatal(err)
	}
	if after, err := json.Marshal(same); err != nil || string(after) != string(before) {
		t.Errorf("nothing exchanged, and %s became %s (%v)", before, after, err)
	}
	other, err := network.With(func(node builder.Node) builder.Layer {
		if _, ok := node.Layer.(builder.Dropout); ok {
			return builder.Dropout{P: 0.25} // without its name
		}
		return node.Layer
	})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(string(before), `"p":0.5`, `"p":0.25`, 1)
	if after, err := json.Marshal(other); err != nil || string(after) != want {
		t.Errorf("it is %s (%v), want %s", after, err, want)
	}
	if again, err := json.Marshal(network); err != nil || string(again) != string(before) {
		t.Errorf("the network itself became %s (%v)", again, err)
	}
	for _, test := range []struct {
		layer builder.Layer
		want  string
	}{
		{nil, "layer dropout1: is to be exchanged for nil"},
		{builder.Dropout{P: 2}, "layer 2 of 6: (Dropout dropout1) probability 2"},
		{builder.Flatten{}, "(Add add1) adds 108 and 3×6×6"},
		{nameless{}, "has no field Name"},
	} {
		_, err := network.With(func(node builder.Node) builder.Layer {
			if node.Name == "dropout1" {
				return test.layer
			}
			return node.Layer
		})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: error is %v, want one with %q", test.layer, err, test.want)
		}
	}
}

type nameless struct{}

func (nameless) Kind() string { return "Nameless" }
func (nameless) Infer([]builder.Shape) (builder.Inferred, error) {
	return builder.Inferred{}, nil
}
func (nameless) Compute(builder.Call) (c builder.Computation, _ error) { return c, nil }
