package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// Sum applies y = x₁ + x₂ + …, tensors of one shape, added in this order. Its gradient is that of
// the output for each input. It computes with the kernels, or with a plain loop if there are none.
func Sum(kernels *kernel.Engine, terms ...*gorgonia.Node) (*gorgonia.Node, error) {
	return sum(kernels, false, terms)
}

// NativeSumReLU applies y = max(x₁ + x₂ + …, 0). Its gradient is, for each input, that of the
// output where it is above 0, computed once.
func NativeSumReLU(kernels kernel.Engine, terms ...*gorgonia.Node) (*gorgonia.Node, error) {
	return sum(&kernels, true, terms)
}

func sum(kernels *kernel.Engine, relu bool, terms gorgonia.Nodes) (*gorgonia.Node, error) {
	shape := terms[0].Shape().Clone()
	for _, term := range terms[1:] {
		if !term.Shape().Eq(shape) {
			return nil, fmt.Errorf("sum: tensors of %v and %v", shape, term.Shape())
		}
	}
	add := func(y, x, z []float32, _ float32) error {
		for i := range y {
			y[i] = x[i] + z[i]
		}
		return nil
	}
	var pass *kernel.Elementwise
	if kernels != nil {
		var err error
		if pass, err = kernel.NewElementwise(*kernels); err != nil {
			return nil, err
		}
		add = func(y, x, z []float32, low float32) error { return pass.AddClamped(y, x, z, low, nan) }
	}
	c := Computation{
		Name: "Sum", Output: shape, Description: Description{Kind: Addition},
		Forward: func(y []float32, in [][]float32) error {
			if len(in) == 1 {
				copy(y, in[0])
				return nil
			}
			for i, before := 1, in[0]; i < len(in); i, before = i+1, y {
				low := nan
				if relu && i == len(in)-1 {
					low = 0
				}
				if err := add(y, before, in[i], low); err != nil {
					return err
				}
			}
			return nil
		},
	}
	if relu {
		c.Name, c.Description = "SumReLU", Description{}
	}
	y, err := Apply(c, terms...)
	if err != nil {
		return nil, err
	}
	op := y.Op().(*operator)
	op.differentiable = allTrue(len(terms))
	// No values move: each input's gradient is the output's.
	op.gradient = func(inputs gorgonia.Nodes, output, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes,
		error) {
		if relu {
			var err error
			if grad, err = Apply(Computation{
				Name: "SumReLUGradient", Output: shape,
				Forward: func(d []float32, in [][]float32) error { return pass.ReLUGradient(d, in[0], in[1]) },
			}, grad, output); err != nil {
				return nil, err
			}
		}
		gradients := make(gorgonia.Nodes, len(inputs))
		for i := range gradients {
			gradients[i] = grad
		}
		return gradients, nil
	}
	return y, nil
}

// SumScalars applies the sum of float32 scalars. Its gradient is that of the output for each.
func SumScalars(terms ...*gorgonia.Node) (*gorgonia.Node, error) {
	value := gorgonia.NewF32(0)
	op := &operator{
		name: "SumScalars", description: Description{Kind: Addition}, output: tensorType(0),
		shape: tensor.ScalarShape(), inside: -1,
		differentiable: allTrue(len(terms)),
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			var sum float32
			for i := range inputs {
				x, err := scalar(inputs[i])
				if err != nil {
					return nil, err
				}
				sum += x
			}
			*value = gorgonia.F32(sum)
			return value, nil
		},
		gradient: func(inputs gorgonia.Nodes, _, grad *gorgonia.Node, _ []bool) (gorgonia.Nodes, error) {
			gradients := make(gorgonia.Nodes, len(inputs))
			for i := range gradients {
				gradients[i] = grad
			}
			return gradients, nil
		},
	}
	return op.apply(terms...)
}
