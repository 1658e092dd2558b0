package kernel

import "unsafe"

// portableBound is v, at least low and at most high; NaN stays, and does not bound.
func portableBound(v, low, high float32) float32 {
	if v < low {
		v = low
	}
	if v > high {
		v = high
	}
	return v
}

// portableGate multiplies by a gate, see Gate; without one it changes nothing.
func portableGate(v float32, gate unsafe.Pointer) float32 {
	if gate == nil {
		return v
	}
	constant := func(i int) float32 { return *floatAt(gate, 4*i*portableLanes) }
	return v * portableBound(v*constant(0)+constant(1), constant(2), constant(3))
}

func portableGateBy(y, x *float32, n int, gate *float32) {
	ys, xs := floats(y, n), floats(x, n)
	for i, v := range xs {
		ys[i] = portableGate(v, unsafe.Pointer(gate))
	}
}

func portableClamp(y, x *float32, n int, scale, shift, low, high float32) {
	ys, xs := floats(y, n), floats(x, n)
	for i, v := range xs {
		ys[i] = portableBound(v*scale+shift, low, high)
	}
}

func portableCopyVectors(dst, src *float32, srcStep, rows int) {
	for r := range rows {
		to := floats(floatAt(unsafe.Pointer(dst), 4*r*portableLanes), portableLanes)
		copy(to, floats(floatAt(unsafe.Pointer(src), r*srcStep), portableLanes))
	}
}

func portableInterleave3(dst, a, b, c *float32, n int) {
	to, as, bs, cs := floats(dst, 3*n), floats(a, n), floats(b, n), floats(c, n)
	for i, v := range as {
		to[3*i], to[3*i+1], to[3*i+2] = v, bs[i], cs[i]
	}
}

func portableAffine(args *byte) {
	a := (*affineArgs)(unsafe.Pointer(args))
	n := a.Vectors * portableLanes
	scale, shift := floats((*float32)(a.Scale), n), floats((*float32)(a.Shift), n)
	for r := range a.Rows {
		x, y := floats(floatAt(a.X, r*a.XStep), n), floats(floatAt(a.Y, r*a.YStep), n)
		for c, v := range x {
			y[c] = portableBound(v*scale[c]+shift[c], a.Low, a.High)
		}
	}
}

func portableRow(args *byte) {
	a := (*rowArgs)(unsafe.Pointer(args))
	x := floats((*float32)(a.X), a.Depth)
	for p := range a.Panels {
		bias := floats(floatAt(a.Bias, 4*p*portablePanel), portablePanel)
		y := floats(floatAt(a.Y, 4*p*portablePanel), portablePanel)
		var sums [portablePanel]float32
		copy(sums[:], bias)
		for k, v := range x {
			b := floats(floatAt(a.B, p*a.Panel+4*k*portablePanel), portablePanel)
			for c := range sums {
				sums[c] += v * b[c]
			}
		}
		for c, v := range sums {
			y[c] = portableBound(v, a.Floor, nan32)
		}
	}
}
