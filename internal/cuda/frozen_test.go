//go:build gpu && linux && amd64

package cuda

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/train"
)

// What is left of a step of which some parameters are frozen is what the plain loops compute of the
// whole step, with whatever launches compute several nodes and fewer of them now; and there is less
// to do. A gradient is held to the largest of its layer's: that of a normalisation's bias may be 0
// but for rounding.
func TestFrozenPartsOfAStep(t *testing.T) {
	const tolerance = 2e-5
	networks := families(t)
	networks["small"] = smallNetwork(t)
	for name, network := range networks {
		graph := plainGraph(t, network, train.Config{Seed: 4}, 3)
		if err := gorgonia.NewTapeMachine(graph.Expr).RunAll(); err != nil {
			t.Fatal(err)
		}
		want, largest := make(map[string][]float32), make(map[string]float64)
		for i, parameter := range network.Parameters() {
			values := graph.Gradients[i].Value().(*tensor.Dense).Float32s()
			want[parameter.Name] = values
			for _, v := range values {
				layer := layerOf(parameter.Name)
				largest[layer] = max(largest[layer], math.Abs(float64(v)))
			}
		}
		whole := 0
		for _, freeze := range [][]string{nil, {"*.bias"}, {"*.weight"}, {train.TrunkWord},
			{network.Parameters()[0].Name}, {train.HeadWord}} {
			t.Run(fmt.Sprint(name, freeze), func(t *testing.T) {
				graph := plainGraph(t, network, train.Config{Seed: 4, Freeze: freeze}, 3)
				machine := compiledIn(t, openDevice(t), graph, float32s)
				if err := machine.RunAll(); err != nil {
					t.Fatal(err)
				}
				for i, parameter := range graph.Trained {
					got, err := machine.Float32s(graph.Gradients[i])
					if err != nil {
						t.Fatal(err)
					}
					for j, v := range want[parameter.Name()] {
						off := math.Abs(float64(got[j] - v))
						if !(off <= tolerance*largest[layerOf(parameter.Name())]) {
							t.Errorf("the gradient of %s[%d] is %v, want %v", parameter.Name(), j,
								got[j], v)
							break
						}
					}
				}
				n := len(machine.launches)
				if freeze == nil {
					whole = n
				}
				if slices.Contains(freeze, train.TrunkWord) && 4*n > 3*whole {
					t.Errorf("%d launches, and %d where nothing is frozen", n, whole)
				}
			})
		}
	}
}

// layerOf is the layer of a tensor.
func layerOf(tensor string) string { return tensor[:strings.LastIndexByte(tensor, '.')] }

// A frozen parameter has no gradient and no state on the device, and stays in all bits.
func TestFrozenParametersStayOnADevice(t *testing.T) {
	network := smallNetwork(t)
	config := smallConfig()
	config.Freeze = []string{"conv1.*"}
	var state, gradients builder.Weights
	config.Device = recorder{openDevice(t), func(s *session, _ int) error {
		all, err := s.State()
		if err != nil {
			return err
		}
		state = all.Optimizer["exp_avg"]
		return s.gpu.thread.do(func() (err error) {
			gradients, err = s.getWeights(s.gradients)
			return err
		})
	}}
	before := network.InitialWeights(config.Seed)
	trainer := fit(t, config)
	defer trainer.Close()
	for i, after := range trainer.Weights() {
		isFrozen := i < 2 // conv1's
		if same := slices.Equal(after.Data, before[i].Data); same != isFrozen {
			t.Errorf("%s: frozen is %t, unchanged is %t", after.Name, isFrozen, same)
		}
	}
	for what, tensors := range map[string]builder.Weights{"state": state, "gradients": gradients} {
		if len(tensors) != len(before)-2 || tensors[0].Name != before[2].Name {
			t.Errorf("there are %s of %d tensors of %d, of which two are frozen", what, len(tensors),
				len(before))
		}
	}
}
