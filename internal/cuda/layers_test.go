//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"testing"

	"slipway/builder"
	"slipway/train"
)

// Each kind of the registry, with settings that differ from their defaults on oblong maps,
// computes what the plain
// loops do: its output, and the gradients of its inputs and tensors.
func TestEveryLayerIsThatOfTheTapeMachine(t *testing.T) {
	const tolerance = 2e-5
	for i, c := range builder.Cases() {
		t.Run(fmt.Sprintf("%d-%s", i, c.Layer.Kind()), func(t *testing.T) {
			network := behindLayers(t, c)
			if err := network.CheckDevice(); err != nil {
				t.Fatal(err)
			}
			for _, batch := range []int{1, 3} {
				t.Run(fmt.Sprint(batch), func(t *testing.T) {
					compareWithTape(t, plainGraph(t, network, train.Config{Seed: 4}, batch), tolerance)
				})
			}
		})
	}
}

// behindLayers returns a network of the case's layer, all of whose inputs are made by layers
// that learn, so that it
// has gradients of all of them. These layers have no bias: behind a normalisation its gradient
// is 0 but for rounding.
func behindLayers(t *testing.T, c builder.Case) *builder.Network {
	t.Helper()
	largest := c.Inputs[0]
	for _, shape := range c.Inputs {
		if shape.Elements() > largest.Elements() {
			largest = shape
		}
	}
	g := builder.NewGraph("case", largest)
	var values []builder.Value
	for _, shape := range c.Inputs {
		value := g.Input()
		switch {
		case len(shape) == 1:
			value = g.Then(value, builder.Dense{Units: shape[0], NoBias: true})
		case shape[1]*shape[2] < largest[1]*largest[2]:
			value = g.Then(value, builder.Conv2D{Filters: shape[0], Kernel: builder.Size{Height: largest[1], Width: largest[2]}, NoBias: true})
		default:
			value = g.Then(value, builder.Conv2D{Filters: shape[0], Kernel: builder.Square(3), Padding: builder.Square(1), NoBias: true})
		}
		values = append(values, value)
	}
	network, err := g.Network(g.Then(g.Join(c.Layer, values...), builder.Flatten{}))
	if err != nil {
		t.Fatal(err)
	}
	return network
}
