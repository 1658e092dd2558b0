package ops

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"slipway/internal/kernel"
)

// affinePlan is a kernel of y = f(x ∗ w + b), where ∗ is a convolution or a
// matrix product and f what is fused behind it.
type affinePlan interface {
	Forward(y, x, w, b []float32) error
	BackwardParameters(dw, db, dy, y, x []float32) error
	BackwardInput(dx, dy, y, w []float32) error
}

// normalisedPlan is one that computes the normalisations next to it as it reads what they
// normalise. Behind a NormaliseBehind, Backward may overwrite dy.
type normalisedPlan interface {
	affinePlan
	NormaliseBefore(*kernel.BatchNorm) error
	NormaliseBehind(*kernel.BatchNorm) error
	Backward(dx, dw, db, dy, y, x, w []float32) error
	BackwardNormalised(dx, dy, y, x, w []float32) error
	Measure(*kernel.BatchNorm) error
}

// affineLayer is what a plan computes: f(x ∗ w + b) of a batch.
type affineLayer struct {
	name    string
	plan    affinePlan
	output  tensor.Shape
	outputs int
	// readsOutput says whether the gradients need y: where ReLU or a pooling is fused. Otherwise they
	// get nil, and y's memory is free for other things.
	readsOutput bool
	// shards, unless nil, computes the parameters' gradients of the shards of the batch.
	shards *Shards
}

// newAffineLayer makes the plan for a batch that lies in so many shards, and, where these are
// several, that of one of them.
func newAffineLayer[P affinePlan](kernels kernel.Engine, name string, batch, shards int,
	newPlan func() (P, error), ofShares func(shares int) (whole, share P, err error)) (
	l affineLayer, plan P, err error) {
	l.name = name
	if shards < 2 {
		plan, err = newPlan()
		l.plan = plan
		return l, plan, err
	}
	if batch%shards != 0 {
		return l, plan, fmt.Errorf("%s: %d images in %d shards", name, batch, shards)
	}
	plan, part, err := ofShares(shards)
	if err != nil {
		return l, plan, err
	}
	l.plan = plan
	l.shards, err = newShards(kernels, plan, part, shards)
	return l, plan, err
}

// apply applies the layer to x, w and b; b may be nil: zeros then. One node computes dw and, in the
// same pass, db; another one dx. Where the plan takes up a normalisation before it, or the gradient
// of one behind it, one node computes all three.
func (l affineLayer) apply(x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	name, plan, output, outputs, readsOutput := l.name, l.plan, l.output, l.outputs, l.readsOutput
	inputs, all, noBias := gorgonia.Nodes{x, w}, []int{0, 1}, make([]float32, outputs)
	if b != nil {
		inputs, all = append(inputs, b), append(all, 2)
	}
	var unwantedWeight, unwantedBias []float32
	// scratch is where a gradient goes that nobody asks for.
	scratch := func(d [][]float32, place int, unwanted *[]float32, elements int) []float32 {
		if place < len(d) && d[place] != nil {
			return d[place]
		}
		if *unwanted == nil {
			*unwanted = make([]float32, elements)
		}
		return *unwanted
	}
	together, convolves := plan.(normalisedPlan)
	// parameters are where their gradients go: no db where there is no b.
	parameters := func(d [][]float32) (dw, db []float32) {
		if b == nil {
			return scratch(d, 1, &unwantedWeight, w.Shape().TotalSize()), nil
		}
		return scratch(d, 1, &unwantedWeight, w.Shape().TotalSize()), scratch(d, 2, &unwantedBias,
			outputs)
	}
	c := Computation{
		Name: name, Output: output,
		Forward: func(y []float32, in [][]float32) error {
			bias := noBias
			if b != nil {
				bias = in[2]
			}
			return plan.Forward(y, in[0], in[1], bias)
		},
		Gradients: []Gradient{{
			Of: all[1:], ReadsOutput: readsOutput, Reads: []int{0},
			Run: func(d [][]float32, dy, y []float32, in [][]float32) error {
				dw, db := parameters(d)
				if l.shards != nil {
					return l.shards.backward(dw, db, dy, y, in[0])
				}
				return plan.BackwardParameters(dw, db, dy, y, in[0])
			},
		}, {
			Of: []int{0}, ReadsOutput: readsOutput, Reads: []int{1},
			Run: func(d [][]float32, dy, y []float32, in [][]float32) error {
				return plan.BackwardInput(d[0], dy, y, in[1])
			},
		}},
	}
	c.dense, _ = plan.(*kernel.Dense)
	c.Gradients[0].shards = l.shards
	if convolves {
		c.takesDeferred = true
		c.measure = together.Measure
		c.together = func(n *kernel.BatchNorm) (Gradient, error) {
			if n != nil {
				if err := together.NormaliseBehind(n); err != nil {
					return Gradient{}, err
				}
			}
			return Gradient{
				Of: all, ReadsOutput: readsOutput || n != nil, Reads: []int{0, 1}, shards: l.shards,
				Run: func(d [][]float32, dy, y []float32, in [][]float32) error {
					var dw, db []float32
					if d[1] != nil || b != nil && d[2] != nil {
						dw, db = parameters(d)
					}
					if l.shards != nil && dw != nil {
						return l.shards.together(d[0], dw, db, dy, y, in[0], in[1])
					}
					return together.Backward(d[0], dw, db, dy, y, in[0], in[1])
				},
			}, nil
		}
		if n := deferredBy(x); n != nil {
			if err := together.NormaliseBefore(n); err != nil {
				return nil, err
			}
		}
	}
	return Apply(c, inputs...)
}
