package ops

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// affinePlan is a kernel of y = f(x ∗ w + b), where ∗ is a convolution or a
// matrix product and f what is fused behind it.
type affinePlan interface {
	Forward(y, x, w, b []float32) error
	BackwardParameters(dw, db, dy, y, x []float32) error
	BackwardInput(dx, dy, y, w []float32) error
}

// nativeAffine applies a plan. Its gradients are three nodes: one computes dw
// and, in the same pass, db; one, which takes it as its input, hands db on; one
// computes dx, unless x does not depend on parameters.
func nativeAffine(name string, plan affinePlan, outputShape tensor.Shape, x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	y, yValues := newTensor(outputShape...)
	forward := &operator{
		name: name, output: tensorType(outputShape.Dims()), shape: outputShape,
		differentiable: []bool{learned(x), true, true},
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			var values [3][]float32 // x, w, b
			if err := allFloat32s(values[:], inputs); err != nil {
				return nil, err
			}
			return y, plan.Forward(yValues, values[0], values[1], values[2])
		},
		gradient: func(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
			dw, db, err := nativeParameterGradients(name, plan, inputs, output, grad)
			if err != nil {
				return nil, err
			}
			gradients := gorgonia.Nodes{nil, dw, db}
			if learned(x) {
				gradients[0], err = nativeInputGradient(name, plan, inputs, output, grad)
			}
			return gradients, err
		},
	}
	return forward.apply(x, w, b)
}

func nativeParameterGradients(name string, plan affinePlan, inputs gorgonia.Nodes, output, grad *gorgonia.Node) (dw, db *gorgonia.Node, err error) {
	weightShape, biasShape := inputs[1].Shape().Clone(), inputs[2].Shape().Clone()
	dwTensor, dwValues := newTensor(weightShape...)
	dbTensor, dbValues := newTensor(biasShape...)
	weights := &operator{
		name: name + "WeightGradient", output: tensorType(weightShape.Dims()), shape: weightShape,
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			var values [3][]float32 // dy, y, x
			if err := allFloat32s(values[:], inputs); err != nil {
				return nil, err
			}
			return dwTensor, plan.BackwardParameters(dwValues, dbValues, values[0], values[1], values[2])
		},
	}
	if dw, err = weights.apply(grad, output, inputs[0]); err != nil {
		return nil, nil, err
	}
	bias := &operator{
		name: name + "BiasGradient", output: tensorType(biasShape.Dims()), shape: biasShape,
		run: func([]gorgonia.Value) (gorgonia.Value, error) { return dbTensor, nil },
	}
	db, err = bias.apply(dw)
	return dw, db, err
}

func nativeInputGradient(name string, plan affinePlan, inputs gorgonia.Nodes, output, grad *gorgonia.Node) (*gorgonia.Node, error) {
	shape := inputs[0].Shape().Clone()
	dx, dxValues := newTensor(shape...)
	backward := &operator{
		name: name + "InputGradient", output: tensorType(shape.Dims()), shape: shape,
		run: func(inputs []gorgonia.Value) (gorgonia.Value, error) {
			var values [3][]float32 // dy, y, w
			if err := allFloat32s(values[:], inputs); err != nil {
				return nil, err
			}
			return dx, plan.BackwardInput(dxValues, values[0], values[1], values[2])
		},
	}
	return backward.apply(grad, output, inputs[1])
}
