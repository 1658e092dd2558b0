package kernel

// Function is a function of one number, y = f(x), on whole slices of one length. Each result
// depends on its own number alone.
type Function struct {
	// Forward writes y from x.
	Forward func(y, x []float32) // y may be x
	// Backward writes dx = dy·f′(x) from dy and from what FromOutput says: y, or else x. Where the
	// output says enough, the memory of the input is free after the forward pass.
	Backward   func(dx, dy, from []float32)
	FromOutput bool

	vectors vectorLoops // nil if no Set has loops for it
}

// Activation is a plan for a Function on tensors of any length. Its methods must not run at the
// same time as each other.
type Activation struct {
	engine        Engine
	function      Function
	y, x, dx, dy  []float32
	forward, back func(worker, item int)
}

// NewActivation returns a plan.
func NewActivation(engine Engine, function Function) (*Activation, error) {
	if err := engine.check(); err != nil {
		return nil, err
	}
	a := &Activation{engine: engine, function: function}
	a.forward = func(_, item int) {
		first, last := spanOf(item, len(a.y))
		a.engine.Apply(a.function, a.y[first:last], a.x[first:last])
	}
	a.back = func(_, item int) {
		first, last := spanOf(item, len(a.dx))
		a.engine.ApplyGradient(a.function, a.dx[first:last], a.dy[first:last], a.x[first:last])
	}
	return a, nil
}

// spanOf is item's part of n elements.
func spanOf(item, n int) (first, last int) { return item * span, min((item+1)*span, n) }

// Forward computes y = f(x).
func (a *Activation) Forward(y, x []float32) error {
	if err := lengths("activation", size{"x", len(x), len(y)}); err != nil {
		return err
	}
	a.y, a.x = y, x
	a.engine.Pool.Run(ceil(len(y), span), a.forward)
	a.y, a.x = nil, nil
	return nil
}

// Backward computes dx from dy and from the output, or the input, as the function says.
func (a *Activation) Backward(dx, dy, from []float32) error {
	if err := lengths("gradient of activation", size{"dy", len(dy), len(dx)},
		size{"the activation", len(from), len(dx)}); err != nil {
		return err
	}
	a.dx, a.dy, a.x = dx, dy, from
	a.engine.Pool.Run(ceil(len(dx), span), a.back)
	a.dx, a.dy, a.x = nil, nil, nil
	return nil
}
