package kernel

import "unsafe"

// Operations on slices of any length by the loops of an engine's set, on the caller's thread alone.
// What is left after the whole vectors goes through a vector of the pool's memory, so that an
// element's result does not depend on its place.

// Clamp computes y = scale·x + shift, at least low and at most high; NaN stays, and a bound of NaN
// does not bound. y may be x.
func (e Engine) Clamp(y, x []float32, scale, shift, low, high float32) {
	n := e.Set.whole(len(y))
	if n > 0 {
		e.Set.clamp(&y[0], &x[0], n, scale, shift, low, high)
	}
	if n < len(y) {
		e.rest(y[n:], x[n:], func(rest *float32) {
			e.Set.clamp(rest, rest, e.Set.lanes, scale, shift, low, high)
		})
	}
}

// rest computes less than a vector of y from x by a loop over a vector that lies elsewhere.
func (e Engine) rest(y, x []float32, compute func(vector *float32)) {
	piece := e.Pool.scratch.take(e.Set.lanes)
	vector := piece[:e.Set.lanes]
	clear(vector[copy(vector, x[:len(y)]):])
	compute(&vector[0])
	copy(y, vector)
	e.Pool.scratch.give(piece)
}

// GateTable is a gate as Engine.Gate takes it.
type GateTable []float32

// GateTable makes a gate ready for Gate.
func (e Engine) GateTable(g Gate) GateTable { return g.table(e.Set) }

// Gate computes y = x times its gate. y may be x.
func (e Engine) Gate(y, x []float32, gate GateTable) {
	n := e.Set.whole(len(y))
	if n > 0 {
		e.Set.gateBy(&y[0], &x[0], n, &gate[0])
	}
	if n < len(y) {
		e.rest(y[n:], x[n:], func(rest *float32) {
			e.Set.gateBy(rest, rest, e.Set.lanes, &gate[0])
		})
	}
}

// AddClamped computes z = x + y, bounded as by Clamp. z may be x or y.
func (e Engine) AddClamped(z, x, y []float32, low, high float32) {
	n := e.Set.whole(len(z))
	if n > 0 {
		e.Set.addClamped(&z[0], &x[0], &y[0], n, low, high)
	}
	if n < len(z) {
		portableAddClamped(&z[n], &x[n], &y[n], len(z)-n, low, high)
	}
}

// Multiply computes z = x·y. z may be x or y.
func (e Engine) Multiply(z, x, y []float32) { e.Set.multiplySlice(z, x, y) }

// ScaleRows computes rows of y = x·scale + shift, channel by channel, bounded as by Clamp. x is
// rows×channels, channels being the length of scale and of shift; the rows of y begin step elements
// apart, and y may be x.
func (e Engine) ScaleRows(y []float32, step int, x, scale, shift []float32, low, high float32) {
	e.Set.scaleRows(&affineArgs{}, y, step, x, scale, shift, low, high)
}

// scaleRows is Engine.ScaleRows with memory for the loop's arguments.
func (s *Set) scaleRows(a *affineArgs, y []float32, step int, x, scale, shift []float32,
	low, high float32) {
	channels := len(scale)
	rows, c := len(x)/channels, 0
	for set := s; set != nil && rows > 0; set = set.half {
		vectors := (channels - c) / set.lanes
		if vectors == 0 {
			continue
		}
		*a = affineArgs{
			X: pointer(x[c:]), Y: pointer(y[c:]), XStep: 4 * channels, YStep: 4 * step, Rows: rows,
			Vectors: vectors, Scale: pointer(scale[c:]), Shift: pointer(shift[c:]), Low: low, High: high,
		}
		set.affine((*byte)(unsafe.Pointer(a)))
		c += vectors * set.lanes
	}
	for ; c < channels; c++ {
		for r := range rows {
			y[r*step+c] = portableBound(x[r*channels+c]*scale[c]+shift[c], low, high)
		}
	}
}

// Interleave3 writes positions of three planes, which are of one length: an element of each in turn.
func (e Engine) Interleave3(dst, a, b, c []float32) {
	n := e.Set.whole(len(a))
	if n > 0 {
		e.Set.interleave3(&dst[0], &a[0], &b[0], &c[0], n)
	}
	if n < len(a) {
		portableInterleave3(&dst[3*n], &a[n], &b[n], &c[n], len(a)-n)
	}
}

// SumRows adds the rows of x, rows×channels, to sums, a value a channel. Of eight rows at a time
// the sum is float32, of those float64. scratch is of channels, and written.
func (e Engine) SumRows(sums []float64, x, scratch []float32) {
	channels := len(sums)
	for len(x) > 0 {
		block := min(len(x), 8*channels)
		copy(scratch, x[:channels])
		for at := channels; at < block; at += channels {
			e.Set.addScaledSlice(scratch, x[at:at+channels], 1)
		}
		for c, v := range scratch[:channels] {
			sums[c] += float64(v)
		}
		x = x[block:]
	}
}

// maxLanes is the lanes of the widest set's vectors.
const maxLanes = 16
