package kernel

import "unsafe"

// portableNormalise returns the passes of batch normalisation with vectors of that many channels:
// those of the portable set, and of one channel for what is left of rows that are not whole
// vectors.
func portableNormalise(lanes int) normalisePasses {
	return normalisePasses{
		sums:         func(args *byte) { portableNormaliseSums(args, lanes, false) },
		gradientSums: func(args *byte) { portableNormaliseSums(args, lanes, true) },
		forward:      func(args *byte) { portableNormaliseRows(args, lanes, false, false) },
		sum:          func(args *byte) { portableNormaliseRows(args, lanes, true, false) },
		gradient:     func(args *byte) { portableNormaliseRows(args, lanes, false, true) },
	}
}

// normalisePasses are a set's loops.
type normalisePasses struct {
	sums, gradientSums, forward, sum, gradient func(args *byte)
}

func portableNormaliseSums(args *byte, lanes int, gradient bool) {
	a := (*normaliseArgs)(unsafe.Pointer(args))
	for v := range a.Vectors {
		table := unsafe.Add(a.Table, 4*v*normaliseTable*lanes)
		sums := unsafe.Slice((*float64)(unsafe.Add(a.Sums, 16*v*lanes)), 2*lanes)
		for lane := range lanes {
			c := 4 * (v*lanes + lane)
			mean, scale, bias := *floatAt(table, 4*lane), *floatAt(table, 4*(lanes+lane)), *floatAt(table,
				4*(2*lanes+lane))
			first, second := sums[lane], sums[lanes+lane]
			for r := range a.Rows {
				centred := *floatAt(a.X, r*a.RowStep+c) - mean
				term := centred
				if gradient {
					term = a.passed(*floatAt(a.Dy, r*a.RowStep+c), centred*scale+bias)
				}
				first += float64(term)
				second += float64(term) * float64(centred)
			}
			sums[lane], sums[lanes+lane] = first, second
		}
	}
}

func portableNormaliseRows(args *byte, lanes int, sum, gradient bool) {
	a := (*normaliseArgs)(unsafe.Pointer(args))
	for r := range a.Rows {
		for v := range a.Vectors {
			table := floats((*float32)(unsafe.Add(a.Table, 4*v*normaliseTable*lanes)), normaliseTable*lanes)
			for lane := range lanes {
				at := r*a.RowStep + 4*(v*lanes+lane)
				centred := *floatAt(a.X, at) - table[lane]
				y := centred*table[lanes+lane] + table[2*lanes+lane]
				if gradient {
					g := a.passed(*floatAt(a.Dy, at), y)
					y = table[3*lanes+lane]*g + (table[4*lanes+lane]*centred + table[5*lanes+lane])
				} else {
					if sum {
						y += *floatAt(a.Dy, at)
					}
					if y < a.Low {
						y = a.Low
					}
					if y > a.High {
						y = a.High
					}
				}
				*floatAt(a.Y, at) = y
			}
		}
	}
}

// passed is the gradient g where y was not clamped.
func (a *normaliseArgs) passed(g, y float32) float32 {
	if y <= a.Low || y >= a.High {
		return 0
	}
	return g
}

func portableDepthwise(args *byte) {
	a := (*depthwiseArgs)(unsafe.Pointer(args))
	n := a.Vectors * portableLanes
	bias := floats((*float32)(a.Bias), n)
	for p := range a.Positions {
		y := floats(floatAt(a.Y, p*a.YStep), n)
		copy(y, bias)
		for _, tap := range unsafe.Slice(a.Taps, a.Count) {
			x, w := floats(floatAt(a.X, p*a.XStep+tap.x), n)[:len(y)], floats(floatAt(a.W, tap.w),
				n)[:len(y)]
			for c := range y {
				y[c] += x[c] * w[c]
			}
		}
		for c, v := range y {
			y[c] = portableGate(portableBound(v, a.Low, a.High), a.Gate)
		}
	}
}

func portableDepthwiseGradient(args *byte) {
	a := (*depthwiseGradientArgs)(unsafe.Pointer(args))
	n := a.Vectors * portableLanes
	for r := range a.Rows {
		for p := range a.Positions {
			g := floats(floatAt(a.Dy, r*a.DyRow+p*a.DyStep), n)
			for tap := range a.Taps {
				x := floats(floatAt(a.X, r*a.XRow+p*a.XStep+tap*a.TapStep), n)[:len(g)]
				dw := floats(floatAt(a.Dw, tap*a.DwStep), n)[:len(g)]
				for c := range g {
					dw[c] += x[c] * g[c]
				}
			}
		}
	}
}

func portableAddClamped(z, x, y *float32, n int, low, high float32) {
	zs, xs, ys := floats(z, n), floats(x, n), floats(y, n)
	for i := range zs {
		sum := xs[i] + ys[i]
		if sum < low {
			sum = low
		}
		if sum > high {
			sum = high
		}
		zs[i] = sum
	}
}
