package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/builder"
	"slipway/internal/kernel"
)

// clipper limits the norm of the gradients (Pascanu et al. 2013). With ‖g‖ for the root of the
// sum of the squares of all gradients of the parameters that are trained, penalties' included
// and weight decay, which is the optimizer's, left out,
//
//	g ← g · min(1, c/(‖g‖ + 1e-6)),   c = Config.ClipNorm
//
// That is PyTorch's clip_grad_norm_(parameters, c).
type clipper struct {
	most    float64
	squares func([]float32) float64
}

// newClipper returns what clips as the configuration says, nil where it does not.
func newClipper(config Config, engine *builder.Engine) (*clipper, error) {
	if config.ClipNorm == 0 {
		return nil, nil
	}
	c := &clipper{most: config.ClipNorm, squares: plainSquares}
	if kernels, native := engine.Kernels(); native {
		pass, err := kernel.NewElementwise(kernels)
		if err != nil {
			return nil, err
		}
		c.squares = func(x []float32) float64 {
			_, squares := pass.Sums(x) // over spans in their order, whatever the threads
			if !finite(squares) {
				return plainSquares(x) // it sums in float32, where 1e20² is infinite
			}
			return squares
		}
	}
	return c, nil
}

// plainSquares is the sum of squares in float64.
func plainSquares(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

// clip limits the gradients and returns their norm before that, 0 where nothing is clipped. A
// norm that is not finite leaves them as they are.
func (c *clipper) clip(model []gorgonia.ValueGrad) (norm float64, err error) {
	if c == nil {
		return 0, nil
	}
	gradients := make([][]float32, len(model))
	sum := 0.0
	for i, parameter := range model {
		gradient, err := parameter.Grad()
		if err != nil {
			return 0, fmt.Errorf("gradient of parameter %d: %w", i, err)
		}
		dense, ok := gradient.(*tensor.Dense)
		if !ok {
			return 0, fmt.Errorf("gradient of parameter %d is a %T, want a dense tensor", i, gradient)
		}
		gradients[i] = dense.Float32s()
		sum += c.squares(gradients[i])
	}
	norm = math.Sqrt(sum)
	factor := c.most / (norm + 1e-6)
	if !finite(norm) || factor >= 1 {
		return norm, nil
	}
	for _, gradient := range gradients {
		scale := float32(factor)
		for i := range gradient {
			gradient[i] *= scale
		}
	}
	return norm, nil
}

// checkClip reports a norm that nothing can have.
func (c Config) checkClip() error {
	if !(c.ClipNorm >= 0) || math.IsInf(c.ClipNorm, 0) {
		return wrongSetting("clip_norm",
			"gradients clipped to a norm of %v; it is a finite number above 0", c.ClipNorm)
	}
	return nil
}
