package reference

// ReLUForward returns y = max(x, 0), with NaN kept as PyTorch keeps it.
func ReLUForward[T Float](x []T) []T {
	y := make([]T, len(x))
	for i, v := range x {
		if !(v <= 0) {
			y[i] = v
		}
	}
	return y
}

// ReLUBackward returns dx = dy where x is positive or NaN, and 0 where x ≤ 0. Either the input or
// the output of the forward function may be given as x: they are positive in the same places.
func ReLUBackward[T Float](dy, x []T) []T {
	dx := make([]T, len(dy))
	for i, v := range x {
		if !(v <= 0) {
			dx[i] = dy[i]
		}
	}
	return dx
}
