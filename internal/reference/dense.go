package reference

// Dense is a fully connected layer, y = x·Wᵀ + b with x N×In and W Out×In. Its gradients:
//
//	dx = dy·W    dW = dyᵀ·x    db = Σ_n dy[n]
type Dense struct{ Batch, In, Out int }

// DenseForward returns y, N×Out.
func DenseForward[T Float](d Dense, x, w, b []T) []T {
	y := make([]T, d.Batch*d.Out)
	for n := range d.Batch {
		for o := range d.Out {
			sum := float64(b[o])
			for i := range d.In {
				sum += float64(x[n*d.In+i]) * float64(w[o*d.In+i])
			}
			y[n*d.Out+o] = T(sum)
		}
	}
	return y
}

// DenseBackward returns the gradients of x, W and b.
func DenseBackward[T Float](d Dense, dy, x, w []T) (dx, dw, db []T) {
	sx, sw, sb := make([]float64, len(x)), make([]float64, len(w)), make([]float64, d.Out)
	for n := range d.Batch {
		for o := range d.Out {
			g := float64(dy[n*d.Out+o])
			sb[o] += g
			for i := range d.In {
				sx[n*d.In+i] += g * float64(w[o*d.In+i])
				sw[o*d.In+i] += g * float64(x[n*d.In+i])
			}
		}
	}
	return round[T](sx), round[T](sw), round[T](sb)
}
