package reference

// MaxPool2DForward returns the maximum of every window and the flat index in x of it. Padding never
// wins. A value replaces the maximum so far when it is greater or NaN (PyTorch's rule): the first
// of equals wins, and of several NaN the last.
func MaxPool2DForward[T Float](p Pool2D, x []T) (y []T, index []int) {
	oh, ow := p.Output()
	y, index = make([]T, p.Batch*p.Channels*oh*ow), make([]int, p.Batch*p.Channels*oh*ow)
	for i := range index {
		index[i] = -1
	}
	p.visit(func(yi, xi int) {
		if v := x[xi]; index[yi] < 0 || v > y[yi] || v != v {
			y[yi], index[yi] = v, xi
		}
	})
	return y, index
}

// MaxPool2DBackward returns dx: every window's gradient goes to the element that index names, and
// adds up where windows overlap.
func MaxPool2DBackward[T Float](p Pool2D, dy []T, index []int) []T {
	sum := make([]float64, p.Batch*p.Channels*p.Height*p.Width)
	for i, at := range index {
		sum[at] += float64(dy[i])
	}
	return round[T](sum)
}
