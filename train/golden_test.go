package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/scripts/golden/goldentest"
)

// parameterWithGradient is what an optimizer updates.
type parameterWithGradient struct{ value, gradient *tensor.Dense }

func (p parameterWithGradient) Value() gorgonia.Value         { return p.value }
func (p parameterWithGradient) Grad() (gorgonia.Value, error) { return p.gradient, nil }

// A step rounds some five times; large and cancelling gradients (1e10 among the
// golden ones) leave errors of a share of the largest state.
var optimizerTolerance = goldentest.Tolerance{Relative: 1e-6, OfLargest: 3e-7}

func TestOptimizersAgreeWithPyTorch(t *testing.T) {
	tried := make(map[string]bool)
	for _, c := range goldentest.Read(t, filepath.Join("testdata", "optimizers.safetensors")).Cases {
		t.Run(c.Name, func(t *testing.T) {
			var config OptimizerConfig
			if err := json.Unmarshal(c.Optimizer, &config); err != nil {
				t.Fatal(err)
			}
			config, err := config.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			tried[config.Name] = true
			eachEngine(t, func(t *testing.T, name string) {
				engine, err := builder.NewEngine(name, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer engine.Close()
				checkOptimizer(t, config, engine, c)
			})
		})
	}
	for _, name := range OptimizerNames() {
		if !tried[name] {
			t.Errorf("the golden file has no case of %s", name)
		}
	}
}

func checkOptimizer(t *testing.T, config OptimizerConfig, engine *builder.Engine,
	c goldentest.Case) {
	t.Helper()
	var model []gorgonia.ValueGrad
	var parameters []parameterWithGradient
	var sizes []int
	for i := 0; c.Has(fmt.Sprint("p", i)); i++ {
		name := fmt.Sprint("p", i)
		shape, values := c.Shape(t, name), c.Floats(t, name)
		p := parameterWithGradient{
			tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values)),
			tensor.New(tensor.WithShape(shape...), tensor.WithBacking(make([]float32, len(values)))),
		}
		parameters, model, sizes = append(parameters, p), append(model, p), append(sizes, len(values))
	}
	updates := ofSizes(sizes...)
	if config.Name == "muon" { // the first is a matrix
		updates[0].rows = parameters[0].value.Shape()[0]
	}
	optimizer, err := newOptimizer(config, updates, engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for ; c.Has(fmt.Sprintf("p0 step %d", steps+1)); steps++ {
		for i, p := range parameters {
			copy(p.gradient.Float32s(), c.Floats(t, fmt.Sprintf("g%d step %d", i, steps+1)))
		}
		if err := optimizer.Step(model); err != nil {
			t.Fatal(err)
		}
		for i, p := range parameters {
			name := fmt.Sprintf("p%d step %d", i, steps+1)
			goldentest.Compare(t, name, p.value.Float32s(), c.Floats(t, name), optimizerTolerance)
		}
	}
	if steps != 5 || len(parameters) != 2 {
		t.Errorf("the golden file has %d steps of %d parameters, want 5 of 2", steps, len(parameters))
	}
	for _, slot := range []string{"exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg"} {
		kept := slices.Index(config.slots(), slot)
		for i := range parameters {
			name := fmt.Sprint(slot, i)
			keeps := kept >= 0 && optimizer.state[kept][i] != nil
			if has := c.Has(name); has != keeps {
				t.Errorf("PyTorch keeps %s: %v; the optimizer: %v", name, has, keeps)
			} else if has {
				goldentest.Compare(t, name, optimizer.state[kept][i], c.Floats(t, name), optimizerTolerance)
			}
		}
	}
}
