package convert

import (
	"math"
	"slices"

	"slipway/builder"
)

// recognised returns the layer that an item is together with those that it takes:
// what exporters write as several operators. Those stay, and are dropped at the end
// where nothing else takes them.
func (r *raising) recognised(it item) (item, bool) {
	var layer builder.Layer
	var x int
	ok := false
	if it.operation == affineOperation {
		if layer, x, ok = r.hardSigmoid(it); ok {
			return r.whole(it, layer, x), true
		}
	}
	for _, f := range []func(item) (builder.Layer, int, bool){r.gated, r.gaussian} {
		if layer, x, ok = f(it); ok {
			return r.whole(it, layer, x), true
		}
	}
	if layer, x, ok = r.layerNorm(it); ok {
		channels, err := r.channelsOf(x)
		if err != nil {
			return item{}, false
		}
		whole := r.whole(it, layer, x)
		whole.tensors = [][]float32{slices.Repeat([]float32{1}, channels), make([]float32, channels)}
		whole.open = true
		return whole, true
	}
	return item{}, false
}

// whole is the item as that layer of x.
func (r *raising) whole(it item, layer builder.Layer, x int) item {
	it.layer, it.inputs = layer, []int{x}
	it.operation, it.affine, it.numbers = "", nil, nil
	if !r.own {
		it.names = r.namesOf(r.current, item{})
	}
	return it
}

// maxUniform bounds how many scales and shifts are followed.
const maxUniform = 4

// uniform is a value as scale·x + shift with one number each for all channels.
type uniform struct {
	x            int
	scale, shift float64
}

// uniformsOf are a value as itself, and as what it is of the value before each scale and shift
// that treats all channels alike.
func (r *raising) uniformsOf(place int) []uniform {
	u := uniform{x: place, scale: 1}
	all := []uniform{u}
	for range maxUniform {
		it, ok := r.part(u.x)
		if !ok || it.operation != affineOperation || !it.affine.uniform() {
			break
		}
		u = u.of(it)
		all = append(all, u)
	}
	return all
}

// of is u, which is of an affine item, of what that takes.
func (u uniform) of(it item) uniform {
	scale, shift := it.affine.scale[0], it.affine.shift[0]
	return uniform{x: it.inputs[0], scale: u.scale * scale, shift: u.shift + u.scale*shift}
}

// uniformItem is uniformsOf of an item that is not added yet, without itself.
func (r *raising) uniformItem(it item) []uniform {
	if it.operation != affineOperation || !it.affine.uniform() {
		return nil
	}
	own := uniform{scale: 1}.of(it)
	all := r.uniformsOf(own.x)
	for i, u := range all {
		all[i] = uniform{x: u.x, scale: own.scale * u.scale, shift: own.shift + own.scale*u.shift}
	}
	return all
}

// isUniform reports whether a value is scale·x + shift.
func (r *raising) isUniform(place, x int, scale, shift float64) bool {
	return slices.ContainsFunc(r.uniformsOf(place), func(u uniform) bool {
		return u.x == x && near(u.scale, scale) && near(u.shift, shift)
	})
}

// part returns the item at a place, if it may be of one layer with the node under
// way.
func (r *raising) part(place int) (item, bool) {
	if place < 0 || !r.together(r.items[place].index, r.index) {
		return item{}, false
	}
	return r.items[place], true
}

// isLayer reports whether the item is a layer of that kind.
func (it item) isLayer(layer builder.Layer) bool {
	return it.layer != nil && it.layer.Kind() == layer.Kind()
}

// hardSigmoid is clip(x + 3, 0, 6)/6, or clip(x/6 + 1/2, 0, 1).
func (r *raising) hardSigmoid(it item) (builder.Layer, int, bool) {
	for _, u := range r.uniformItem(it) {
		clip, ok := r.part(u.x)
		if !ok || !clip.isLayer(builder.ReLU6{}) || !near(u.scale, 1.0/6) || !near(u.shift, 0) {
			continue
		}
		for _, inner := range r.uniformsOf(clip.inputs[0]) {
			if near(inner.scale, 1) && near(inner.shift, 3) {
				return builder.HardSigmoid{}, inner.x, true
			}
		}
	}
	return nil, 0, false
}

// factors are a·p·q, of which p and q are what they are of the values before.
type factors struct {
	scale float64
	p, q  []uniform
}

// productOf reads an item as a product, times a number.
func (r *raising) productOf(it item) (factors, bool) {
	products := []factors{{scale: 1}}
	all := []item{it}
	for _, u := range r.uniformItem(it) {
		if inner, ok := r.part(u.x); ok && u.shift == 0 {
			all, products = append(all, inner), append(products, factors{scale: u.scale})
		}
	}
	for i, it := range all {
		if it.isLayer(builder.Mul{}) && slices.Equal(r.shapeOf(it.inputs[0]), r.shapeOf(it.inputs[1])) {
			products[i].p, products[i].q = r.uniformsOf(it.inputs[0]), r.uniformsOf(it.inputs[1])
			return products[i], true
		}
	}
	return factors{}, false
}

// either calls f with each factor as the one that is gated, and the other as the gate.
func (p factors) either(f func(x, gate uniform) bool) bool {
	for _, a := range p.p {
		for _, b := range p.q {
			if f(a, b) || f(b, a) {
				return true
			}
		}
	}
	return false
}

// gated is x·σ(x), SiLU, or x·clip(x/6 + 1/2), HardSwish.
func (r *raising) gated(it item) (layer builder.Layer, x int, ok bool) {
	p, ok := r.productOf(it)
	if !ok {
		return nil, 0, false
	}
	ok = p.either(func(value, gate uniform) bool {
		g, ok := r.part(gate.x)
		if !ok || g.layer == nil || value.shift != 0 || gate.shift != 0 {
			return false
		}
		factor := p.scale * value.scale * gate.scale
		x = value.x
		switch g.layer.(type) {
		case builder.Sigmoid:
			layer = builder.SiLU{}
			return g.inputs[0] == x && near(factor, 1)
		case builder.HardSigmoid:
			layer = builder.HardSwish{}
			return g.inputs[0] == x && near(factor, 1)
		case builder.ReLU6:
			layer = builder.HardSwish{}
			return r.isUniform(g.inputs[0], x, 1, 3) && near(factor, 1.0/6)
		}
		return false
	})
	return layer, x, ok
}

// gaussian is GELU: x·(1 + erf(x/√2))/2, or x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2.
func (r *raising) gaussian(it item) (layer builder.Layer, x int, ok bool) {
	p, ok := r.productOf(it)
	if !ok {
		return nil, 0, false
	}
	ok = p.either(func(value, gate uniform) bool {
		g, ok := r.part(gate.x)
		half := p.scale * value.scale * gate.scale
		if !ok || value.shift != 0 || !near(gate.shift, gate.scale) || !near(half, 0.5) {
			return false
		}
		x = value.x
		if g.operation == "Erf" {
			layer = builder.GELU{}
			return r.isUniform(g.inputs[0], x, math.Sqrt2/2, 0)
		}
		layer = builder.GELU{Tanh: true}
		return g.isLayer(builder.Tanh{}) && r.isGELUCubic(g.inputs[0], x)
	})
	return layer, x, ok
}

// isGELUCubic reports whether a value is √(2/π)·(x + 0.044715·x³).
func (r *raising) isGELUCubic(place, x int) bool {
	for _, u := range r.uniformsOf(place) {
		sum, ok := r.part(u.x)
		if !ok || !sum.isLayer(builder.Add{}) || len(sum.inputs) != 2 {
			continue
		}
		if u.shift != 0 || !near(u.scale, math.Sqrt(2/math.Pi)) {
			continue
		}
		for k := range 2 {
			for _, cubic := range r.uniformsOf(sum.inputs[1-k]) {
				scaled := cubic.shift == 0 && near(cubic.scale, 0.044715)
				if sum.inputs[k] == x && scaled && r.isPower(cubic.x, x, 3) {
					return true
				}
			}
		}
	}
	return false
}

// isPower reports whether a value is xⁿ, of Pow or of products.
func (r *raising) isPower(place, x, n int) bool {
	if n == 1 {
		return place == x
	}
	it, ok := r.part(place)
	switch {
	case !ok:
		return false
	case it.operation == "Pow":
		return it.inputs[0] == x && it.numbers[0] == float64(n)
	case it.isLayer(builder.Mul{}):
		return it.inputs[0] == x && r.isPower(it.inputs[1], x, n-1) || it.inputs[1] == x &&
			r.isPower(it.inputs[0], x, n-1)
	}
	return false
}

// layerNorm is (x − μ)/√(σ² + ε) with the mean μ and the variance σ² over the channels.
func (r *raising) layerNorm(it item) (builder.Layer, int, bool) {
	no := func() (builder.Layer, int, bool) { return nil, 0, false }
	if it.operation != "Div" && it.operation != "Mul" {
		return no()
	}
	difference, ok := r.part(it.inputs[0])
	root, rooted := r.part(it.inputs[1])
	if it.operation == "Mul" && rooted && root.operation == "Reciprocal" {
		root, rooted = r.part(root.inputs[0])
	}
	if !ok || !rooted || difference.operation != "Sub" || root.operation != "Sqrt" {
		return no()
	}
	x := difference.inputs[0]
	if !r.isMean(difference.inputs[1], x) {
		return no()
	}
	variances := r.uniformsOf(root.inputs[0])
	variance := variances[len(variances)-1]
	mean, ok := r.part(variance.x)
	if !ok || mean.operation != "ReduceMean" || variance.scale != 1 || !(variance.shift > 0) {
		return no()
	}
	square, ok := r.part(mean.inputs[0])
	if !ok {
		return no()
	}
	// Some exporters write the difference twice.
	again := square.inputs[0]
	if !r.isDifference(again, x) || !r.isPower(mean.inputs[0], again, 2) {
		return no()
	}
	return builder.LayerNorm{Epsilon: decimal(float32(variance.shift))}, x, true
}

func (r *raising) isMean(place, x int) bool {
	it, ok := r.part(place)
	return ok && it.operation == "ReduceMean" && it.inputs[0] == x
}

func (r *raising) isDifference(place, x int) bool {
	it, ok := r.part(place)
	return ok && it.operation == "Sub" && it.inputs[0] == x && r.isMean(it.inputs[1], x)
}
