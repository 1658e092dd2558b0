package builder_test

import (
	"path/filepath"
	"testing"

	"slipway/builder"
	"slipway/scripts/golden/goldentest"
)

// The golden values of package ops, through Lower: each engine's layers against
// PyTorch, NaN and infinities among the values. Without parameters a layer has no
// gradient here; TestEveryLayerOnEveryEngineIsThePlainNetwork has it behind a
// convolution.
func TestLayersAgreeWithPyTorch(t *testing.T) {
	size := func(s [2]int) builder.Size { return builder.Size{Height: s[0], Width: s[1]} }
	for file, layer := range map[string]func(t *testing.T, c goldentest.Case) builder.Layer{
		"conv2d": func(t *testing.T, c goldentest.Case) builder.Layer {
			return builder.Conv2D{Name: "layer", Filters: c.Shape(t, "weight")[0], Kernel: size(c.Kernel),
				Stride: size(c.Stride), Padding: size(c.Padding)}
		},
		"dense": func(t *testing.T, c goldentest.Case) builder.Layer {
			return builder.Dense{Name: "layer", Units: c.Shape(t, "weight")[0]}
		},
		"relu": func(*testing.T, goldentest.Case) builder.Layer { return builder.ReLU{Name: "layer"} },
		"maxpool2d": func(_ *testing.T, c goldentest.Case) builder.Layer {
			return builder.MaxPool2D{Name: "layer", Kernel: size(c.Kernel), Stride: size(c.Stride),
				Padding: size(c.Padding)}
		},
		"avgpool2d": func(_ *testing.T, c goldentest.Case) builder.Layer {
			return builder.AvgPool2D{Name: "layer", Kernel: size(c.Kernel), Stride: size(c.Stride),
				Padding: size(c.Padding)}
		},
		"flatten": func(*testing.T, goldentest.Case) builder.Layer {
			return builder.Flatten{Name: "layer"}
		},
		"dropout": func(_ *testing.T, c goldentest.Case) builder.Layer {
			return builder.Dropout{Name: c.Layer, P: c.P}
		},
	} {
		for _, c := range goldentest.Read(t, filepath.Join("..", "internal", "ops", "testdata",
			file+".safetensors")).Cases {
			eachEngine(t, func(t *testing.T, engine string) {
				t.Run(file+"/"+c.Name, func(t *testing.T) { checkLayer(t, engine, layer(t, c), c) })
			})
		}
	}
}

// checkLayer compares a layer, and Flatten behind it, which brings its output into
// the public order.
func checkLayer(t *testing.T, engine string, layer builder.Layer, c goldentest.Case) {
	shape := c.Shape(t, "x")
	network := mustNew(t, "golden", shape[1:], layer, builder.Flatten{})
	var weights builder.Weights
	for i, parameter := range network.Parameters() {
		name := []string{"weight", "bias"}[i]
		weights = append(weights, builder.Tensor{Name: parameter.Name, Shape: c.Shape(t, name),
			Data: c.Floats(t, name)})
	}
	variables := newVariables(t, network, engine, weights)
	l := lower(t, network, variables, builder.LowerOptions{Batch: shape[0], Training: true,
		Seed: c.Seed})
	for _, when := range []string{"", ", run again"} {
		l.graph.SetStep(c.Step, 0)
		copy(l.graph.Images(), c.Floats(t, "x"))
		copy(l.dy, c.Floats(t, "dy"))
		y, gradients := l.run(t)
		goldentest.Compare(t, "y"+when, y, c.Floats(t, "y"), tolerance)
		for i, name := range []string{"dweight", "dbias"}[:len(gradients)] {
			goldentest.Compare(t, name+when, gradients[i], c.Floats(t, name), tolerance)
		}
	}
}
