package train

import (
	"slices"
	"testing"

	"slipway/builder"
)

// The first step's momentum is its direction, whatever the buffer holds: PyTorch makes the
// buffer then. Later steps add to it.
func TestMomentumBeginsWithTheFirstDirection(t *testing.T) {
	eachEngine(t, func(t *testing.T, name string) {
		engine, err := builder.NewEngine(name, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		config, err := OptimizerConfig{Name: "sgd", LearningRate: 0.5, Momentum: 0.5}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		gradient := []float32{1, -2, 4, 8, 16, -32, 64, 128, 1}
		for step, want := range map[int]float32{1: 1, 2: 1.5} { // of the gradient, with as much in the buffer
			optimizer, err := newOptimizer(config, ofSizes(len(gradient)), engine, nil)
			if err != nil {
				t.Fatal(err)
			}
			copy(optimizer.state[0][0], gradient)
			optimizer.steps = step
			parameter := make([]float32, len(gradient))
			if err := optimizer.updatePart(0, 0, parameter, gradient); err != nil {
				t.Fatal(err)
			}
			var buffer, moved []float32
			for _, g := range gradient {
				buffer, moved = append(buffer, want*g), append(moved, -0.5*want*g)
			}
			if !slices.Equal(optimizer.state[0][0], buffer) || !slices.Equal(parameter, moved) {
				t.Errorf("step %d: buffer %v, parameter %v; want %v and %v", step, optimizer.state[0][0],
					parameter, buffer, moved)
			}
		}
	})
}
