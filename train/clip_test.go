package train

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/scripts/golden/goldentest"
)

func gradientsOf(values ...[]float32) []gorgonia.ValueGrad {
	var model []gorgonia.ValueGrad
	for _, v := range values {
		model = append(model,
			parameterWithGradient{nil, tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v))})
	}
	return model
}

func newTestClipper(t *testing.T, engine string, threads int, most float64) *clipper {
	t.Helper()
	e, err := builder.NewEngine(engine, threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	c, err := newClipper(Config{ClipNorm: most}, e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClippingAgreesWithPyTorch(t *testing.T) {
	for _, c := range goldentest.Read(t, filepath.Join("testdata", "clipping.safetensors")).Cases {
		t.Run(c.Name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine string) {
				var values [][]float32
				for i := 0; c.Has(fmt.Sprint("g", i)); i++ {
					values = append(values, slices.Clone(c.Floats(t, fmt.Sprint("g", i))))
				}
				norm, err := newTestClipper(t, engine, 2, c.ClipNorm).clip(gradientsOf(values...))
				if err != nil {
					t.Fatal(err)
				}
				tolerance := goldentest.Tolerance{Relative: 1e-6}
				goldentest.Compare(t, "norm", []float32{float32(norm)}, c.Floats(t, "norm"), tolerance)
				for i := range values {
					goldentest.Compare(t, fmt.Sprint("clipped ", i), values[i],
						c.Floats(t, fmt.Sprint("clipped", i)), tolerance)
				}
			})
		})
	}
}

// The norm has the same bits on any number of threads, also of a tensor of several spans.
func TestTheNormDoesNotDependOnThreads(t *testing.T) {
	values := make([]float32, 100_003)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	var norms []float64
	for _, threads := range []int{1, 2, 3} {
		norm, err := newTestClipper(t, builder.EngineNative, threads, 1e9).clip(gradientsOf(values))
		if err != nil {
			t.Fatal(err)
		}
		norms = append(norms, norm)
	}
	if norms[0] != norms[1] || norms[0] != norms[2] {
		t.Errorf("norms %v", norms)
	}
	if exact := math.Sqrt(plainSquares(values)); math.Abs(norms[0]-exact) > 1e-6*exact {
		t.Errorf("norm %v, want %v", norms[0], exact)
	}
}

// Gradients whose squares float32 does not hold are clipped all the same; those that are not
// finite are left alone, and told by the norm.
func TestClippingOfExtremeGradients(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		clipper := newTestClipper(t, engine, 1, 1)
		large := []float32{3e30, 4e30, 0}
		if norm, err := clipper.clip(gradientsOf(large)); err != nil || math.Abs(norm-5e30) > 1e24 {
			t.Errorf("norm %v, %v", norm, err)
		}
		if math.Abs(float64(large[0])-0.6) > 1e-6 || math.Abs(float64(large[1])-0.8) > 1e-6 {
			t.Errorf("clipped to %v", large)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			values := []float32{1, float32(bad)}
			if norm, err := clipper.clip(gradientsOf(values)); err != nil || finite(norm) || values[0] != 1 {
				t.Errorf("%v: norm %v, %v, %v", bad, norm, values, err)
			}
		}
	})
}

// The largest norm of an epoch is in the history; a step of SGD goes as far as the norm allows.
func TestClippedSteps(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		const most, rate = 0.01, 0.5
		config := smallConfig(engine)
		config.Epochs, config.ClipNorm = 1, most
		config.Optimizer = OptimizerConfig{Name: "sgd", LearningRate: rate}
		config.ParameterPenalty = Penalty{L1: 0.1, L2: 0.1} // is clipped, too
		trainer := newSmallTrainer(t, config)
		t.Cleanup(trainer.Close)
		before := trainer.Weights()
		if err := trainer.Fit(t.Context(), Callbacks{Step: func(report StepReport) error {
			moved := 0.0
			after := trainer.Weights()
			for i, tensor := range after {
				for j, x := range tensor.Data {
					moved += math.Pow(float64(x)-float64(before[i].Data[j]), 2)
				}
			}
			if moved = math.Sqrt(moved); math.Abs(moved-rate*most) > 1e-5*rate {
				t.Errorf("step %d goes %v, want %v", report.Step, moved, rate*most)
			}
			before = after
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		if norm := trainer.Progress().History[0].GradientNorm; norm == nil || *norm < 10*most {
			t.Errorf("the largest norm is %v", norm)
		}
	})
}

func TestClipRejects(t *testing.T) {
	for _, norm := range []float64{-1, math.NaN(), math.Inf(1)} {
		config := smallConfig(builder.DefaultEngine)
		config.ClipNorm = norm
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), "gradients clipped to a norm of") {
			t.Errorf("%v: %v", norm, err)
		}
	}
}

// A gradient that is not finite while the loss is ends the run before the step.
func TestAGradientThatIsNotFinite(t *testing.T) {
	config := smallConfig(builder.EngineNative)
	config.ClipNorm = 1
	trainer := newSmallTrainer(t, config)
	defer trainer.Close()
	before := trainer.Weights()
	trainer.clipper.squares = func([]float32) float64 { return math.Inf(1) }
	err := trainer.Fit(t.Context(), Callbacks{})
	var diverged *DivergedError
	if !errors.As(err, &diverged) || !diverged.Gradients ||
		!strings.Contains(err.Error(), "the gradient is no longer finite at epoch 1, step 1 (images") {
		t.Errorf("Fit returned %v", err)
	}
	equalWeights(t, trainer.Weights(), before)
}
