package kernel

import "math"

// Gate is y = x·clamp(Slope·x + Offset, 0, 1): HardSwish with 1/6 and 1/2.
type Gate struct{ Slope, Offset float32 }

// table returns the gate as the loops of a set read it: a vector each of slope, offset and the
// bounds.
func (g *Gate) table(set *Set) []float32 {
	t := aligned(4 * set.lanes)
	for i, v := range []float32{g.Slope, g.Offset, 0, 1} {
		for k := range set.lanes {
			t[i*set.lanes+k] = v
		}
	}
	return t
}

// Finish is what is done with the sums of a convolution before they are stored, in this order:
// another tensor is added (ForwardAdd), they are bounded, and gated. NaN stays.
type Finish struct {
	Low, High float32 // NaN does not bound
	Gate      *Gate   // nil for none
}

// NoFinish changes nothing.
func NoFinish() Finish { return Finish{Low: nan32, High: nan32} }

// finishing is a Finish as a plan of Conv2D reads it. Its zero value changes nothing beside the
// plan's ReLU.
type finishing struct {
	on      bool
	low     float32
	ceiling float32
	gate    []float32
	add     []float32 // of the call in progress
}

// Finish makes Forward do more with its sums; the plan is Direct or of ConstantWeights, without
// pooling. Winograd's filtering bounds from below alone: with an upper bound, or a gate, the plan
// becomes a Direct one. It is set before the first Forward, Pack and Share.
func (c *Conv2D) Finish(f Finish) {
	c.finish = finishing{on: true, low: f.Low}
	if f.High == f.High {
		c.finish.ceiling = f.High
		if f.High == 0 {
			c.finish.ceiling = float32(math.Copysign(0, -1)) // which is not "none", and the same bound
		}
	}
	if f.Gate != nil {
		c.finish.gate = f.Gate.table(c.engine.Set)
	}
	if c.winograd != nil && (f.High == f.High || f.Gate != nil) {
		c.winograd, c.config.Direct = nil, true
	}
}

// ForwardAdd is Forward with z, which lies as y does, added to the convolution before it is bounded. y and
// z may not overlap.
func (c *Conv2D) ForwardAdd(y, x, w, b, z []float32) error {
	if err := lengths("convolution", size{"z", len(z), c.spanY()}); err != nil {
		return err
	}
	c.finish.add = z
	defer func() { c.finish.add = nil }()
	return c.Forward(y, x, w, b)
}

// store completes the arguments of the product that ends the sums of a panel, whose first element
// is at of y.
func (f *finishing) store(a *productArgs, at int) {
	if f.add != nil {
		a.Add = pointer(f.add[at:])
	}
	if f.on {
		a.Floor, a.Ceiling, a.Gate = f.low, f.ceiling, pointer(f.gate)
	}
}
